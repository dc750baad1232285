"""From raw files to `image_table`: metadata and photos joined by path, streamed shard by shard."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import polars as pl
import pyarrow as pa

from snake_assets.snakeclef.errors import DataError
from snake_assets.snakeclef.metadata import PhotoRow
from snake_assets.snakeclef.raw.photo_files import PhotoFile, PhotoIndex
from snake_assets.storage.fingerprints import Json, fingerprint
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.manifest import Manifest, Reject, read_manifest
from snake_assets.storage.tables.table import Table
from snake_assets.storage.tables.writer import write_table
from snake_assets.vision.decoding.decode import probe
from snake_assets.vision.decoding.errors import UnreadablePhoto
from snake_assets.vision.errors import MemoryCeilingError
from snake_assets.vision.inference.memory import resident_bytes
from snake_assets.vision.memory_plan import with_slack, without_slack

# A split's observations as its metadata has them, held against the photos that were read.


def observation_order(rows: Sequence[PhotoRow], images: Table) -> list[str]:
    """Observation ids in the metadata's order, those without a readable photo among them.

    Args:
        rows: the split's metadata now.
        images: the split's `image_table`.

    Raises:
        DataError: the metadata has changed since the table was made.
    """
    told = {row.image_id for row in rows}
    read = set(images.read(["image_id"])["image_id"].to_pylist())
    rejected = {reject.image_id for reject in images.manifest.rejects}
    if told != read | rejected:
        differing = sorted(told ^ (read | rejected))
        raise DataError(
            f"The metadata of {images.manifest.split!r} has changed since image_table was made "
            f"({len(differing)} photos differ, {differing[0]!r} first): materialize raw_images, image_table "
            "and the embeddings of this split again."
        )
    return list(dict.fromkeys(row.observation_id for row in rows))


def observation_truth(rows: Sequence[PhotoRow]) -> dict[str, int]:
    """observation_id -> class_id of its first photo, for a labelled split."""
    truth: dict[str, int] = {}
    for row in rows:
        if row.class_id is not None:
            truth.setdefault(row.observation_id, row.class_id)
    return truth


# How many photos and observations each species of a table has.


@dataclass(frozen=True)
class ClassBalance:
    """Counts of a split.

    `species_counts` has class_id, binomial_name (the class_id where the metadata names none), venomous,
    photos and observations, most photos first; no row for a split without labels.
    """

    observations: int
    species_counts: pl.DataFrame

    @property
    def species(self) -> int:
        """Species with at least one photo."""
        return self.species_counts.height

    @property
    def venomous_photos(self) -> int:
        """Photos of medically important venomous species."""
        return int(self.species_counts.filter("venomous")["photos"].sum())

    @property
    def names(self) -> dict[int, str]:
        """class_id -> name, most photographed first."""
        return dict(self.species_counts.select("class_id", "binomial_name").iter_rows())

    def largest_and_smallest(self, count: int = 8) -> list[Sequence[object]]:
        """Rows for a person to read: the species with most and with fewest photos."""
        shown = self.species_counts.select("class_id", "binomial_name", "venomous", "photos")
        if shown.height > 2 * count:
            shown = pl.concat([shown.head(count), shown.tail(count)])
        return list(shown.iter_rows())


def class_balance(table: Table, venomous: Mapping[int, bool]) -> ClassBalance:
    """Count `image_table`'s photos by species; `venomous` is the official list."""
    frame = pl.DataFrame(table.read(["class_id", "binomial_name", "observation_id"]))
    counts = (
        frame.drop_nulls("class_id")
        .group_by("class_id")
        .agg(
            pl.col("binomial_name").drop_nulls().first(),
            pl.len().alias("photos"),
            pl.col("observation_id").n_unique().alias("observations"),
        )
        .with_columns(
            pl.col("binomial_name").fill_null(pl.col("class_id").cast(pl.String)),
            pl.col("class_id").replace_strict(venomous, return_dtype=pl.Boolean).alias("venomous"),
        )
        .select("class_id", "binomial_name", "venomous", "photos", "observations")
        .sort(["photos", "class_id"], descending=[True, False])
    )
    return ClassBalance(frame["observation_id"].n_unique(), counts)


IMAGE_SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("observation_id", pa.string()),
        ("class_id", pa.int32()),
        ("binomial_name", pa.string()),
        ("code", pa.string()),
        ("endemic", pa.bool_()),
        ("image", pa.binary()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("sha256", pa.string()),
    ]
)
# Counts as an input: raise it when the same files would give other rows.
INGEST_VERSION = 1
SHARD_ROWS = 512
BATCH_ROWS = 64
BATCH_BYTES = 16 << 20
READERS = 4
MAX_FILE_BYTES = 256 << 20
# As they are read, as a row group, and, the largest, as a page on its way to the disk.
FILE_COPIES = 4


@dataclass(frozen=True)
class Source:
    """A metadata row and the file that it means, if there is one."""

    row: PhotoRow
    file: PhotoFile | None


@dataclass(frozen=True)
class PhotoBatch:
    """Photos that were read, as rows of the table, and those that cannot be rows."""

    rows: pa.RecordBatch
    rejects: list[Reject]


def ingest(
    rows: Sequence[PhotoRow],
    photos: Sequence[PhotoFile],
    split: str,
    folder: AnyPath,
    shard_rows: int = SHARD_ROWS,
    progress: Callable[[int, int], None] | None = None,
    ceiling: int | None = None,
) -> Manifest:
    """Write `image_table` for a split; rows keep the metadata's order, photos keep their own bytes.

    A photo that is missing or cannot be one becomes a reject. Photos are read while those before them are
    written; memory holds at most READERS + 2 batches, each of BATCH_BYTES and one photo at most, twice, or
    fewer under a ceiling.

    Args:
        rows: the split's metadata.
        photos: the split's files.
        split: train, val or test.
        folder: the table's folder.
        shard_rows: metadata rows per shard.
        progress: called after each shard with metadata rows done and in all.
        ceiling: bytes of main memory that the process may take; None for no bound.

    Raises:
        DataError: a row's photo is found in several places, or cannot be read although it is there.
        StorageError: the store cannot be written.
        MemoryCeilingError: a batch does not fit under the ceiling.
    """
    chunks = _chunks(rows, photos, shard_rows)
    units = [_unit(chunk) for chunk in chunks]
    with (
        write_table(folder, "image_table", split, IMAGE_SCHEMA, _recipe(shard_rows)) as writer,
        ThreadPoolExecutor(READERS) as readers,
    ):
        plans = {
            unit: _planned(chunk) for unit, chunk in zip(units, chunks, strict=True) if not writer.has(unit)
        }
        planned = [batch for plan in plans.values() for batch in plan]
        # One stream for all shards: while one is synced, photos of the next are read.
        photos_read = _read_ahead(planned, readers, _bytes_ahead(planned, ceiling))
        for number, unit in enumerate(units):
            if not writer.has(unit):
                rejects: list[Reject] = []
                batches = islice(photos_read, len(plans[unit]))
                writer.write(unit, _rows(batches, rejects), rejects)
            if progress:
                progress(min((number + 1) * shard_rows, len(rows)), len(rows))
        return writer.commit(units)


def ingest_is_current(rows: Sequence[PhotoRow], photos: Sequence[PhotoFile], folder: AnyPath) -> bool:
    """Whether `ingest` of these rows and photos would change nothing; no photo is opened.

    Raises:
        DataError: as `ingest`.
        StorageError: the manifest is damaged.
    """
    manifest = read_manifest(folder)
    units = [_unit(chunk) for chunk in _chunks(rows, photos, SHARD_ROWS)]
    return manifest is not None and manifest.holds(folder, _recipe(SHARD_ROWS), units)


def _recipe(shard_rows: int) -> dict[str, Json]:
    return {"version": INGEST_VERSION, "shard_rows": shard_rows}


def _chunks(rows: Sequence[PhotoRow], photos: Sequence[PhotoFile], size: int) -> list[list[Source]]:
    """The rows with their files, in portions of one shard each."""
    index = PhotoIndex(photos)
    sources = [Source(row, index.find(row)) for row in rows]
    return [sources[start : start + size] for start in range(0, len(sources), size)]


def _unit(chunk: Sequence[Source]) -> str:
    """What a shard is made from, told without reading the photos."""
    return fingerprint(
        [
            [
                vars(source.row),
                (source.file.path, source.file.bytes, source.file.modified_ns) if source.file else None,
            ]
            for source in chunk
        ]
    )


def _planned(chunk: Sequence[Source]) -> list[list[Source]]:
    """A shard's batches: at most BATCH_ROWS rows, and no row more once BATCH_BYTES are reached."""
    batches: list[list[Source]] = [[]]
    size = 0
    for source in chunk:
        if len(batches[-1]) == BATCH_ROWS or size >= BATCH_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(source)
        size += source.file.bytes if source.file else 0
    return batches


def _bytes_ahead(batches: Sequence[Sequence[Source]], ceiling: int | None) -> int | None:
    """Bytes of photos' files that may be in memory, that of the batch being written among them."""
    if ceiling is None:
        return None
    before = resident_bytes()
    allowed = (without_slack(ceiling) - before) // FILE_COPIES
    largest = max(map(_bytes_of, batches), default=0)
    if largest > allowed:
        raise MemoryCeilingError(
            f"A row group of photos of {largest / 2**20:,.0f} MiB",
            with_slack(before + FILE_COPIES * (largest + 1)),
            "or leave the largest photos out",
        )
    return allowed


def _bytes_of(batch: Sequence[Source]) -> int:
    return sum(source.file.bytes for source in batch if source.file and source.file.bytes <= MAX_FILE_BYTES)


def _read_ahead(
    batches: Iterable[list[Source]], readers: ThreadPoolExecutor, allowed: int | None
) -> Iterator[PhotoBatch]:
    """The batches, read, in order; each reader is at most one batch ahead of what was given out.

    `allowed` bytes are under way at most, with the batch that was given out last.
    """
    waiting: deque[tuple[int, Future[PhotoBatch]]] = deque()
    given = 0
    for batch in batches:
        size = _bytes_of(batch)
        while waiting and (
            len(waiting) > READERS
            or (allowed is not None and given + sum(size for size, _ in waiting) + size > allowed)
        ):
            given, first = waiting.popleft()
            yield first.result()
        waiting.append((size, readers.submit(_read_batch, batch)))
    while waiting:
        yield waiting.popleft()[1].result()


def _rows(batches: Iterable[PhotoBatch], rejects: list[Reject]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        rejects += batch.rejects
        yield batch.rows


def _read_batch(sources: Sequence[Source]) -> PhotoBatch:
    records, rejects = [], []
    for source in sources:
        result = _read(source)
        if isinstance(result, Reject):
            rejects.append(result)
        else:
            records.append(result)
    return PhotoBatch(pa.RecordBatch.from_pylist(records, schema=IMAGE_SCHEMA), rejects)


def _read(source: Source) -> dict[str, object] | Reject:
    try:
        data = _read_bytes(source)
        header = probe(data)
    except UnreadablePhoto as fault:
        return Reject(source.row.image_id, fault.reason, fault.detail)
    row = source.row
    return {
        "image_id": row.image_id,
        "observation_id": row.observation_id,
        "class_id": row.class_id,
        "binomial_name": row.binomial_name,
        "code": row.code,
        "endemic": row.endemic,
        "image": data,
        "width": header.width,
        "height": header.height,
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def _read_bytes(source: Source) -> bytes:
    if source.file is None:
        raise UnreadablePhoto("missing", f"no file at {source.row.official_path} nor elsewhere in the split")
    if source.file.bytes > MAX_FILE_BYTES:
        raise UnreadablePhoto("too_large", f"{source.file.bytes} bytes, more than {MAX_FILE_BYTES}")
    try:
        return (source.file.root / source.file.path).read_bytes()
    except OSError as error:
        # Not a reject: a disk that is away for a minute must not become a table without its photos.
        raise DataError(
            f"{source.file.root / source.file.path} was there when raw_images was made and cannot be read "
            f"now ({error.strerror}): see that the disk is mounted and readable, then materialize "
            "raw_images and image_table again."
        ) from error
