"""Checks of `image_table`, and of whatever embedding tables there are."""

from collections.abc import Mapping, Sequence
from functools import partial

from snake_assets.data_quality.findings import (
    Findings,
    account_for_rows,
    of_one_recipe,
    repeated_ids,
    too_many_rejects,
)
from snake_assets.data_quality.labels import labels_of, scarce_classes, shared_observations, unknown_classes
from snake_assets.data_quality.vectors import examine_vectors, vector_dims
from snake_assets.defs.checks.factory import Check, Site, each, files_unchanged
from snake_assets.snakeclef.image_table import copies_under_two_species
from snake_assets.storage.tables.table import Table, open_table

IMAGES = "image_table"


def _image_rows(site: Site) -> Mapping[str, Findings]:
    layout = site.layout

    def examine(table: Table) -> Findings:
        return account_for_rows(table, labels_of(layout.rows(str(table.manifest.split))))

    return each(site.tables(IMAGES), examine)


def _image_recipe(site: Site) -> Mapping[str, Findings]:
    tables = site.tables(IMAGES)
    return each(tables, partial(of_one_recipe, same_table=tables.get("train")))


def _one_species(site: Site) -> Mapping[str, Findings]:
    def examine(table: Table) -> Findings:
        copies = copies_under_two_species(table)
        named = [
            ", ".join(f"{name} (class_id {label})" for name, label in group) for group in copies.values()
        ]
        return Findings(
            [f"one photo as several species: {group}" for group in named], {"photos": len(copies)}
        )

    return each(site.tables(IMAGES), examine)


def _venom_statuses(site: Site) -> Mapping[str, Findings]:
    venomous, all_needed = site.venomous(), site.is_official
    return each(site.tables(IMAGES), partial(unknown_classes, venomous=venomous, all_needed=all_needed))


IMAGE_CHECKS = [
    files_unchanged(IMAGES),
    Check(
        IMAGES,
        "rows_accounted_for",
        "Every row of the metadata is a row, with its labels and in its place, or a named reject.",
        "Holds every split's rows and rejects against the metadata files: none lost, added, shifted or "
        "relabelled. A photo under another's label would teach and score a lie. When it fails, materialize "
        "raw_images and image_table for the split; if it fails again, look at the metadata that it names.",
        _image_rows,
    ),
    Check(
        IMAGES,
        "image_ids_unique",
        "No image_id stands twice in a split.",
        "Counts every image_id. Vectors and rejects are found by it, so one that stands twice gives two "
        "photos one answer. When it fails, keep one metadata line for the photo and materialize raw_images "
        "and image_table again.",
        lambda site: each(site.tables(IMAGES), repeated_ids),
    ),
    Check(
        IMAGES,
        "class_ids_in_venom_list",
        "The venom list has every class_id.",
        "Holds the class_ids against venomous_status_list.csv as it is now. A class that is not there has "
        "no cost, and no score can be told. When it fails, fetch the official list again or correct the "
        "metadata. Data in another layout may do without: then it passes, and says what is left out.",
        _venom_statuses,
    ),
    Check(
        IMAGES,
        "observations_in_one_split",
        "No observation stands in two splits.",
        "Holds the observation_ids of each split against those of the others that are there. Photos of one "
        "snake on both sides make a score that no stranger's snake will get. When it fails, take the named "
        "observations out of one metadata file and materialize raw_images and image_table for that split.",
        lambda site: shared_observations(site.tables(IMAGES)),
    ),
    Check(
        IMAGES,
        "one_species_for_copies",
        "No photo has exact copies under another species.",
        "Compares the digests of the files: warns of copies of one photo with several class_ids, by name. At "
        "most one of the labels can be right, and the classifier learns both. When it warns, take the wrong "
        "lines out of the metadata, or leave all of them out of training: leave_out_copies in the config of "
        "species_classifier.",
        _one_species,
        blocking=False,
    ),
    Check(
        IMAGES,
        "one_recipe",
        "All shards have the same columns, and all splits were read in the same way.",
        "Compares shards and splits: one fingerprint a table. Rows of two versions of the code may differ in "
        "what they leave out. When it fails, materialize image_table for the "
        "split that it names.",
        _image_recipe,
    ),
    Check(
        IMAGES,
        "few_rejects",
        "No more photos are rejected than the limit allows.",
        "Warns where more than most_rejects of a split's photos (default 0.01) could not be read. Many "
        "rejects mean a download cut short, a wrong folder, or a disk that is away. When it warns, mend the "
        "files that it names and materialize raw_images and image_table; single broken photos may stay.",
        lambda site: each(site.tables(IMAGES), partial(too_many_rejects, most=site.limits.most_rejects)),
        blocking=False,
    ),
    Check(
        IMAGES,
        "photos_for_every_species",
        "Every species of train has photos enough.",
        "Warns where a species of train has fewer photos than fewest_photos (default 5). Such species "
        "are guessed rather than known; macro F1 counts each as much as any other. When it warns, add "
        "photos, or read the report's row of that species with care.",
        lambda site: each(
            {split: table for split, table in site.tables(IMAGES).items() if split == "train"},
            partial(scarce_classes, fewest=site.limits.fewest_photos),
        ),
        blocking=False,
    ),
]

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
            "that have one value other than 0 for all photos (of 8 or more). Such vectors mean a broken "
            "model, precision or file, and a classifier would learn that. When it fails, materialize the "
            "split again with SNAKE_PRECISION=fp32 or bf16; if it fails again, the backbone's weights are at "
            "fault.",
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
