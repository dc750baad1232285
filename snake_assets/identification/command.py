"""`snake-assets predict`: photos in, answers out, on stdout or into a file that grows.

FILE has whole lines at any moment, for it is only ever replaced as a whole, by a rename; what a kill cost is
computed again by the next call. FILE.options.json beside it says of which model and options it is.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from snake_assets.identification.exports import (
    FORMATS,
    VENOMOUS_UNSURE,
    Answer,
    Layout,
    layout_of,
    occurrence_id,
)
from snake_assets.identification.identify import IdentificationError
from snake_assets.identification.package import load_package
from snake_assets.identification.photos import Photo, find_photos
from snake_assets.storage.fingerprints import Json, fingerprint
from snake_assets.storage.local_files import write_whole

ABOUT = """Identify the snakes in photos with a trained model.

Exit status: 0 when the answers were written, also where photos were unreadable; 2 for a call that cannot be
done, with a sentence that says why."""
# FILE is written anew when that costs at most a twentieth of the time since it last was.
TIME_FOR_ONE_RENEWAL = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.formatter_class, parser.description = argparse.RawDescriptionHelpFormatter, ABOUT
    add = parser.add_argument
    of_photos = "a photo, a folder (with all below it), or a .csv with image_path and maybe observation_id"
    of_country = "where the photos are from: species never recorded there in training are down-weighted"
    of_groups = "which photos show one snake (default: the .csv's observation_id, else none)"
    device = os.environ.get("SNAKE_DEVICE", "auto")
    add("paths", nargs="+", type=Path, metavar="PATH", help=of_photos)
    add("--model", type=Path, metavar="FOLDER", help="the package (default: that of the store)")
    add("--group-by", choices=("none", "folder", "csv"), help=of_groups)
    add("--top-k", type=_positive, default=5, metavar="K", help="how many species are named (default: 5)")
    add("--country", metavar="CC", help=of_country)
    add("--species", type=Path, metavar="FILE", help="only these species, a binomial name in each line")
    add("--format", choices=FORMATS, default="csv", help="of the answers (default: csv)")
    add("-o", "--output", type=Path, metavar="FILE", help="called again, it goes on (default: stdout)")
    add("--device", choices=("auto", "cpu", "cuda", "mps"), default=device)
    add("--batch-size", type=_positive, metavar="N", help="in a forward pass (default: as in training)")


def run(asked: argparse.Namespace) -> int:
    """Do it; returns the exit status.

    Raises:
        ValueError: of the rooms' own kinds, for what the user has to change.
        OSError: an answer cannot be written.
    """
    output: Path | None = asked.output
    photos, others = find_photos(asked.paths, asked.group_by, but=[output, _beside(output)] if output else [])
    if others:
        _tell(f"{len(others)} files that are no photos by their names are left out, such as {others[0]}")
    if not photos:
        raise IdentificationError(f"There is no photo in {', '.join(map(str, asked.paths))}.")
    species = _species_in(asked.species) if asked.species else None
    package = load_package(asked.model or model_of_the_store(asked.home), asked.device)
    weights = package.weights(asked.country, species)
    if weights is not None:
        less = f"; {int(((weights > 0) & (weights < 1)).sum())} that were never recorded in {asked.country}"
        _tell(
            f"of {len(weights)} species {int((weights > 0).sum())} come into question"
            + (f"{less} are down-weighted" if asked.country else "")
        )
    names = [*package.species.names, *package.species.genera]
    if package.species.venomous is None:
        _tell(
            "this model was trained without knowing which species are venomous: p_venomous is empty, and no "
            "answer says that a snake is harmless"
        )
    else:
        names.append(VENOMOUS_UNSURE)
    finder = str(package.crops.finder.fingerprint_parts()["finder"]) if package.crops else None
    layout = layout_of(asked.format, package.name, names, finder, asked.country)

    def answered(left: Sequence[Photo]) -> Iterator[list[Answer]]:
        bar: tqdm[NoReturn]
        # None: on a terminal alone.
        with tqdm(total=len(left), unit="photo", disable=None) as bar:
            for answers in package.answers(left, weights, asked.top_k, asked.batch_size):
                yield answers
                bar.update(len(answers))

    if output is None:
        sys.stdout.write(layout.head)
        between = ""
        for answers in answered(photos):
            for entry in layout.entries(answers):
                sys.stdout.write(between + entry)
                between = layout.between
            sys.stdout.flush()
        sys.stdout.write(layout.tail)
        return 0
    made_by: dict[str, Json] = {
        "model": package.name,
        "format": asked.format,
        "group_by": asked.group_by,
        "top_k": asked.top_k,
        "country": asked.country,
        "species": fingerprint(sorted(species)) if species else None,
    }
    with answer_file(output, layout, made_by) as file:
        by_observation = asked.format == "dwc"
        keys = [occurrence_id(one.observation_id) if by_observation else one.path for one in photos]
        left = [photo for photo, key in zip(photos, keys, strict=True) if key not in file.done]
        if len(left) < len(photos):
            _tell(f"{output} has answers for {len(photos) - len(left)} of {len(photos)} photos")
        # The photos of an observation are answered together, if any answer is missing.
        missing = {photo.observation_id for photo in left}
        for answers in answered([photo for photo in photos if photo.observation_id in missing]):
            file.add(layout.entries(answers))
    return 0


class AnswerFile:
    """FILE, for the one process that writes it.

    Attributes:
        done: keys of the entries that it has (`Layout.key`).
    """

    def __init__(self, file: Path, layout: Layout) -> None:
        """Read what is there. Raises ValueError, KeyError or IndexError where that is not of the layout."""
        self._file, self._layout, self._pending = file, layout, list[str]()
        text = file.read_bytes().decode() if file.exists() else ""
        if text and not (text.startswith(layout.head) and text.endswith(layout.tail)):
            raise ValueError("its first or last lines are not those that were written")
        entries = text.removeprefix(layout.head).removesuffix(layout.tail)
        self.done = {layout.key(entry) for entry in entries.split(layout.between) if entry}
        self._renewed, self._cost = time.monotonic(), 0.0

    def add(self, entries: Sequence[str]) -> None:
        """Keep some entries; those whose key is there already are left out."""
        fresh = {key: entry for entry in entries if (key := self._layout.key(entry)) not in self.done}
        self._pending += fresh.values()
        self.done |= fresh.keys()
        if time.monotonic() - self._renewed >= TIME_FOR_ONE_RENEWAL * self._cost:
            self.renew()

    def renew(self) -> None:
        """FILE with all entries, in one rename. Raises StorageError where it cannot be written."""
        if not self._pending:
            return
        began, layout = time.monotonic(), self._layout
        text = self._file.read_bytes().decode() if self._file.exists() else ""
        start = text.removesuffix(layout.tail) + layout.between if text else layout.head
        write_whole(self._file, (start + layout.between.join(self._pending) + layout.tail).encode())
        self._pending, self._renewed = [], time.monotonic()
        self._cost = self._renewed - began


@contextmanager
def answer_file(file: Path, layout: Layout, made_by: Mapping[str, Json]) -> Iterator[AnswerFile]:
    """Open FILE to go on with it, or begin it; in the end it has all entries.

    Args:
        file: FILE.
        layout: of its entries.
        made_by: model and options, by name; a FILE of others is refused.

    Raises:
        IdentificationError: FILE is of another model or other options, was changed, or is being written.
        OSError, StorageError: FILE cannot be written.
    """
    beside, mine = _beside(file), json.dumps(made_by, sort_keys=True)
    instead = f"name another file with -o, or remove it and {beside.name}."
    if file.exists() and not beside.exists():
        raise IdentificationError(
            f"{file} is there already, and no {beside.name} beside it says of which model and options it is: "
            "name another file with -o, or remove it."
        )
    with beside.open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise IdentificationError(f"Another call is writing {file}: wait for it.") from None
        lock.seek(0)
        found = lock.read()
        if not file.exists():
            lock.truncate(0)
            lock.write(mine)
            lock.flush()
            os.fsync(lock.fileno())
        elif found != mine:
            raise IdentificationError(f"{file} is of {_difference(found, mine)}: {instead}")
        try:
            answers = AnswerFile(file, layout)
        except (ValueError, LookupError, TypeError) as error:
            raise IdentificationError(
                f"{file} was changed since it was written ({error}): {instead}"
            ) from None
        try:
            yield answers
        finally:
            answers.renew()


def _beside(file: Path) -> Path:
    return file.with_name(f"{file.name}.options.json")


def _difference(found: str, made_by: str) -> str:
    """Which model or option is another: "another top_k (3, now 5)"."""
    try:
        old, new = dict(json.loads(found)), json.loads(made_by)
    except (ValueError, TypeError):
        return "another program"
    names = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    return "; ".join(f"another {name} ({old.get(name)!r}, now {new.get(name)!r})" for name in names)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(f"{number} is below 1")
    return number


def _species_in(file: Path) -> tuple[str, ...]:
    lines = (line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def model_of_the_store(home: Callable[[], Path]) -> Path:
    """The folder of the store's package. Raises IdentificationError where the store is a bucket."""
    store = os.environ.get("SNAKE_STORE") or str(home() / "store")
    if "://" in store:
        raise IdentificationError(
            f"SNAKE_STORE={store} is no folder: copy {store}/model_package to one, say with `gcloud storage "
            "cp -r`, and name it with --model."
        )
    return Path(store).expanduser() / "model_package"


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")
