"""Decision rules: from an observation's probabilities to one species, as pure functions."""

from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from snake_assets.learning.errors import LearningError
from snake_assets.snakeclef.metric import COSTS

DecisionRule = Literal["argmax", "track1", "track2"]
RULES: tuple[DecisionRule, ...] = ("argmax", "track1", "track2")


def decide(
    rule: DecisionRule,
    probabilities: npt.NDArray[np.floating],
    class_ids: npt.NDArray[np.integer],
    venomous: npt.NDArray[np.bool_] | None,
    prior: npt.NDArray[np.floating],
) -> npt.NDArray[np.int32]:
    """The species of each observation under a rule: the likeliest, or that of least expected loss.

    Args:
        rule: "argmax", "track1" (`expected_track1_losses`) or "track2" (`expected_track2_costs`).
        probabilities: one row per observation, [O, C], finite.
        class_ids: species of each column, ascending, [C].
        venomous: whether each is medically important venomous, [C]; only "argmax" does without it.
        prior: share of each among the observations, [C]; only "track1" looks at it.

    Returns:
        class_id of each observation, int32 [O]; equal candidates are settled for the lowest.

    Raises:
        LearningError: the rule needs to know which species are venomous.
    """
    if rule == "argmax":
        return argmax(probabilities, class_ids)
    losses = expected_losses(rule, probabilities, venomous, prior)
    return np.asarray(class_ids[losses.argmin(axis=1)], dtype=np.int32)


def expected_losses(
    rule: DecisionRule,
    probabilities: npt.NDArray[np.floating],
    venomous: npt.NDArray[np.bool_] | None,
    prior: npt.NDArray[np.floating],
) -> npt.NDArray[np.float64]:
    """What answering each species is expected to cost under "track1" or "track2": float64 [O, C].

    Arguments and errors as in `decide`.
    """
    if venomous is None:
        raise LearningError(
            f"The rule {rule} weighs venomous against harmless species, and which are venomous is not known: "
            "set the rule argmax."
        )
    if rule == "track1":
        return expected_track1_losses(probabilities, venomous, prior)
    return expected_track2_costs(probabilities, venomous)


def argmax(
    probabilities: npt.NDArray[np.floating], class_ids: npt.NDArray[np.integer]
) -> npt.NDArray[np.int32]:
    """The most probable species: probabilities [O, C], ascending class_ids [C] -> class_id, int32 [O]."""
    return np.asarray(class_ids[probabilities.argmax(axis=1)], dtype=np.int32)


def expected_track1_losses(
    probabilities: npt.NDArray[np.floating],
    venomous: npt.NDArray[np.bool_],
    prior: npt.NDArray[np.floating],
) -> npt.NDArray[np.float64]:
    """Expected loss of Track 1 by answering each species, near the top: float64 [O, C].

    With the prior q and m_t = sum of q over t's group (harmless or venomous), one confusion of truth t with
    answer a takes from N observations' Track 1, in points x 11 N / 100,

        w(t, a) / m_t                  with w = 1 (h->h), 2 (h->v), 5 (v->h), 2 (v->v), and
        (1/(2 q_t) + 1/(2 q_a)) / C    from macro F1,

    because F1 = 2TP / (2TP + FP + FN) falls from 1 by about 1/(2n) for one miss and for one false alarm, and
    C species are averaged. The expectation is over the truth; a right answer costs nothing. A species that
    the prior has never seen counts as half as frequent as the rarest one seen. Arguments as in `decide`.
    """
    exact = np.asarray(probabilities, dtype=np.float64)
    shares = np.asarray(prior, dtype=np.float64)
    shares = np.maximum(shares, shares[shares > 0].min() / 2)
    # A group without a species has no truths either: what it is divided by does not matter.
    harmless, dangerous = (float(shares[venomous == flag].sum()) or 1.0 for flag in (False, True))
    losses = expected_track2_costs(exact, venomous, (harmless, dangerous))
    # Macro F1 of answer a: the sum over t != a of p_t (1/q_t + 1/q_a), divided by 2C.
    half = 1 / (2 * len(shares) * shares)
    losses += (exact * half).sum(axis=1)[:, None] + np.outer(exact.sum(axis=1), half)
    losses -= exact * (2 * half)
    return losses


def expected_track2_costs(
    probabilities: npt.NDArray[np.floating],
    venomous: npt.NDArray[np.bool_],
    group_sizes: tuple[float, float] = (1.0, 1.0),
) -> npt.NDArray[np.float64]:
    """Expected Track 2 cost of answering each species: [O, C], [C] -> float64 [O, C].

    An error costs 1 (h->h), 2 (h->v), 5 (v->h) or 2 (v->v), divided by the size of the truth's group
    (harmless, venomous); being right costs nothing.
    """
    # With the harmless mass H, the venomous mass V and the answer's own probability p, the cost is
    # H c(h, answer) + V c(v, answer) - p c(own group, answer). Written so, two species of one group
    # with equal p cost exactly the same, and ties are ties.
    exact = np.asarray(probabilities, dtype=np.float64)
    harmless = exact[:, ~venomous].sum(axis=1) / group_sizes[False]
    dangerous = exact[:, venomous].sum(axis=1) / group_sizes[True]
    if_answer_harmless, if_answer_venomous = (
        (harmless * COSTS[False, flag] + dangerous * COSTS[True, flag])[:, None] for flag in (False, True)
    )
    own_harmless, own_venomous = (COSTS[flag, flag] / group_sizes[flag] for flag in (False, True))
    costs: npt.NDArray[np.float64] = np.where(venomous, if_answer_venomous, if_answer_harmless)
    costs -= exact * np.where(venomous, own_venomous, own_harmless)
    return costs


def safest_class(
    prior: npt.NDArray[np.floating],
    class_ids: npt.NDArray[np.integer],
    venomous: npt.NDArray[np.bool_] | None,
) -> int:
    """The species of least expected Track 2 cost when only the prior [C] is known: for no readable photo.

    It is the most frequent one where it is not known which are venomous.
    """
    rule: DecisionRule = "argmax" if venomous is None else "track2"
    return int(decide(rule, prior[None, :], class_ids, venomous, prior)[0])


def venom_gap(
    class_ids: Iterable[int], venomous: Mapping[int, bool], names: Mapping[int, str] | None = None
) -> str | None:
    """Which species have no venom status, in a sentence that says what is left out; None where all have one.

    Venom counts as known only where it is known of every species: a score or a probability that takes those
    without a status for harmless would pretend.

    Args:
        class_ids: all species that are true or can be answered.
        venomous: class_id -> is medically important venomous, of any species.
        names: of species, as far as they have one.
    """
    species = {int(class_id) for class_id in class_ids}
    lacking = sorted(species - venomous.keys())
    if not lacking:
        return None
    first = f"class_id {lacking[0]}"
    if names and lacking[0] in names:
        first = f"{names[lacking[0]]} ({first})"
    return (
        f"{len(lacking)} of {len(species)} species have no venom status, {first} first: Track 1 and Track 2, "
        "p_venomous, and the rules track1 and track2 are left out. A status for every species in "
        "venomous.csv brings them."
    )


def known_venom(class_ids: Iterable[int], venomous: Mapping[int, bool]) -> Mapping[int, bool] | None:
    """The venom statuses where every one of the species has one; else None, for not known."""
    return venomous if venom_gap(class_ids, venomous) is None else None


def venom_flags(
    class_ids: npt.NDArray[np.integer], venomous: Mapping[int, bool]
) -> npt.NDArray[np.bool_] | None:
    """Whether each species is venomous, bool [C]; None, for not known, where one has no status."""
    known = known_venom(class_ids, venomous)
    return None if known is None else np.array([known[one] for one in class_ids.tolist()], dtype=bool)
