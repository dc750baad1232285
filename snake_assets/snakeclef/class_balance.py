"""How many photos and observations each species of a table has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from snake_assets.storage.tables import Table


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
