"""One fingerprint a table: whether shards, tables of one pass, and splits were made in the same way."""

import json
from collections.abc import Mapping, Sequence

from snake_assets.storage.findings import Findings
from snake_assets.storage.fingerprints import Json, fingerprint
from snake_assets.storage.tables import Table


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

    Raises:
        StorageError: a shard cannot be read.
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
