"""The manifest: which shards make up a table, what they came from, and what was rejected."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from snake_assets.storage import StorageError
from snake_assets.storage.fingerprints import Json, fingerprint
from snake_assets.storage.io import sizes
from snake_assets.storage.paths import AnyPath

MANIFEST = "_manifest.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Reject:
    """A row that went in and did not come out: which photo, why, and the particulars."""

    image_id: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Shard:
    """One parquet file of a table.

    `unit` identifies what the shard was made from and how: equal units give equal shards. `footer_sha256` is
    None in tables of versions that did not take it.
    """

    file: str
    unit: str
    rows: int
    bytes: int
    sha256: str
    rejects: tuple[Reject, ...] = ()
    footer_sha256: str | None = None

    def is_in(self, sizes: Mapping[str, int]) -> bool:
        """Whether a folder that holds files of these names and bytes has the shard's, in its full length."""
        return sizes.get(self.file) == self.bytes


@dataclass(frozen=True)
class Manifest:
    """A committed table: readers take the shards it names, in its order, and nothing else.

    `recipe` says in plain JSON how the rows were made (backbone, preprocessing, …).
    """

    table: str
    split: str | None
    recipe: Mapping[str, Json]
    shards: tuple[Shard, ...]
    schema_version: int = field(default=SCHEMA_VERSION, kw_only=True)

    @property
    def rejects(self) -> list[Reject]:
        """All rejects, in row order."""
        return [reject for shard in self.shards for reject in shard.rejects]

    @property
    def rows_out(self) -> int:
        """Rows of the table."""
        return sum(shard.rows for shard in self.shards)

    @property
    def rows_in(self) -> int:
        """Rows that went in: those that came out and those that were rejected."""
        return self.rows_out + len(self.rejects)

    @property
    def bytes(self) -> int:
        """Bytes of all shards."""
        return sum(shard.bytes for shard in self.shards)

    @property
    def fingerprint(self) -> str:
        """What the table was made from and how: the recipe and the units, in order."""
        return fingerprint({"recipe": self.recipe, "units": [shard.unit for shard in self.shards]})

    @property
    def digest(self) -> str:
        """What the table holds: the digests of its shards and its rejects, in order."""
        return fingerprint(
            [[shard.sha256, [asdict(reject) for reject in shard.rejects]] for shard in self.shards]
        )

    def holds(self, folder: AnyPath, recipe: Mapping[str, Json], units: Sequence[str]) -> bool:
        """Whether the table is whole and made by just this recipe of just these units, in this order."""
        if fingerprint(self.recipe) != fingerprint(recipe) or [s.unit for s in self.shards] != list(units):
            return False
        there = sizes(folder)
        return all(shard.is_in(there) for shard in self.shards)

    def to_json(self) -> str:
        """The content of the manifest's file."""
        summary = {
            "schema_version": self.schema_version,
            "table": self.table,
            "split": self.split,
            "fingerprint": self.fingerprint,
            "digest": self.digest,
            "rows_in": self.rows_in,
            "rows_out": self.rows_out,
            "rejects": len(self.rejects),
            "recipe": self.recipe,
            "shards": shards_to_json(self.shards),
        }
        return json.dumps(summary, indent=1)


def read_manifest(folder: AnyPath) -> Manifest | None:
    """The committed manifest of a table's folder, or None where nothing has been committed.

    Raises:
        StorageError: the manifest is damaged, or of a version this code does not know.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_bytes())
        if content["schema_version"] != SCHEMA_VERSION:
            raise StorageError(
                f"{path} has schema version {content['schema_version']}, this code knows {SCHEMA_VERSION}: "
                f"remove {folder} and materialize again, or use the version that wrote it."
            )
        return Manifest(
            content["table"], content["split"], content["recipe"], shards_from_json(content["shards"])
        )
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror}): mend its rights.") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StorageError(f"{path} is damaged ({error}): remove {folder} and materialize again.") from error


def shards_to_json(shards: Sequence[Shard]) -> list[dict[str, Json]]:
    """Shards as JSON values."""
    return [asdict(shard) for shard in shards]


def shards_from_json(values: Sequence[Mapping[str, object]]) -> tuple[Shard, ...]:
    """Shards back from what `shards_to_json` gave.

    Raises:
        KeyError, TypeError, ValueError: it is not that.
    """
    return tuple(
        Shard(
            file=plain_name(value["file"]),
            unit=str(value["unit"]),
            rows=_count(value["rows"]),
            bytes=_count(value["bytes"]),
            sha256=str(value["sha256"]),
            rejects=tuple(Reject(**reject) for reject in _sequence(value["rejects"])),
            footer_sha256=None if (footer := value.get("footer_sha256")) is None else str(footer),
        )
        for value in values
    )


def progress_bytes(ground: str, shards: Sequence[Shard]) -> bytes:
    """The progress file of an unfinished run: a line for what its shards hold for, and one a shard."""
    lines = [{"recipe": ground}, *shards_to_json(shards)]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def read_progress(file: AnyPath, ground: str) -> tuple[Shard, ...]:
    """The shards that a progress file tells of; none where it is gone, damaged, or holds for something else.

    Raises:
        StorageError: a bucket gives no answer.
    """
    try:
        # What follows the last line end is the half of a line: earlier versions added to the file.
        head, *lines = file.read_bytes().split(b"\n")[:-1]
        if json.loads(head)["recipe"] == ground:
            return shards_from_json([json.loads(line) for line in lines])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # a progress file that cannot be used only means that its shards are made again
    return ()


def plain_name(value: object) -> str:
    """A file name without a folder: a manifest must not lead out of its own folder."""
    if not isinstance(value, str) or Path(value).name != value or "\0" in value:
        raise ValueError(f"{value!r} is not a file name")
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is not a count")
    return value


def _sequence(value: object) -> Sequence[Mapping[str, str]]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is not a list")
    return value
