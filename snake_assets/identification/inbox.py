"""What comes into the inbox: a look at it, and the table of arrivals, which says what is answered where.

The table grows by one commit a look, and a look decides on the table that it replaces: of two that begin on
the same one, only one commits. So a content, by its SHA-256, is `first` in one batch, and that batch answers
it. Whatever comes again is a `copy`. What was `gone` before it was answered is free for the next batch, but
not for ever: whoever looks may see another disk than whoever answers.

Nothing in the inbox is moved or changed.
"""

import datetime
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

import polars as pl
import pyarrow as pa

from snake_assets.identification.photos import COMPANIONS, MOST_BYTES, Photo, printable
from snake_assets.snakeclef.raw.photo_files import find_photos, is_archive
from snake_assets.storage import StorageError
from snake_assets.storage.fingerprints import bytes_digest, file_digest, fingerprint
from snake_assets.storage.objectstore.gcs import BucketPath
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.manifest import read_manifest
from snake_assets.storage.tables.table import Table
from snake_assets.storage.tables.writer import write_table

ARRIVALS = "arrivals"
FIRST, COPY, GONE = "first", "copy", "gone"
SCHEMA = pa.schema(
    [
        ("batch", pa.string()),
        ("path", pa.string()),
        ("bytes", pa.int64()),
        ("modified", pa.int64()),
        ("fault", pa.string()),
        ("sha256", pa.string()),
        ("event", pa.string()),
    ]
)
# A look adds to the last shard until it has so many rows: few shards, and little to write anew.
SHARD_ROWS = 10_000
# Photos of a batch, which is one run; and how often one may be gone before it is answered.
MOST_PHOTOS, MOST_GONE = 10_000, 3
# Names of what is still being fetched.
UNFINISHED = (".part", ".partial", ".filepart", ".crdownload", ".download", ".tmp")
READERS = 8
FAULTS: Mapping[str, str] = {
    "name_not_utf8": "it has a name that is not UTF-8: rename it",
    "link_outside": "it is a link that leads out of the inbox: put the photo itself there",
    "link_broken": "it is a link to what is not there",
    "not_a_file": "it is a device, a pipe or a socket",
}


class File(NamedTuple):
    """A file in the inbox.

    Attributes:
        path: below the inbox, with forward slashes.
        bytes: its size.
        modified: its time of change in nanoseconds; of an object, its generation.
        fault: one of FAULTS where it cannot be read, else empty.
    """

    path: str
    bytes: int
    modified: int
    fault: str = ""

    @property
    def mark(self) -> str:
        """The same at two looks if path, size and time are."""
        return fingerprint([*self])[:16]


@dataclass(frozen=True)
class Arrival(Photo):
    """A photo of a batch.

    Attributes:
        sha256: of the content that is to be answered; None where it could not be read.
        fault: why there is nothing to read, in words; else empty.
    """

    sha256: str | None = None
    fault: str = ""

    def read(self) -> bytes:
        """The content. Raises OSError, as `Photo.read`, also where it is another one by now."""
        if self.fault:
            raise OSError(self.fault)
        data = super().read()
        if self.sha256 and bytes_digest(data) != self.sha256:
            raise OSError("it has changed since it was seen, and is answered as a new photo")
        return data


def list_inbox(root: AnyPath) -> list[File]:
    """All files of a folder or of a bucket's folder that may be photos, by path.

    Hidden ones, archives, what is no photo by its name, and what is still being fetched are left out.

    Raises:
        DataError: a folder cannot be listed.
        StorageError: a bucket cannot be.
    """
    if isinstance(root, BucketPath):
        # Some tools put an empty object in the place of each folder.
        found = [
            File(name, there.size, there.generation)
            for name, there in sorted(root.listed(deep=True).items())
            if not name.endswith("/") and not is_archive(name)
        ]
    else:
        found = [File(one.path, one.bytes, one.modified_ns, one.fault) for one in find_photos(root, ".")]
    return [file for file in found if _may_be_photo(PurePosixPath(file.path))]


def read_arrivals(folder: AnyPath) -> pl.DataFrame:
    """All rows of the table of arrivals, in the order in which they came; none where there is no table.

    Raises:
        StorageError: the table is damaged.
    """
    while True:
        manifest = read_manifest(folder)
        if manifest is None:
            return pl.DataFrame(SCHEMA.empty_table())
        try:
            return pl.DataFrame(Table(folder, manifest).read())
        except StorageError:
            # A look may have replaced the last shard since the manifest was read.
            if read_manifest(folder) == manifest:
                raise


def batches_of(arrivals: pl.DataFrame, after: str = "") -> list[str]:
    """The batches that have something to answer, oldest first, from the one behind `after` on."""
    found = arrivals.filter((pl.col("event") == FIRST) & (pl.col("batch") > after))
    return found["batch"].unique().sort().to_list()


def new_files(found: Iterable[File], arrivals: pl.DataFrame) -> list[File]:
    """Those that no batch answers as they are; and those that could not be read, which may be by now."""
    known = _known(arrivals)
    return [
        file
        for file in found
        if file not in known or (known[file] is None and not file.fault and file.bytes <= MOST_BYTES)
    ]


def record(
    folder: AnyPath,
    root: AnyPath,
    settled: Sequence[File],
    missed: Collection[tuple[str, str]] = (),
    seconds: float = float("inf"),
) -> int:
    """Add files that have settled to the table of arrivals, as one batch at most.

    Args:
        folder: of the table.
        root: of the inbox.
        settled: at most MOST_PHOTOS are taken, and no more once the time is over.
        missed: SHA-256 and batch of contents that were gone before they were answered (`missed_in`).
        seconds: for reading contents.

    Returns:
        How many files are left for the next look.

    Raises:
        StorageError: another look is at work, or the table or a bucket cannot be read or written.
    """
    wanted = settled[:MOST_PHOTOS]
    digests = list(_digests(root, wanted, time.monotonic() + seconds))
    with write_table(folder, ARRIVALS, None, SCHEMA, {"version": 1}) as writer:
        arrivals = read_arrivals(folder)
        known, owners = _known(arrivals), _owners(arrivals)
        number = 1 + max((int(batch.partition("_")[0]) for batch in arrivals["batch"].unique()), default=0)
        # The date is for whoever chooses batches; the order is the number's.
        batch = f"{number:07d}_{datetime.datetime.now(datetime.UTC).date()}"
        rows: list[tuple[object, ...]] = [
            (owner, "", 0, 0, "", sha256, GONE) for sha256, owner in missed if owners.get(sha256) == owner
        ]
        owners = {sha256: owner for sha256, owner in owners.items() if (sha256, owner) not in missed}
        for file, sha256 in zip(wanted, digests, strict=False):
            # Gone since it was listed; or, meanwhile, another look has seen it or it is still unreadable.
            if sha256 == GONE or (file in known and known[file] == sha256):
                continue
            rows.append((batch, *file, sha256, COPY if sha256 in owners else FIRST))
            if sha256:
                owners.setdefault(sha256, batch)
        if rows:
            manifest = read_manifest(folder)
            shards = list(manifest.shards) if manifest else []
            added = pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], SCHEMA)
            if manifest and shards[-1].rows < SHARD_ROWS:
                added = pa.concat_tables([Table(folder, manifest).read_shard(shards.pop()), added])
            unit = fingerprint(added.to_pylist())
            if not writer.has(unit):
                writer.write(unit, added.combine_chunks().to_batches())
            writer.commit([*(shard.unit for shard in shards), unit])
    return len(settled) - len(digests)


def photos_of(batch: str, arrivals: pl.DataFrame, root: AnyPath) -> list[Arrival]:
    """The photos that a batch answers; one that was gone, and that a later batch answers, says so."""
    first = arrivals.filter(pl.col("event") == FIRST)
    last = dict(first.drop_nulls("sha256").select("sha256", "batch").iter_rows())
    photos = []
    for path, fault, sha256 in (
        first.filter(pl.col("batch") == batch).select("path", "fault", "sha256").iter_rows()
    ):
        elsewhere = last.get(sha256, batch)
        told = FAULTS.get(fault, "") if elsewhere == batch else f"it was gone, and batch {elsewhere} has it"
        shown = printable(path)
        photos.append(Arrival(shown, shown, root / path, sha256, told))
    return photos


def copies_in(batch: str, arrivals: pl.DataFrame) -> list[str]:
    """The files that came with a batch and whose content is answered already, or by another of its photos."""
    copies = arrivals.filter((pl.col("batch") == batch) & (pl.col("event") == COPY))
    return [printable(path) for path in copies["path"]]


def missed_in(batch: str, arrivals: pl.DataFrame, answered: Collection[str | None]) -> list[tuple[str, str]]:
    """Contents of a batch, with its name, that are not among those that its table has answered."""
    first = arrivals.filter((pl.col("batch") == batch) & (pl.col("event") == FIRST))
    return [(sha256, batch) for sha256 in first["sha256"].drop_nulls() if sha256 not in answered]


def _may_be_photo(path: PurePosixPath) -> bool:
    hidden = any(part.startswith(".") for part in path.parts)
    return not hidden and path.suffix.lower() not in (*COMPANIONS, *UNFINISHED)


def _owners(arrivals: pl.DataFrame) -> dict[str, str]:
    """By SHA-256, the batch that answers it."""
    told = arrivals.filter(pl.col("event") != COPY).drop_nulls("sha256")
    latest = told.group_by("sha256").agg(
        pl.col("batch").last(), pl.col("event").last(), gone=(pl.col("event") == GONE).sum()
    )
    kept = latest.filter((pl.col("event") == FIRST) | (pl.col("gone") >= MOST_GONE))
    return dict(kept.select("sha256", "batch").iter_rows())


def _known(arrivals: pl.DataFrame) -> dict[File, str | None]:
    """Files as they were seen whose content a batch answers, or that could not be read, with its SHA-256."""
    owners = _owners(arrivals)
    seen = arrivals.filter(pl.col("event") != GONE).select("path", "bytes", "modified", "fault", "sha256")
    return {File(*file): sha256 for *file, sha256 in seen.iter_rows() if sha256 is None or sha256 in owners}


def _digests(root: AnyPath, files: Sequence[File], until: float) -> Iterator[str | None]:
    """SHA-256 of each file; None where it cannot be read, GONE where it is not there any more."""
    with ThreadPoolExecutor(READERS if isinstance(root, BucketPath) else 1, "digest") as pool:
        for start in range(0, len(files), READERS):
            if time.monotonic() > until:
                return
            yield from pool.map(lambda file: _digest(root, file), files[start : start + READERS])


def _digest(root: AnyPath, file: File) -> str | None:
    if file.fault or file.bytes > MOST_BYTES:
        return None
    place = root / file.path
    try:
        return bytes_digest(place.read_bytes()) if isinstance(place, BucketPath) else file_digest(place)
    except FileNotFoundError:
        return GONE
    except OSError:
        return None
