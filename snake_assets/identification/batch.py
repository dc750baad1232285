"""The answers to a batch of photos as a table, and what lies beside it: alerts, and the answers of before."""

import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from snake_assets.identification.exports import SCHEMA, VENOMOUS_UNSURE
from snake_assets.identification.identify import UNREAD, Package
from snake_assets.identification.inbox import Arrival
from snake_assets.storage.fingerprints import Json, fingerprint
from snake_assets.storage.io import write_whole
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.manifest import Manifest, read_manifest
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.storage.tables.writer import write_table

# Counts as an input: raise it when the same model would answer otherwise.
ANSWERS_VERSION = 1
IDENTIFICATIONS, ALERTS = "identifications", "alerts.jsonl"
# What a killed run loses at most.
SHARD_PHOTOS = 2_000
TOP_K = 5
# From which probability on a venomous snake is probable.
PROBABLE = 0.5


def answer(
    folder: AnyPath,
    batch: str,
    photos: Sequence[Arrival],
    package: Package,
    report: Callable[[int, int], None] = lambda done, to_do: None,
) -> Table:
    """Write the table of a batch, unless it is there, and `alerts.jsonl` beside it.

    The answers of another model stay as `earlier-….parquet`. A run that was killed goes on behind the last
    2,000 photos that it finished.

    Args:
        folder: of the table.
        batch: its name.
        photos: of the batch.
        package: the model.
        report: is told how many photos are answered, and how many there are.

    Raises:
        StorageError: the table cannot be written, the one of before cannot be read, or another run is at it.
        EmbeddingError: the device's memory is too small.
    """
    recipe: dict[str, Json] = {"version": ANSWERS_VERSION, "model": package.name}
    parts = {
        fingerprint([[photo.path, photo.sha256, photo.fault] for photo in part]): part
        for part in (photos[start : start + SHARD_PHOTOS] for start in range(0, len(photos), SHARD_PHOTOS))
    }
    committed = read_manifest(folder)
    if committed and committed.holds(folder, recipe, [*parts]):
        _write_alerts(folder, Table(folder, committed), package)
        return Table(folder, committed)
    if committed and fingerprint(committed.recipe) != fingerprint(recipe):
        _keep(Table(folder, committed))
    schema = _schema(package)
    with write_table(folder, IDENTIFICATIONS, batch, schema, recipe) as writer:
        done = 0
        for unit, part in parts.items():
            if not writer.has(unit):
                writer.write(unit, [_answers(part, package)])
            done += len(part)
            report(done, len(photos))
        # Before the commit, by which the batch is known to be answered.
        of_units = {shard.unit: shard for shard in writer.shards}
        shards = tuple(of_units[unit] for unit in parts)
        _write_alerts(folder, Table(folder, Manifest(IDENTIFICATIONS, batch, recipe, shards)), package)
        writer.commit([*parts])
    return open_table(folder)


def probable_venomous(table: Table, package: Package) -> list[dict[str, Any]]:
    """The rows that somebody has to look at now: probably venomous, or answered so."""
    # None where venom is not known; then no probability is, either.
    known, names = package.species.venomous, package.species.names
    venomous = [] if known is None else [names[column] for column in known.nonzero()[0].tolist()]
    alarming = {VENOMOUS_UNSURE, *venomous}
    return [
        row
        for row in table.read().to_pylist()
        if (row["p_venomous"] or 0) >= PROBABLE or row["answer"] in alarming
    ]


def most_urgent(table: Table, count: int) -> list[dict[str, Any]]:
    """Some rows, those first that a person should look at first: venomous, unsure, sure, unreadable."""
    rows = table.read(["path", "answer", "level", "probability", "p_venomous"]).to_pylist()

    def urgency(row: dict[str, Any]) -> tuple[int, float]:
        if row["level"] == "unreadable":
            return 3, 0
        p_venomous = row["p_venomous"] or 0.0
        if p_venomous >= PROBABLE or row["level"] == "venomous_unsure":
            return 0, -p_venomous
        return (1, -p_venomous) if row["level"] == "unknown" else (2, row["probability"] or 0.0)

    return sorted(rows, key=urgency)[:count]


def _schema(package: Package) -> pa.Schema:
    """The columns of `predict`, and of which content; none where it could not be had."""
    columns: pa.Schema = pl.DataFrame(schema={**SCHEMA, "sha256": pl.String()}).to_arrow().schema
    return columns.with_metadata({"model": package.name})


def _answers(photos: Sequence[Arrival], package: Package) -> pa.RecordBatch:
    contents = {photo.path: photo.sha256 for photo in photos}
    rows: list[dict[str, Any]] = []
    for answers in package.answers(photos, None, TOP_K, None):
        for one in answers:
            # One whose content could not be had is not answered, and may be in a later batch.
            rows.append({**one.row(), "sha256": None if one.error.startswith(UNREAD) else contents[one.path]})
    return pa.RecordBatch.from_pylist(rows, _schema(package))


def _write_alerts(folder: AnyPath, table: Table, package: Package) -> None:
    alerts = [
        {"path": row["path"], "species": row["answer"]}
        | {name: row[name] for name in ("p_venomous", "look_alikes")}
        for row in probable_venomous(table, package)
    ]
    lines = [json.dumps(alert, ensure_ascii=False) + "\n" for alert in alerts]
    write_whole(folder / ALERTS, "".join(lines).encode())


def _keep(table: Table) -> None:
    """Write the answers of before to a file that says which model they are of."""
    content = io.BytesIO()
    pq.write_table(table.read(), content)
    name = f"earlier-{fingerprint(table.manifest.recipe)[:12]}.parquet"
    write_whole(table.folder / name, content.getvalue())
