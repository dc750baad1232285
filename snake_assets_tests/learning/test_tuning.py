"""What a backbone is tuned on: whole observations with all that resembles them are on one side."""

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import FeatureTable
from snake_assets.learning.tuning import TuningTask, tuning_task
from snake_assets_tests.learning.tables import VENOMOUS, species_table
from snake_assets_tests.written import write


def task_of(root: Path, table: FeatureTable, seed: int = 3) -> TuningTask:
    """A task on photos that lie in `image_table` the other way round, behind one that no table has."""
    rows = pa.table({"image_id": ["rejected.jpg", *reversed(table.image_id)]})
    images = write(root / "image_table" / "train", [rows.slice(0, 7), rows.slice(7)])
    return tuning_task(images, table, VENOMOUS, 0.25, seed)


def own_rows(task: TuningTask, table: FeatureTable) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the feature table that are learned from, and that are scored."""
    count = len(table)
    return count - task.photos.rows, count - task.scored.rows


@pytest.mark.parametrize("seed", range(4))
def test_copies_and_near_copies_are_on_one_side_and_all_of_a_species_of_one_observation_is_learned(
    seed: int, tmp_path: Path
) -> None:
    table = species_table(spread=0.6)
    vectors, digests = table.blocks["cls"].copy(), list(table.sha256 or ())
    digests[2] = digests[9]  # of two observations of species 3
    vectors[14] = vectors[21] + 1e-4  # nearly the same photo in two of species 7
    table = dataclasses.replace(table, blocks={**table.blocks, "cls": vectors}, sha256=digests)
    table = table.rows(np.arange(38))  # of species 30 one observation is left
    task = task_of(tmp_path, table, seed)
    learned, scored = own_rows(task, table)
    assert sorted([*learned, *scored]) == list(range(38))
    assert task.held_out == len(scored) > 4

    def values_of(rows: np.ndarray, column: list[str]) -> set[str]:
        return {column[row] for row in rows}

    for column in (list(table.observation_id), digests):
        assert not values_of(learned, column) & values_of(scored, column)
    assert np.isin([14, 21], learned).all() or np.isin([14, 21], scored).all()
    assert task.never_held_out == [30]
    assert {36, 37} <= set(learned)
    assert sorted(task.seen) == sorted(digests[row] for row in learned)
    assert np.array([3, 7, 12, 30])[task.photos.labels].tolist() == table.rows(learned).class_id.tolist()
    assert task_of(tmp_path / "again", table, seed).seen == task.seen


def test_it_starts_at_a_probe_of_what_is_learned_and_judges_whole_observations(tmp_path: Path) -> None:
    table = species_table()
    task = task_of(tmp_path, table)
    learned, scored = own_rows(task, table)
    vectors = np.hstack([table.blocks["cls"], table.blocks["patch_mean"]])
    logits = vectors @ task.start.weight + task.start.bias
    assert (logits[learned].argmax(1) == task.photos.labels).mean() > 0.95
    assert task.judge(logits[scored])["track1"] > 90
    assert task.judge(np.eye(4, dtype=np.float32)[task.scored.labels]) == {"track1": 100, "f1": 100}
    assert task.judge(np.eye(4, dtype=np.float32)[3 - task.scored.labels])["f1"] == 0
    np.testing.assert_allclose(task.start.prior, np.bincount(task.photos.labels) / len(learned), rtol=1e-6)
    # Rows and columns are species 3, 7, 12, 30; venomous ones are the second and the last.
    assert task.start.costs is not None
    assert task.start.costs.tolist() == [[0, 2, 1, 2], [5, 0, 5, 2], [1, 2, 0, 2], [5, 2, 5, 0]]


def test_what_nothing_can_be_held_out_of_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LearningError, match="single observation"):
        task_of(tmp_path / "one", species_table(observations=1))
    with pytest.raises(LearningError, match="of one species: tuning needs two"):
        task_of(tmp_path / "two", species_table(classes=(3,)))
