"""Confidence intervals of the official scores: the percentile bootstrap over observations.

Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), section 13.3. What is drawn again is the
observation, because photos of one observation are not independent of each other.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from snake_assets.learning.decision.rules import venom_flags
from snake_assets.learning.errors import LearningError
from snake_assets.snakeclef.metric import COSTS, RATE_NAMES

DRAWS, LEVEL = 1000, 0.95
# Draws counted at a time: bounds the memory, whatever their number.
BLOCK = 50

Interval = tuple[float, float]
DrawnScores = dict[str, npt.NDArray[np.float64]]
Integers = npt.NDArray[np.integer]


def draw_observations(observations: int, draws: int = DRAWS, seed: int = 0) -> npt.NDArray[np.int32]:
    """Rows of as many observations drawn with replacement, int32 [draws, observations].

    The same arguments give the same rows, so that two ways of answering are compared on the same draws.

    Raises:
        LearningError: nothing to draw from, or no draw.
    """
    if observations < 1 or draws < 1:
        raise LearningError(
            f"{draws} draws from {observations} observations: at least one of each is needed."
        )
    return np.random.default_rng(seed).integers(observations, size=(draws, observations), dtype=np.int32)


def drawn_scores(
    truth: Integers, predicted: Integers, venomous: Mapping[int, bool], rows: Integers
) -> DrawnScores:
    """The official scores of every draw, equal to `snakeclef.metric.score` to the last digit.

    Args:
        truth: class_id of every observation, [O].
        predicted: predicted class_id of every observation, [O].
        venomous: class_id -> is venomous, for all that occur.
        rows: observations of each draw, [B, O'], O' at least 1.

    Returns:
        "track1", "track2", "f1" and "accuracy", each float64 [B].

    Raises:
        LearningError: the venom list lacks a class.
    """
    classes, codes = np.unique(np.concatenate([truth, predicted]), return_inverse=True)
    true_codes, guess_codes = codes[: len(truth)], codes[len(truth) :]
    flags = venom_flags(classes, venomous)
    # 8 cells: truth venomous, prediction venomous, species wrong.
    cells = 4 * flags[true_codes] + 2 * flags[guess_codes] + (true_codes != guess_codes)
    parts: list[DrawnScores] = []
    for start in range(0, len(rows), BLOCK):
        drawn = rows[start : start + BLOCK]
        f1 = _macro_f1(true_codes[drawn], guess_codes[drawn], len(classes))
        parts.append(_official(_count(cells[drawn], 8), f1))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def interval(values: npt.NDArray[np.float64]) -> Interval:
    """The middle 95 % of the draws, (low, high), both of them values that were drawn."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values, [tail, 1 - tail], method="inverted_cdf")
    return float(low), float(high)


def _official(counts: npt.NDArray[np.int64], f1: npt.NDArray[np.float64]) -> DrawnScores:
    """Scores from the counts of the 8 cells [B, 8] and macro F1 in 0..1 [B], rounded as the organisers do."""
    errors = {cell: counts[:, 4 * cell[0] + 2 * cell[1] + 1] for cell in COSTS}
    groups = {flag: np.maximum(counts[:, 4 * flag : 4 * flag + 4].sum(axis=1), 1) for flag in (False, True)}
    rates = {name: _rounded(100 * errors[cell] / groups[cell[0]]) for name, cell in RATE_NAMES.items()}
    rounded_f1 = _rounded(100 * f1)
    weighted = rounded_f1 + sum(COSTS[cell] * (100 - rates[name]) for name, cell in RATE_NAMES.items())
    return {
        "track1": _rounded(weighted / (1 + sum(COSTS.values()))),
        "track2": np.asarray(sum(COSTS[cell] * count for cell, count in errors.items()), dtype=np.float64),
        "f1": rounded_f1,
        "accuracy": _rounded(100 * (counts[:, ::2].sum(axis=1) / counts.sum(axis=1))),
    }


def _macro_f1(truth: Integers, predicted: Integers, classes: int) -> npt.NDArray[np.float64]:
    """Macro F1 of codes [B, O] over the union of each draw's true and predicted classes, float64 [B]."""
    totals = _count(truth, classes) + _count(predicted, classes)
    # A wrong answer is counted in a column of its own, which is dropped.
    hits = _count(np.where(truth == predicted, truth, classes), classes + 1)[:, :classes]
    # Draw by draw, over present classes alone: the same additions in the same order as in the metric.
    return np.array(
        [np.mean(2 * hit[total > 0] / total[total > 0]) for hit, total in zip(hits, totals, strict=True)]
    )


def _count(codes: Integers, kinds: int) -> npt.NDArray[np.int64]:
    """How often each code 0..kinds-1 stands in each row: [B, O] -> int64 [B, kinds]."""
    offsets = kinds * np.arange(len(codes))[:, None]
    return np.bincount((codes + offsets).ravel(), minlength=kinds * len(codes)).reshape(len(codes), kinds)


def _rounded(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    # numpy rounds 100x, which differs from the organisers' round() where that product is inexact.
    return np.array([round(value, 2) for value in values.tolist()])
