"""Whether a submission names species about as often as train does."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, floor, lgamma, log


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
