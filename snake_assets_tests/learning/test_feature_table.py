"""The feature table refuses what would be learned from wrongly."""

import dataclasses

import numpy as np
import pytest

from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import FeatureTable
from snake_assets_tests.learning.tables import species_table


def test_matrix_puts_blocks_in_the_order_asked_for() -> None:
    table = species_table()
    matrix = table.matrix(["patch_mean", "cls"])
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(matrix, np.hstack([table.blocks["patch_mean"], table.blocks["cls"]]))


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
        ({"blocks": {"cls": np.zeros(48)}}, "should be"),
        ({"blocks": {"clss": np.zeros((48, 2))}}, "'clss' is unknown"),
        ({"blocks": {}}, "at least one block"),
        ({"image_id": ["same"] * 48}, "'same' stands twice"),
        ({"class_id": np.full(48, -1)}, "whole numbers from 0"),
        ({"class_id": np.full(48, 0.5)}, "whole numbers from 0"),
    ],
)
def test_columns_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(LearningError, match=message):
        dataclasses.replace(species_table(), **change)  # type: ignore[arg-type]


def test_an_absent_block_cannot_be_asked_for() -> None:
    with pytest.raises(LearningError, match="dct"):
        species_table().matrix(["cls", "dct"])


def test_numpy_strings_become_plain_ones() -> None:
    names = list(np.array(["o"]))
    table = FeatureTable(["a"], names, {"cls": np.zeros((1, 1), dtype=np.float32)})
    assert type(names[0]) is np.str_
    assert type(table.observation_id[0]) is str
