"""Checks of embedding tables, made for whatever tables there are."""

from collections.abc import Mapping, Sequence
from functools import partial

from snake_assets.data_quality.findings import Findings, account_for_rows, of_one_recipe
from snake_assets.data_quality.vectors import examine_vectors, vector_dims
from snake_assets.defs.checks.factory import Check, Site, each, files_unchanged
from snake_assets.defs.checks.image_table import IMAGES
from snake_assets.storage.tables.table import Table, open_table

# What every row of vectors carries on from its photo.
CARRIED = ["image_id", "observation_id", "class_id", "sha256"]


def vector_checks(tables: Sequence[str]) -> list[Check]:
    """The checks of the embedding tables that come out of one pass over `image_table`.

    A table that no split has is off, and passes saying so.
    """
    return [check for name in tables for check in _checks_of(name, tables)]


def _checks_of(name: str, of_one_pass: Sequence[str]) -> list[Check]:
    return [
        files_unchanged(name),
        Check(
            name,
            "rows_accounted_for",
            "Every photo of image_table has its row, in its place, or is a named reject.",
            "Holds every split's rows and rejects against image_table: image_id, observation_id, class_id "
            "and digest of the photo. A vector under another photo's name would teach and score a lie. When "
            "it fails, materialize the embeddings for the split.",
            partial(_rows, name=name),
        ),
        Check(
            name,
            "vectors_sound",
            "All vectors are finite and of one dimension, and no column is constant.",
            "Looks at every value: NaN or infinite ones, vectors of other dims than train's, and columns "
            "that have one value for all photos (of 8 or more). Such vectors mean a broken model, precision "
            "or file, and a classifier would learn that. When it fails, materialize the split again with "
            "SNAKE_PRECISION=fp32 or bf16; if it fails again, the backbone's weights are at fault.",
            partial(_vectors, name=name),
        ),
        Check(
            name,
            "one_recipe",
            "All shards, the tables of one pass, and all splits were made by one recipe.",
            "Compares backbone, weights, preprocessing, resolution, precision and all else that decides a "
            "vector, between shards, the tables of one pass, and each split and train. Vectors of two "
            "recipes cannot be compared, and a score across them means nothing. When it fails, materialize "
            "the embeddings of the split that it names with the settings of the other.",
            partial(_recipe, name=name, of_one_pass=of_one_pass),
        ),
    ]


def _rows(site: Site, name: str) -> Mapping[str, Findings]:
    def examine(table: Table) -> Findings:
        images = open_table(site.store.folder(IMAGES, table.manifest.split))
        return account_for_rows(table, images.read(CARRIED))

    return each(site.tables(name), examine)


def _vectors(site: Site, name: str) -> Mapping[str, Findings]:
    tables = site.tables(name)
    dims = vector_dims(tables["train"]) if "train" in tables else None
    return each(tables, partial(examine_vectors, dims=dims))


def _recipe(site: Site, name: str, of_one_pass: Sequence[str]) -> Mapping[str, Findings]:
    tables, others = site.tables(name), [site.tables(other) for other in of_one_pass if other != name]

    def examine(table: Table) -> Findings:
        split = str(table.manifest.split)
        same_pass = [other[split] for other in others if split in other]
        return of_one_recipe(table, same_pass=same_pass, same_table=tables.get("train"))

    return each(tables, examine)
