"""Whether one split is like another: its photos, by the classifier two-sample test, and its species.

A classifier is trained to tell the two splits' photos apart and asked about photos that it has not seen.
Where the splits are drawn alike it can only guess, and the area under its ROC curve (AUC) is 0.5; 1 means
that no photo of one could be of the other. Lopez-Paz & Oquab, "Revisiting Classifier Two-Sample Tests", ICLR
2017, with AUC in place of accuracy, and the linear discriminant as the classifier. Its standard error is that
of Hanley & McNeil, "The meaning and use of the area under a ROC curve", Radiology 143 (1982).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, floor, lgamma, log

import numpy as np

from snake_assets.data_quality.vectors import Vectors, vectors_in
from snake_assets.storage.tables.table import Table

FOLDS = 5
FEWEST_OBSERVATIONS = 25
MOST_OBSERVATIONS = 2000
# Of the covariance, towards a multiple of the unit matrix: keeps more dims than photos from being overfitted.
SHRINKAGE = 0.1
CHANCE = 0.5


@dataclass(frozen=True)
class Drift:
    """How well two splits are told apart.

    Attributes:
        auc: the mean over folds, 0.5 (chance) to 1 (apart).
        standard_error: of `auc`.
        observations: asked of each split.
    """

    auc: float
    standard_error: float
    observations: int

    def above(self, usual: "Drift | None") -> tuple[float, float]:
        """By how much the AUC is above `usual` (or above chance, if that is more), and the standard error."""
        if usual is None or usual.auc <= CHANCE:
            return self.auc - CHANCE, self.standard_error
        return self.auc - usual.auc, float(np.hypot(self.standard_error, usual.standard_error))


def measure_drift(table: Table, other: Table) -> Drift | None:
    """How well the photos of `other` are told from those of `table`, by their CLS tokens.

    One photo of an observation is taken, since its photos are alike; as many observations of each split, at
    most `MOST_OBSERVATIONS`, spread evenly. None where one has fewer than `FEWEST_OBSERVATIONS`: too few to
    tell.

    Args:
        table: `dinov2_embeddings` of one split, usually train.
        other: that of another.
    """
    rows, other_rows = _one_row_an_observation(table), _one_row_an_observation(other)
    count = min(len(rows), len(other_rows), MOST_OBSERVATIONS)
    if count < FEWEST_OBSERVATIONS:
        return None
    return told_apart(_vectors(table, _spread(rows, count)), _vectors(other, _spread(other_rows, count)))


def told_apart(first: Vectors, second: Vectors) -> Drift:
    """How well rows of `first` and of `second`, [N, D] each, are told apart; every row is asked once."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.metrics import roc_auc_score

    aucs, squared_errors = [], []
    fold_of = np.arange(len(first)) % FOLDS
    for fold in range(FOLDS):
        seen, asked = (
            (np.vstack([first[of], second[of]]).astype(np.float64), np.repeat([0, 1], of.sum()))
            for of in (fold_of != fold, fold_of == fold)
        )
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=SHRINKAGE).fit(*seen)
        aucs.append(float(roc_auc_score(asked[1], model.decision_function(asked[0]))))
        squared_errors.append(_squared_error(aucs[-1], len(asked[1]) // 2))
    return Drift(float(np.mean(aucs)), float(np.sqrt(sum(squared_errors)) / FOLDS), len(first))


def _one_row_an_observation(table: Table) -> list[int]:
    first: dict[str, int] = {}
    for row, name in enumerate(table.read(["observation_id"])["observation_id"].to_pylist()):
        first.setdefault(name, row)
    return list(first.values())


def _spread(rows: list[int], count: int) -> list[int]:
    return [rows[at * len(rows) // count] for at in range(count)]


def _vectors(table: Table, wanted: list[int]) -> Vectors:
    """The CLS tokens of some rows, by their ascending numbers in the table."""
    parts, offset = [], 0
    for shard in table.manifest.shards:
        numbers = [row - offset for row in wanted if 0 <= row - offset < shard.rows]
        if numbers:
            parts.append(vectors_in(table.rows(shard, numbers, ["embedding"])["embedding"]))
        offset += shard.rows
    return np.vstack(parts)


def _squared_error(auc: float, count: int) -> float:
    """Hanley & McNeil's squared standard error of an AUC from `count` rows of each side."""
    both_above, both_below = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (count - 1) * (both_above + both_below - 2 * auc**2)
    return spread / count**2


@dataclass(frozen=True)
class AnswerBalance:
    """How far answers are from the frequencies that were learned from.

    Attributes:
        distance: total variation distance of the two distributions, 0 (alike) to 1 (no species in common).
        expected: the distance to be expected of as many observations drawn with train's frequencies.
        shares: by class_id, its share of train and of the answers; those that differ most come first.
    """

    distance: float
    expected: float
    shares: Mapping[int, tuple[float, float]]

    @property
    def excess(self) -> float:
        """By how much the distance is above what chance gives."""
        return self.distance - self.expected


def answer_balance(answers: Sequence[int], trained: Mapping[int, int]) -> AnswerBalance:
    """Hold answers, a class_id for each observation, against train's observations by class_id.

    The distance is half the sum over species of |share of the answers - share of train|. Few answers differ
    from any frequencies by chance: `expected` is exactly what draws from train's frequencies give on average,
    by de Moivre's formula for the mean deviation of a binomial (Diaconis & Zabell, "Closed form summation for
    classical distributions", Statistical Science 6, 1991).

    Args:
        answers: at least one.
        trained: observations of train by class_id, at least one in all.
    """
    counts, total = Counter(answers), sum(trained.values())
    deviations = (_mean_deviation(len(answers), observations / total) for observations in trained.values())
    share_of = {
        class_id: (trained.get(class_id, 0) / total, counts[class_id] / len(answers))
        for class_id in trained.keys() | counts.keys()
    }
    return AnswerBalance(
        distance=sum(abs(ours - theirs) for theirs, ours in share_of.values()) / 2,
        expected=sum(deviations) / (2 * len(answers)),
        shares=dict(sorted(share_of.items(), key=lambda item: (-abs(item[1][1] - item[1][0]), item[0]))),
    )


def _mean_deviation(draws: int, share: float) -> float:
    """E|X - n p| for X from the binomial distribution of n = `draws` and p = `share`."""
    if not 0 < share < 1:
        return 0.0
    above = floor(draws * share) + 1
    chances = lgamma(draws + 1) - lgamma(above + 1) - lgamma(draws - above + 1)
    return 2 * above * exp(chances + above * log(share) + (draws - above + 1) * log(1 - share))
