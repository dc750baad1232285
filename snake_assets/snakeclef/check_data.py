"""A look at raw data before anything is run on it:  snake-assets check-data [FOLDER]

Nothing is written. What a run would refuse is refused here, by the same code.
"""

import argparse
import hashlib
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from snake_assets.snakeclef import DataError, counted
from snake_assets.snakeclef.image_table import MOST_REJECTED
from snake_assets.snakeclef.layouts.layout import Layout
from snake_assets.snakeclef.layouts.near_copies import HASHES, PhotoHashes
from snake_assets.snakeclef.layouts.own import Options
from snake_assets.snakeclef.layouts.recognise import recognise
from snake_assets.snakeclef.metadata import SPLITS
from snake_assets.snakeclef.raw.photo_files import (
    FAULTS,
    MAX_FILE_BYTES,
    PhotoFile,
    Source,
    is_named_as_photo,
    match_photos,
)
from snake_assets.storage.paths import local_root
from snake_assets.vision.decoding.decode import probe
from snake_assets.vision.errors import UnreadablePhoto

# As the check `classes_have_photos` has it.
FEWEST_PHOTOS = 5
# Photos that are opened; of more, as many evenly spread.
LOOKED_INTO = 5_000
TOLD_BY_LISTING = frozenset(("missing", "empty", *FAULTS))
NAMED = 5
SAMPLE = 4096


def check_data(layout: Layout) -> tuple[list[str], list[str]]:
    """What raw data holds, in lines for a terminal, and why a run would stop, in sentences.

    Raises:
        DataError: the raw data cannot be read as it was meant.
    """
    notes: list[str] = []
    sources: dict[str, list[Source]] = {}
    packed: list[str] = []
    for split in SPLITS:
        photos, archives = layout.photos(split), layout.archives(split)
        if layout.describes(split) or split == "train" or photos:
            told: list[str] = []
            sources[split] = match_photos(layout.rows(split, told), photos).sources
            notes += [note for note in told if note not in notes]
            if archives and not any(is_named_as_photo(photo.path) for photo in photos):
                packed.append(split)
    unpacked = {split: found for split, found in sources.items() if split not in packed}
    count = sum(map(len, unpacked.values()))
    step = max(1, -(-count // LOOKED_INTO))
    rejects = {split: Rejects.among(found, step) for split, found in unpacked.items()}
    lines = [f"{layout.root}: layout {layout.name}", ""]
    lines.append(f"{'split':<8}{'photos':>10}{'observations':>14}{'species':>9}{'rejects':>9}")
    for split, found in sources.items():
        species = {source.row.class_id for source in found if source.row.class_id is not None}
        observations = {source.row.observation_id for source in found}
        told_of = "packed" if split in packed else f"{len(rejects[split].names):,}"
        lines.append(f"{split:<8}{len(found):>10,}{len(observations):>14,}{len(species):>9,}{told_of:>9}")
    lines += ["", *_species(sources, layout.venom())]
    lines += _copies(unpacked, {name for lost in rejects.values() for name in lost.names})
    for split, lost in rejects.items():
        for reason, names in sorted(lost.reasons.items()):
            lines.append(
                f"{counted(len(names), 'photo')} of {split} will be rejected, {reason}: {_some(names)}."
            )
    if step > 1:
        lines.append(
            f"Only one in {step} photos was opened: there may be {step} times as many of these rejects."
        )
    lines += [f"{split} is packed in archives, which raw_images unpacks: not looked at." for split in packed]
    lines += [f"There is no {split}: what needs it is left out." for split in SPLITS if split not in sources]
    stops = [
        f"More than {MOST_REJECTED:.0%} of the photos of {split} are missing or unreadable: no table is made."
        for split, lost in rejects.items()
        if lost.share > MOST_REJECTED
    ]
    snakes: dict[int | None, set[str]] = defaultdict(set)
    for source in sources["train"]:
        snakes[source.row.class_id].add(source.row.observation_id)
    if len(snakes) < 2 or max(map(len, snakes.values())) < 2:
        stops.append("Train needs two species, one of them with two observations.")
    return [*lines, *notes], stops


@dataclass(frozen=True)
class Rejects:
    """Reason -> photos of a split that ingest would reject, and the share of it that they stand for."""

    reasons: Mapping[str, Sequence[str]]
    share: float

    @property
    def names(self) -> list[str]:
        """All of them."""
        return [name for names in self.reasons.values() for name in names]

    @classmethod
    def among(cls, sources: Sequence[Source], step: int) -> "Rejects":
        """Those that a listing tells, and those that the bytes of each `step`th photo tell."""
        reasons: dict[str, list[str]] = defaultdict(list)
        weight = 0
        for number, source in enumerate(sources):
            reason = _why_rejected(source, number % step == 0)
            if reason:
                reasons[reason].append(source.row.image_id)
                weight += 1 if reason in TOLD_BY_LISTING else step
        return cls(reasons, weight / max(1, len(sources)))


def _why_rejected(source: Source, opened: bool) -> str | None:
    file = source.file
    if file is None:
        return "missing"
    if file.fault or not file.bytes:
        return file.fault or "empty"
    if not opened:
        return None
    try:
        if file.bytes > MAX_FILE_BYTES:
            return "too_large"
        probe((file.root / file.path).read_bytes())
    except UnreadablePhoto as fault:
        return fault.reason
    except OSError as error:
        raise DataError(f"{file.root / file.path} cannot be read ({error.strerror}).") from error
    return None


def _species(sources: dict[str, list[Source]], venomous: dict[int, bool]) -> list[str]:
    """How many species there are, which of train have few photos, and of how many venom is known."""
    names = {
        source.row.class_id: source.row.binomial_name or str(source.row.class_id)
        for source in chain.from_iterable(sources.values())
        if source.row.class_id is not None
    }
    photos = Counter(source.row.class_id for source in sources["train"])
    few = [name for class_id, name in names.items() if photos[class_id] < FEWEST_PHOTOS]
    known = sum(class_id in venomous for class_id in names)
    lines = [f"Venom is known of {known:,} of {len(names):,} species."]
    if few:
        lines.append(f"With fewer than {FEWEST_PHOTOS} photos in train: {len(few):,} species, {_some(few)}.")
    return lines


def _copies(sources: dict[str, list[Source]], rejected: Collection[str]) -> list[str]:
    """How many photos are exact copies of others, within a split, between splits and between species."""
    everything = [
        (split, source)
        for split, found in sources.items()
        for source in found
        if source.row.image_id not in rejected
    ]
    groups: dict[str, list[tuple[str, Source]]] = defaultdict(list)
    for key, one in zip(_exact_copies([source.file for _, source in everything]), everything, strict=True):
        if key:
            groups[key].append(one)
    in_splits = [group for group in groups.values() if len({split for split, _ in group}) > 1]
    torn = [group for group in groups.values() if len({one.row.class_id for _, one in group} - {None}) > 1]
    lines = []
    for what, found in (
        ("are copies of one another", list(groups.values())),
        ("have a copy in another split", in_splits),
        ("have a copy under another species", torn),
    ):
        names = [source.row.image_id for group in found for _, source in group]
        if names:
            lines.append(f"{len(names):,} photos {what}: {_some(names)}.")
    return lines


def _exact_copies(files: Sequence[PhotoFile | None]) -> list[str | None]:
    """Of each file, what it has in common with its copies; None where no other file has its bytes.

    Only files of one size can be copies, and of these the beginning and the end are compared, 4 KiB
    each.
    """
    sizes = Counter(file.bytes for file in files if file and not file.fault and file.bytes)
    keys = [
        _sample(f"{file.root}/{file.path}", file.bytes)
        if file and not file.fault and sizes[file.bytes] > 1
        else None
        for file in files
    ]
    times = Counter(keys)
    return [key if key and times[key] > 1 else None for key in keys]


def _sample(path: str, size: int) -> str | None:
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        # The run that reads the photo will say so.
        return None
    try:
        starts = dict.fromkeys((0, max(0, size - SAMPLE)))
        parts = [os.pread(file, SAMPLE, start) for start in starts]
    except OSError:
        return None
    finally:
        os.close(file)
    return f"{size} {hashlib.blake2b(b''.join(parts), digest_size=16).hexdigest()}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder, and what it cannot tell itself."""
    parser.add_argument("folder", nargs="?", default=None, help="root of the raw data; default: SNAKE_DATA")
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="FIELD=NAME",
        help="of a table: the column that holds path, species, observation, split or country",
    )
    parser.add_argument(
        "--observations-from-subfolders",
        action="store_true",
        help="photos in one folder below that of their species are one observation",
    )


def run(asked: argparse.Namespace) -> int:
    """Print what the data holds; 1 where a run would stop. Raises DataError for what is no folder."""
    text = asked.folder or os.environ.get("SNAKE_DATA", "")
    if not text or not Path(text).is_dir():
        raise DataError(f"{text or 'Nothing'} is no folder of this machine: name the root of the raw data.")
    columns = dict(column.partition("=")[::2] for column in asked.column)
    store = os.environ.get("SNAKE_STORE") or str(asked.home() / "store")
    # What runs have remembered; of a store in a bucket it is not fetched for this.
    hashes = (
        None if "://" in store else PhotoHashes(local_root(store, "SNAKE_STORE") / HASHES, computes=False)
    )
    options = Options(columns, asked.observations_from_subfolders, hashes=hashes)
    try:
        lines, stops = check_data(recognise(local_root(text, "SNAKE_DATA"), options))
    except DataError as error:
        lines, stops = [], [str(error)]
    verdict = [f"A run would stop: {stop}" for stop in stops] or ["A run can begin."]
    sys.stdout.write("\n".join([*lines, "", *verdict, ""]))
    return 1 if stops else 0
