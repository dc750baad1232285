"""From raw files to `image_table`: metadata and photos joined by path, streamed shard by shard."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import compress, islice

import polars as pl
import pyarrow as pa

from snake_assets.snakeclef import DataError, counted
from snake_assets.snakeclef.metadata import LicensedPhotoRow, PhotoRow
from snake_assets.snakeclef.raw.photo_files import (
    FAULTS,
    MAX_FILE_BYTES,
    Matches,
    PhotoFile,
    Source,
    match_photos,
)
from snake_assets.storage.fingerprints import Json, fingerprint
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.manifest import Manifest, Reject, read_manifest
from snake_assets.storage.tables.table import Table
from snake_assets.storage.tables.writer import write_table
from snake_assets.vision.decoding.decode import probe
from snake_assets.vision.errors import UnreadablePhoto


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


def is_torn(sha256: Sequence[str], class_ids: Sequence[int | None]) -> list[bool]:
    """Of each photo, whether an exact copy of it is labelled as another species."""
    frame = pl.DataFrame(
        {"sha256": sha256, "class_id": class_ids}, {"sha256": pl.String, "class_id": pl.Int64}
    )
    return frame.select(pl.col("class_id").drop_nulls().n_unique().over("sha256") > 1).to_series().to_list()


def copies_under_two_species(table: Table) -> dict[str, list[tuple[str, int]]]:
    """sha256 -> image_id and class_id of the exact copies of a photo that is labelled as several species.

    Raises:
        StorageError: a shard cannot be read.
    """
    columns = table.read(["sha256", "image_id", "class_id"]).to_pydict()
    torn = is_torn(columns["sha256"], columns["class_id"])
    copies: dict[str, list[tuple[str, int]]] = {}
    for digest, image_id, class_id in compress(zip(*columns.values(), strict=True), torn):
        copies.setdefault(digest, []).append((image_id, class_id))
    return copies


@dataclass(frozen=True)
class ClassBalance:
    """Counts of a split.

    `species_counts` has class_id, binomial_name (the class_id where the metadata names none), venomous (null
    where that is not known), photos and observations, most photos first; no row for a split without labels.
    """

    observations: int
    species_counts: pl.DataFrame

    @property
    def species(self) -> int:
        """Species with at least one photo."""
        return self.species_counts.height

    @property
    def venomous_photos(self) -> int | None:
        """Photos of medically important venomous species; None where a species has no venom status."""
        if self.species_counts["venomous"].null_count():
            return None
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
    """Count `image_table`'s photos by species; `venomous` tells of class_ids what is known."""
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
            pl.col("class_id")
            .replace_strict([*venomous], [*venomous.values()], default=None, return_dtype=pl.Boolean)
            .alias("venomous"),
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
# Columns of the tables of layouts that tell of them.
RIGHTS = (pa.field("licence", pa.string()), pa.field("rights_holder", pa.string()))
# Counts as an input: raise it when the same files would give other rows.
INGEST_VERSION = 2
SHARD_ROWS = 512
BATCH_ROWS = 64
BATCH_BYTES = 16 << 20
READERS = 4
# Share of a split's photos that may be missing or unreadable; more means a disk that is away.
MOST_REJECTED = 0.5


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
    most_rejected: float = MOST_REJECTED,
) -> Manifest:
    """Write `image_table` for a split; rows keep the metadata's order, photos keep their own bytes.

    A photo that is missing or cannot be one becomes a reject. Photos are read while those before them are
    written; memory holds at most READERS + 2 batches, each of BATCH_BYTES and one photo at most, twice.

    Args:
        rows: the split's metadata.
        photos: the split's files.
        split: train, val or test.
        folder: the table's folder.
        shard_rows: metadata rows per shard.
        progress: called after each shard with metadata rows done and in all.
        most_rejected: share of the photos, 0 to 1, that may be rejects; of more, no table is made.

    Raises:
        DataError: a row's photo is found in several places, two rows mean one photo, a photo cannot be read
            although it is there, or more than `most_rejected` are missing or unreadable.
        StorageError: the store cannot be written.
    """
    matches = match_photos(rows, photos)
    missing = [source.row.image_id for source in matches.sources if source.file is None or source.file.fault]
    _refuse_too_many(missing, "missing or cannot be reached", matches, split, most_rejected)
    chunks = _chunks(matches.sources, shard_rows)
    units = [_unit(chunk) for chunk in chunks]
    schema = _schema(rows)
    wanted = set(units)
    with (
        write_table(folder, "image_table", split, schema, _recipe(shard_rows)) as writer,
        ThreadPoolExecutor(READERS) as readers,
    ):
        plans = {
            unit: _planned(chunk) for unit, chunk in zip(units, chunks, strict=True) if not writer.has(unit)
        }
        planned = [batch for plan in plans.values() for batch in plan]
        # One stream for all shards: while one is synced, photos of the next are read.
        photos_read = _read_ahead(planned, readers)
        for number, unit in enumerate(units):
            if not writer.has(unit):
                rejects: list[Reject] = []
                batches = islice(photos_read, len(plans[unit]))
                writer.write(unit, _rows(batches, rejects), rejects)
            if progress:
                progress(min((number + 1) * shard_rows, len(rows)), len(rows))
        rejected = [reject for shard in writer.shards if shard.unit in wanted for reject in shard.rejects]
        named = [f"{reject.image_id} ({reject.reason})" for reject in rejected]
        _refuse_too_many(named, "missing or unreadable", matches, split, most_rejected)
        return writer.commit(units)


def _refuse_too_many(names: Sequence[str], what: str, matches: Matches, split: str, most: float) -> None:
    """Raise DataError where more than a share of `most` of the photos are named."""
    count = len(matches.sources)
    if len(names) <= most * count:
        return
    there = len({source.file.path for source in matches.sources if source.file}) + len(matches.without_row)
    roots = {str(source.file.root) for source in matches.sources if source.file}
    roots |= {str(photo.root) for photo in matches.without_row}
    at = next((source.row.official_path for source in matches.sources if not source.file), names[0])
    raise DataError(
        f"{len(names)} of the {count} photos of {split!r} are {what}, {names[0]} first, more than the "
        f"{most:.0%} that are borne: raw_images found {counted(there, 'file')} below "
        f"{', '.join(sorted(roots)) or split}, and {at} was looked for. See that the disk is mounted and the "
        "folder the right one, then materialize raw_images and image_table; or raise most_rejected in the "
        "config of image_table."
    )


def ingest_is_current(rows: Sequence[PhotoRow], photos: Sequence[PhotoFile], folder: AnyPath) -> bool:
    """Whether `ingest` of these rows and photos would change nothing; no photo is opened.

    Raises:
        DataError: as `ingest`.
        StorageError: the manifest is damaged.
    """
    manifest = read_manifest(folder)
    units = [_unit(chunk) for chunk in _chunks(match_photos(rows, photos).sources, SHARD_ROWS)]
    return manifest is not None and manifest.holds(folder, _recipe(SHARD_ROWS), units)


def _schema(rows: Sequence[PhotoRow]) -> pa.Schema:
    licensed = any(isinstance(row, LicensedPhotoRow) for row in rows)
    return pa.schema([*IMAGE_SCHEMA, *RIGHTS]) if licensed else IMAGE_SCHEMA


def _recipe(shard_rows: int) -> dict[str, Json]:
    return {"version": INGEST_VERSION, "shard_rows": shard_rows}


def _chunks(sources: Sequence[Source], size: int) -> list[Sequence[Source]]:
    """The rows with their files, in portions of one shard each."""
    return [sources[start : start + size] for start in range(0, len(sources), size)]


def _unit(chunk: Sequence[Source]) -> str:
    """What a shard is made from, told without reading the photos."""
    return fingerprint(
        [
            [
                vars(source.row),
                [value for name, value in vars(source.file).items() if name != "root"]
                if source.file
                else None,
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


def _read_ahead(batches: Iterable[list[Source]], readers: ThreadPoolExecutor) -> Iterator[PhotoBatch]:
    """The batches, read, in order; each reader is at most one batch ahead of what was given out."""
    waiting: deque[Future[PhotoBatch]] = deque()
    for batch in batches:
        if len(waiting) > READERS:
            yield waiting.popleft().result()
        waiting.append(readers.submit(_read_batch, batch))
    while waiting:
        yield waiting.popleft().result()


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
    schema = _schema([source.row for source in sources])
    return PhotoBatch(pa.RecordBatch.from_pylist(records, schema=schema), rejects)


def _read(source: Source) -> dict[str, object] | Reject:
    if source.file and source.file.fault:
        detail = f"{source.file.path} {FAULTS[source.file.fault]}"
        return Reject(source.row.image_id, source.file.fault, detail)
    try:
        data = _read_bytes(source)
        header = probe(data)
    except UnreadablePhoto as fault:
        return Reject(source.row.image_id, fault.reason, fault.detail)
    row = source.row
    rights = vars(row) if isinstance(row, LicensedPhotoRow) else {}
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
        **{field.name: rights[field.name] for field in RIGHTS if rights},
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
