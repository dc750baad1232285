"""Decision rules: from an observation's probabilities to one species.

All functions are pure; equal candidates are settled for the lowest class_id, whatever the column order.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from snake_assets.learning.errors import LearningError
from snake_assets.snakeclef.metric import COSTS

DecisionRule = Literal["argmax", "least_cost"]
RULES: tuple[DecisionRule, ...] = ("argmax", "least_cost")


def decide(
    rule: DecisionRule,
    probabilities: npt.NDArray[np.floating],
    class_ids: npt.NDArray[np.integer],
    venomous: npt.NDArray[np.bool_],
) -> npt.NDArray[np.int32]:
    """Apply a decision rule by name; arguments and result as in `least_cost`."""
    if rule == "argmax":
        return argmax(probabilities, class_ids)
    return least_cost(probabilities, class_ids, venomous)


def argmax(
    probabilities: npt.NDArray[np.floating], class_ids: npt.NDArray[np.integer]
) -> npt.NDArray[np.int32]:
    """The most probable species: probabilities [O, C], class_ids [C] -> class_id, int32 [O]."""
    order = np.argsort(class_ids)
    best = probabilities[:, order].argmax(axis=1)
    return np.asarray(class_ids[order][best], dtype=np.int32)


def least_cost(
    probabilities: npt.NDArray[np.floating],
    class_ids: npt.NDArray[np.integer],
    venomous: npt.NDArray[np.bool_],
) -> npt.NDArray[np.int32]:
    """The species with the least expected Track 2 cost (errors h->h 1, h->v 2, v->h 5, v->v 2).

    Args:
        probabilities: one row per observation, [O, C], finite.
        class_ids: species of each column, [C].
        venomous: whether each column's species is medically important venomous, [C].

    Returns:
        class_id of each observation, int32 [O].
    """
    order = np.argsort(class_ids)
    costs = expected_costs(probabilities[:, order], venomous[order])
    return np.asarray(class_ids[order][costs.argmin(axis=1)], dtype=np.int32)


def expected_costs(
    probabilities: npt.NDArray[np.floating], venomous: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Expected Track 2 cost of answering each species: [O, C], [C] -> float64 [O, C].

    With the harmless mass H, the venomous mass V and the answer's own probability p, the cost is
    H c(h, answer) + V c(v, answer) - p c(own group, answer): being right costs nothing. Written so,
    two species of one group with equal p cost exactly the same, and ties are ties.
    """
    exact = np.asarray(probabilities, dtype=np.float64)
    harmless_mass, venomous_mass = exact[:, ~venomous].sum(axis=1), exact[:, venomous].sum(axis=1)
    flags = [bool(flag) for flag in venomous]
    if_harmless = np.array([COSTS[False, flag] for flag in flags])
    if_venomous = np.array([COSTS[True, flag] for flag in flags])
    own = np.array([COSTS[flag, flag] for flag in flags])
    costs: npt.NDArray[np.float64] = (
        np.outer(harmless_mass, if_harmless) + np.outer(venomous_mass, if_venomous) - exact * own
    )
    return costs


def safest_class(
    prior: npt.NDArray[np.floating], class_ids: npt.NDArray[np.integer], venomous: npt.NDArray[np.bool_]
) -> int:
    """The species with the least expected cost when only the prior [C] is known: for no readable photo."""
    return int(least_cost(prior[None, :], class_ids, venomous)[0])


def venom_flags(
    class_ids: Sequence[int] | npt.NDArray[np.integer], venomous: Mapping[int, bool]
) -> npt.NDArray[np.bool_]:
    """Whether each species is venomous, bool [C].

    Raises:
        LearningError: the venom list lacks a species.
    """
    missing = [int(class_id) for class_id in class_ids if int(class_id) not in venomous]
    if missing:
        raise LearningError(
            f"The venom list lacks {len(missing)} species of the training photos, class_id {missing[:5]}: "
            f"use the venom list that came with this metadata."
        )
    return np.array([venomous[int(class_id)] for class_id in class_ids], dtype=bool)
