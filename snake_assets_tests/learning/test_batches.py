"""Batches: every photo in its turn, or every species."""

import numpy as np
import torch

from snake_assets.learning.batches import BalancedBatches, ShuffledBatches


def test_every_photo_comes_once_before_any_comes_again() -> None:
    batches = ShuffledBatches(10, 4, seed=0)
    drawn = [batches.next() for _ in range(5)]
    assert all(batch is not None and len(batch) == 4 for batch in drawn)
    rows = torch.cat([batch for batch in drawn if batch is not None])
    assert sorted(rows[:10].tolist()) == sorted(rows[10:].tolist()) == list(range(10))


def test_one_batch_of_all_is_no_selection() -> None:
    assert ShuffledBatches(10, 10, seed=0).next() is None


def test_species_are_drawn_alike_and_so_are_their_photos() -> None:
    labels = np.array([3] * 90 + [0] * 9 + [1])
    batches = BalancedBatches(labels, 100, seed=1)
    rows = torch.cat([batches.next() for _ in range(300)]).numpy()
    assert len(rows) == 30_000
    shares = np.bincount(labels[rows], minlength=4) / len(rows)
    np.testing.assert_allclose(shares, [1 / 3, 1 / 3, 0, 1 / 3], atol=0.02)
    of_common = np.bincount(rows, minlength=100)[:90]
    assert of_common.min() > 60 and of_common.max() < 170


def test_the_seed_decides() -> None:
    labels = np.repeat([0, 1], 20)
    first, again, other = (BalancedBatches(labels, 16, seed=seed).next().tolist() for seed in (1, 1, 2))
    assert first == again != other
