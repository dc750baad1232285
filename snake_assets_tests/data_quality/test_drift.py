"""Splits that are drawn alike and splits that are not: by their photos, and answers by their species."""

from pathlib import Path

import numpy as np
import pytest

from snake_assets.data_quality.drift import Drift, answer_balance, measure_drift, told_apart
from snake_assets_tests.written import vector_rows, write


def drawn(seed: int, rows: int = 300, shift: float = 0.0, dims: int = 24) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(rows, dims)).astype(np.float32)
    vectors[:, 0] += shift
    return vectors


def test_splits_drawn_alike_are_not_told_apart():
    aucs = [told_apart(drawn(2 * seed), drawn(2 * seed + 1)) for seed in range(20)]
    assert np.mean([drift.auc for drift in aucs]) == pytest.approx(0.5, abs=0.02)
    # The standard error says how far a single one may be off.
    assert np.std([drift.auc for drift in aucs]) == pytest.approx(aucs[0].standard_error, rel=0.5)


def test_a_shift_is_told_by_as_much_as_theory_says():
    # AUC of two normal distributions, two standard deviations apart: Phi(2 / sqrt 2) = 0.921.
    drift = told_apart(drawn(0, 2000), drawn(1, 2000, shift=2.0))
    assert drift.auc == pytest.approx(0.921, abs=0.015)
    assert drift.standard_error < 0.006


def test_more_dims_than_photos_or_constant_columns_are_no_drift():
    assert told_apart(drawn(0, 60, dims=400), drawn(1, 60, dims=400)).auc == pytest.approx(0.5, abs=0.15)
    flat = np.zeros((50, 4), np.float32)
    assert told_apart(flat, flat).auc == 0.5


def test_an_observation_counts_once(tmp_path: Path):
    repeated = np.repeat(drawn(0, 30), 10, axis=0)
    shards = [vector_rows(repeated[:100], "t", 10), vector_rows(repeated[100:], "u", 10)]
    table = write(tmp_path / "cls" / "train", shards)
    other = write(tmp_path / "cls" / "test", [vector_rows(drawn(1, 200), "x")])
    drift = measure_drift(table, other)
    assert drift is not None
    assert drift.observations == 30
    few = write(tmp_path / "cls" / "val", [vector_rows(drawn(1, 24), "x")])
    assert measure_drift(table, few) is None


def test_what_is_usual_is_subtracted_but_never_less_than_chance():
    drift = Drift(0.8, 0.03, 100)
    assert drift.above(Drift(0.7, 0.04, 100)) == pytest.approx((0.1, 0.05))
    assert drift.above(Drift(0.45, 0.04, 100)) == pytest.approx((0.3, 0.03))
    assert drift.above(None) == pytest.approx((0.3, 0.03))


def test_answers_are_at_a_distance_from_train():
    alike, apart = answer_balance([1, 1, 2], {1: 20, 2: 10}), answer_balance([8, 9], {1: 5, 2: 5})
    assert alike.distance == pytest.approx(0) and alike.excess < 0
    assert apart.distance == 1 and next(iter(apart.shares)) == 1 and apart.shares[8] == (0, 0.5)
    one_for_all = answer_balance([1] * 50, dict.fromkeys(range(10), 30))
    assert one_for_all.distance == pytest.approx(0.9) and one_for_all.excess > 0.7


def test_the_expected_distance_is_the_mean_over_draws():
    trained = {class_id: 3 * class_id for class_id in range(1, 12)}
    classes, counts = list(trained), np.array(list(trained.values()))
    rng = np.random.default_rng(0)
    drawn = [
        answer_balance(rng.choice(classes, 40, p=counts / counts.sum()).tolist(), trained) for _ in range(400)
    ]
    assert np.mean([balance.distance for balance in drawn]) == pytest.approx(drawn[0].expected, rel=0.02)
