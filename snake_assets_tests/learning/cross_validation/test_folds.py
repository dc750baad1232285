"""Folds never separate what belongs together, and leave every species something to learn from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snake_assets.learning.cross_validation.folds import ALWAYS_TRAINING, grouped_folds
from snake_assets.learning.errors import LearningError

# Observation, species, file digest, group of near duplicates.
photo = st.tuples(st.integers(0, 12), st.integers(0, 3), st.integers(0, 20), st.integers(0, 20))


@given(st.lists(photo, min_size=1, max_size=60), st.integers(2, 6), st.integers(0, 5))
def test_groups_stay_whole_and_every_class_is_always_in_training(
    photos: list[tuple[int, int, int, int]], folds: int, seed: int
) -> None:
    observation = [f"o{one}" for one, _, _, _ in photos]
    class_id = np.array([one for _, one, _, _ in photos])
    sha256 = [f"d{one}" for _, _, one, _ in photos]
    alike = np.array([one for _, _, _, one in photos])
    try:
        fold = grouped_folds(observation, class_id, sha256, folds, seed, alike=alike)
    except LearningError:
        # Two groups of one and the same species can always be held out in turn.
        apart = {(observation[row], sha256[row], int(alike[row])) for row in range(len(photos))}
        unrelated = all(len({names[part] for names in apart}) == len(apart) for part in range(3))
        assert not (unrelated and len(apart) > len(set(class_id)))
        return
    for column in (observation, sha256, alike.tolist()):
        for name in set(column):
            assert len({fold[row] for row in range(len(photos)) if column[row] == name}) == 1
    assert 0 <= fold.max() < folds
    assert set(range(fold.max() + 1)) <= set(fold.tolist())
    for one in range(fold.max() + 1):
        assert set(class_id[fold != one]) == set(class_id)


def test_classes_are_spread_evenly() -> None:
    class_id = np.repeat([1, 2, 3], [50, 25, 10])
    fold = grouped_folds([f"o{row}" for row in range(85)], class_id, None, 5, 3)
    for label, share in ((1, 10), (2, 5), (3, 2)):
        assert np.bincount(fold[class_id == label], minlength=5).tolist() == [share] * 5


def test_a_class_of_one_observation_teaches_always_and_is_never_held_out() -> None:
    class_id = np.array([1, 1, 1, 1, 2])
    fold = grouped_folds(["a", "b", "c", "d", "lonely"], class_id, None, 2, 0)
    assert fold[4] == ALWAYS_TRAINING
    assert ALWAYS_TRAINING not in fold[:4]


def test_fewer_observations_than_folds_make_fewer_folds() -> None:
    fold = grouped_folds(["a", "b", "c", "d"], np.array([1, 1, 2, 2]), None, 9, 0)
    assert fold.max() + 1 == 4
    assert sorted(fold) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("photos", "folds", "message"), [(0, 5, "no photo"), (4, 1, "at least 2"), (2, 5, "single observation")]
)
def test_impossible_requests(photos: int, folds: int, message: str) -> None:
    with pytest.raises(LearningError, match=message):
        grouped_folds([str(row) for row in range(photos)], np.arange(photos), None, folds, 0)
