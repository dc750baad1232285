"""What an examination found: figures for people to read, and what is wrong."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow as pa

from snake_assets.storage.fingerprints import Json, fingerprint
from snake_assets.storage.io import digest
from snake_assets.storage.tables.manifest import Shard
from snake_assets.storage.tables.table import Table

Figure = str | int | float


@dataclass(frozen=True)
class Findings:
    """What was found in one place, such as the table of one split.

    Attributes:
        faults: what is wrong, a line for each, with the name of who or what offends; none means sound.
        figures: counts and measures that a person wants to see, by name.
        headline: what is wrong in one sentence, without its full stop; empty where the first fault tells it.
        note: what a person has to know although nothing is wrong, in a sentence.
    """

    faults: Sequence[str] = ()
    figures: Mapping[str, Figure] = field(default_factory=dict)
    headline: str = ""
    note: str = ""


def repeated_ids(table: Table) -> Findings:
    """Photos whose image_id stands more than once in a table."""
    counts = Counter(table.read(["image_id"])["image_id"].to_pylist())
    return Findings(
        [f"photo {name} stands {times} times" for name, times in counts.items() if times > 1],
        {"rows": counts.total(), "different image_ids": len(counts)},
    )


def too_many_rejects(table: Table, most: float) -> Findings:
    """The rejects of a table if they are more than a share of the rows that went in; `most` is 0 to 1."""
    manifest = table.manifest
    share = len(manifest.rejects) / max(1, manifest.rows_in)
    rejected = [f"photo {reject.image_id}: {reject.reason}, {reject.detail}" for reject in manifest.rejects]
    return Findings(
        rejected if share > most else (),
        {"rows in": manifest.rows_in, "rejects": len(rejected), "share": f"{share:.2%}"},
        f"{len(rejected)} of {manifest.rows_in} photos are rejects, {share:.2%}; the limit is {most:.2%}",
    )


def changed_files(table: Table) -> Findings:
    """Shards whose files are gone, or have another SHA-256 than the manifest says; all are read in full.

    Of objects in a bucket, which do not change, it is the digest that their writer noted.

    Raises:
        StorageError: a bucket gives no answer.
    """

    def fault(shard: Shard) -> str | None:
        try:
            found = digest(table.folder / shard.file)
        except OSError as error:
            return f"{shard.file} cannot be read ({error.strerror})"
        return None if found == shard.sha256 else f"{shard.file} is not the file that was committed"

    with ThreadPoolExecutor() as pool:
        faults = [told for told in pool.map(fault, table.manifest.shards) if told]
    return Findings(faults, {"shards": len(table.manifest.shards), "bytes": f"{table.manifest.bytes:,}"})


def account_for_rows(table: Table, came_in: pa.Table) -> Findings:
    """Hold a table's rows and rejects against the rows that it was made of.

    Each row that came in must be a row, with the same values, or a named reject, and rows keep their order.
    Reads only the columns of `came_in`.

    Args:
        table: a committed table.
        came_in: image_id, and whatever other columns the table carries on from its input, in the order of
            the input; its image_ids are unique.
    """
    rows = table.read(came_in.column_names)
    rejected = {reject.image_id for reject in table.manifest.rejects}
    wanted = came_in.filter(pa.array([name not in rejected for name in _ids(came_in)], pa.bool_()))
    counts = {"rows in": len(came_in), "rows out": len(rows), "rejects": len(table.manifest.rejects)}
    faults = []
    if len(came_in) != len(rows) + counts["rejects"]:
        faults.append(
            f"{len(came_in)} rows went in, but {len(rows)} came out and {counts['rejects']} were rejected"
        )
    if len(rows) != table.manifest.rows_out:
        faults.append(f"the shards hold {len(rows)} rows where the manifest says {table.manifest.rows_out}")
    same_rows = _ids(rows) == _ids(wanted)
    faults += _changed_values(rows, wanted) if same_rows else _other_ids(_ids(rows), _ids(wanted))
    return Findings(faults, counts)


def _ids(rows: pa.Table) -> list[str]:
    ids: list[str] = rows["image_id"].to_pylist()
    return ids


def _other_ids(rows: Sequence[str], wanted: Sequence[str]) -> list[str]:
    there, expected = set(rows), set(wanted)
    lost, added = [n for n in wanted if n not in there], [n for n in rows if n not in expected]
    faults = [f"photo {name} went in and is neither a row nor a reject" for name in lost]
    faults += [f"photo {name} is a row and never went in, or is rejected too" for name in added]
    for at, (row, other) in enumerate(zip(rows, wanted, strict=False) if not faults else ()):
        if row != other:
            return [f"row {at} is photo {row} where {other} should be: the order is not that of the input"]
    return faults or ["the last rows are repetitions"]


def _changed_values(rows: pa.Table, wanted: pa.Table) -> list[str]:
    return [
        f"photo {name} has {column} {is_now!r} where {went_in!r} went in"
        for column in wanted.column_names[1:]
        if not rows[column].equals(wanted[column])
        for name, is_now, went_in in zip(
            _ids(wanted), rows[column].to_pylist(), wanted[column].to_pylist(), strict=True
        )
        if is_now != went_in
    ]


def of_one_recipe(
    table: Table, *, same_pass: Sequence[Table] = (), same_table: Table | None = None
) -> Findings:
    """Whether all shards of a table are of its recipe, and its recipe fits that of other tables.

    A table whose parquet metadata names a recipe must name the manifest's in every shard; only the footers
    are read.

    Args:
        table: a committed table.
        same_pass: tables that came out of the same pass over the split; what recipes have in common is equal.
        same_table: the table of the same name in another split, usually train; the whole recipe is equal.
    """
    recipe = table.manifest.recipe
    faults = _odd_shards(table)
    for other in same_pass:
        common = recipe.keys() & other.manifest.recipe.keys()
        faults += _differences(recipe, other.manifest.recipe, sorted(common), f"{other.manifest.table} has")
    if same_table:
        names = sorted(recipe.keys() | same_table.manifest.recipe.keys())
        faults += _differences(recipe, same_table.manifest.recipe, names, f"{same_table.manifest.split} has")
    return Findings(faults, {"shards": len(table.manifest.shards), "recipe": fingerprint(recipe)[:12]})


def _odd_shards(table: Table) -> list[str]:
    first = table.schema
    named = {key.decode(): value.decode() for key, value in (first.metadata or {}).items()}
    faults = []
    if named and named != {key: json.dumps(value) for key, value in table.manifest.recipe.items()}:
        faults.append(f"{table.manifest.shards[0].file} names another recipe than the manifest")
    return faults + [
        f"{shard.file} has other columns, or names another recipe, than {table.manifest.shards[0].file}"
        for shard in table.manifest.shards[1:]
        if not table.schema_of(shard).equals(first, check_metadata=True)
    ]


def _differences(
    recipe: Mapping[str, Json], other: Mapping[str, Json], names: Sequence[str], whose: str
) -> list[str]:
    return [
        f"{name} is {json.dumps(recipe.get(name))} where {whose} {json.dumps(other.get(name))}"
        for name in names
        if recipe.get(name) != other.get(name)
    ]
