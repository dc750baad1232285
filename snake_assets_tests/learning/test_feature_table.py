"""The feature table refuses what would be learned from wrongly."""

import dataclasses

import numpy as np
import pytest

from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import FeatureTable
from snake_assets_tests.learning.tables import species_table


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_no_number_is_named_with_block_and_photo(bad: float) -> None:
    table = species_table()
    values = table.blocks["patch_mean"].copy()
    values[5, 1] = bad
    with pytest.raises(LearningError, match=r"'patch_mean' of photo 'train/5\.jpg'.*1 of 48"):
        dataclasses.replace(table, blocks=table.blocks | {"patch_mean": values})


def test_infinities_of_both_signs_do_not_hide_each_other() -> None:
    values = np.zeros((2, 2), dtype=np.float32)
    values[0, 0], values[1, 0] = np.inf, -np.inf
    with pytest.raises(LearningError, match="2 of 2"):
        FeatureTable(["a", "b"], ["a", "b"], {"cls": values})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"observation_id": ["one"]}, "48 photos but 1 rows of observation_id"),
        ({"class_id": np.zeros(3, dtype=np.int32)}, "48 photos but 3 rows of class_id"),
        ({"sha256": ["x"]}, "48 photos but 1 rows of sha256"),
        ({"blocks": {"cls": np.zeros((47, 2))}}, "48 photos but 47 rows of cls"),
        ({"blocks": {"clss": np.zeros((48, 2))}}, "'clss' is unknown"),
    ],
)
def test_columns_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(LearningError, match=message):
        dataclasses.replace(species_table(), **change)  # type: ignore[arg-type]
