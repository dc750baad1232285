"""The head: the optimum of logistic regression, whatever its columns look like."""

import numpy as np
import pytest

from snake_assets.learning.decision.pooling import softmax
from snake_assets.learning.errors import LearningError
from snake_assets.learning.linear_head import LinearHead, column_moments, fit_heads
from snake_assets_tests.learning.tables import species_table

TABLE = species_table(observations=20, spread=1.5)
LABELS = np.searchsorted([3, 7, 12, 30], TABLE.class_id)
BLOCKS = list(TABLE.blocks.values())


def fit(blocks: list[np.ndarray] = BLOCKS, strength: float = 0.1, **more: object) -> LinearHead:
    (head,) = fit_heads(blocks, LABELS, 4, [strength], 1, 0, **more)
    return head


def test_it_says_what_scikit_learns_logistic_regression_says_less_what_species_are_rare_by() -> None:
    from sklearn.linear_model import LogisticRegression

    # Of the first species a quarter of the photos.
    rows = np.flatnonzero((LABELS > 0) | (np.arange(len(TABLE)) % 4 == 0))
    features = np.hstack(BLOCKS)[rows]
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    model = LogisticRegression(C=0.1, max_iter=1000).fit(scaled, LABELS[rows])
    expected = softmax(model.predict_log_proba(scaled) - np.log(np.bincount(LABELS[rows])))
    found = fit(rows=rows).logits([block[rows] for block in BLOCKS])
    np.testing.assert_allclose(softmax(found), expected, atol=0.01)


def test_a_species_without_a_photo_is_not_made_likely() -> None:
    rows = np.flatnonzero(LABELS > 0)
    assert (fit(rows=rows).logits(BLOCKS).argmax(axis=1) > 0).all()


def test_heads_of_one_pass_are_those_of_passes_of_their_own() -> None:
    together = fit_heads(BLOCKS, LABELS, 4, [0.01, 1.0], 1, 0)
    for head, strength in zip(together, (0.01, 1.0), strict=True):
        np.testing.assert_allclose(head.weight, fit(strength=strength).weight, atol=0.01)
    assert np.abs(together[0].weight).sum() < np.abs(together[1].weight).sum()


def test_neither_scale_nor_offset_of_columns_matters_and_constant_ones_are_left_out() -> None:
    stretched = [block * np.float32(1000) + np.float32(500) for block in BLOCKS]
    np.testing.assert_allclose(fit(stretched).logits(stretched), fit().logits(BLOCKS), atol=0.02)
    constant = [*BLOCKS, np.full((len(TABLE), 2), 0.1, dtype=np.float32)]
    np.testing.assert_allclose(fit(constant).logits(constant), fit().logits(BLOCKS), atol=0.02)


def test_more_photos_than_a_batch_are_told_apart_too() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 5000)
    features = (rng.normal(size=(5, 12))[labels] + 0.5 * rng.normal(size=(5000, 12))).astype(np.float32)
    (head,) = fit_heads([features], labels, 5, [0.1], 2, 0)
    assert (head.logits([features]).argmax(axis=1) == labels).mean() > 0.97


def test_moments_far_from_zero_keep_their_digits() -> None:
    column = (1e4 + np.random.default_rng(1).normal(size=(6000, 1))).astype(np.float32)
    mean, scale = column_moments(column, np.arange(6000))
    assert mean[0] == pytest.approx(1e4, rel=1e-6) and scale[0] == pytest.approx(1, abs=0.05)


def test_no_photo_to_train_on_is_an_error() -> None:
    with pytest.raises(LearningError, match="No photo"):
        fit(rows=np.arange(0))
