"""Folds on which everything is chosen: whole observations, exact duplicates kept together."""

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from snake_assets.learning.errors import LearningError

ALWAYS_TRAINING = -1


def grouped_folds(
    observation_id: Sequence[str],
    class_id: npt.NDArray[np.integer],
    sha256: Sequence[str] | None,
    folds: int,
    seed: int,
    most_held_out: int | None = None,
) -> npt.NDArray[np.int64]:
    """Assign every photo to the fold in which it is held out: int64 [N], 0..K-1 or `ALWAYS_TRAINING`.

    Observations that share a file digest, directly or through others, form one group; a group is
    never divided. Groups are dealt so that each class is spread over the folds as evenly as its
    groups allow. Every class is on the training side of every fold: a class that would lie wholly
    in one fold (it has a single group, say) keeps a group that is never held out, marked -1. Such
    a class teaches in every fold but may not be scored in any.

    With fewer groups than `folds` there are as many folds as groups; K = max + 1 and no fold is empty.

    Args:
        observation_id: observation of each photo, N.
        class_id: species of each photo, [N].
        sha256: file digest of each photo, N; None looks for no duplicates.
        folds: how many folds to aim at, at least 2.
        seed: order in which groups of equal size are dealt.
        most_held_out: how many photos may be held out in all; the groups beyond it, drawn at random, are
            only trained on.

    Raises:
        LearningError: no photo, `folds` below 2, or nothing that could be held out, because every
            species has a single observation.
    """
    if folds < 2:
        raise LearningError(f"{folds} folds: at least 2 are needed, one to train on and one to be held out.")
    if len(observation_id) == 0:
        raise LearningError("There is no photo to make folds of.")
    groups = _groups(observation_id, sha256)
    classes, labels = np.unique(class_id, return_inverse=True)
    counts = np.zeros((groups.max() + 1, classes.size), dtype=np.int32)
    np.add.at(counts, (groups, labels), 1)

    fold_of_group = _deal(counts, min(folds, len(counts)), np.random.default_rng(seed))
    _pin_classes_of_one_fold(fold_of_group, counts)
    if most_held_out is not None:
        _hold_out_at_most(most_held_out, fold_of_group, counts.sum(axis=1), seed)
    held_out = np.unique(fold_of_group[fold_of_group != ALWAYS_TRAINING])
    if held_out.size == 0:
        raise LearningError(
            "Every species has a single observation, so none can be held out and nothing can be chosen: "
            "add observations, at least two of some species."
        )
    renumbered = np.where(
        fold_of_group == ALWAYS_TRAINING, ALWAYS_TRAINING, np.searchsorted(held_out, fold_of_group)
    )
    return renumbered[groups]


def _groups(observation_id: Sequence[str], sha256: Sequence[str] | None) -> npt.NDArray[np.int64]:
    # Union-find over observations: a digest joins all observations in which it occurs.
    parent: dict[Hashable, Hashable] = {}

    def root(key: Hashable) -> Hashable:
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for row, observation in enumerate(observation_id):
        here = root(("observation", str(observation)))
        if sha256 is not None:
            parent[root(("digest", str(sha256[row])))] = here
    numbers: dict[Hashable, int] = {}
    roots = [root(("observation", str(observation))) for observation in observation_id]
    return np.array([numbers.setdefault(key, len(numbers)) for key in roots], dtype=np.int64)


def _hold_out_at_most(
    photos: int, fold_of_group: npt.NDArray[np.int64], photos_of_group: npt.NDArray[np.int64], seed: int
) -> None:
    # In random order, so that every fold is thinned alike; what comes after the limit is only trained on.
    # The first group stays held out whatever the limit.
    order = np.random.default_rng(seed).permutation(len(fold_of_group))
    order = order[fold_of_group[order] != ALWAYS_TRAINING]
    beyond = np.cumsum(photos_of_group[order]) > photos
    beyond[:1] = False
    fold_of_group[order[beyond]] = ALWAYS_TRAINING


def _deal(counts: npt.NDArray[np.int32], folds: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    # Rarest class first, its largest groups first, each to the fold that has least of that class, then
    # least of all: the classes with least room to manoeuvre get theirs, the common ones fill up the rest.
    rarity = np.argsort(np.argsort((counts > 0).sum(axis=0), kind="stable"), kind="stable")
    main_class = np.where(counts > 0, rarity, counts.shape[1]).argmin(axis=1)
    order = np.lexsort((rng.permutation(len(counts)), -counts.sum(axis=1), rarity[main_class]))
    load = np.zeros((folds, counts.shape[1]), dtype=np.int64)
    totals = np.zeros(folds, dtype=np.int64)
    fold_of_group = np.empty(len(counts), dtype=np.int64)
    for group in order:
        fold = np.lexsort((totals, load[:, main_class[group]]))[0]
        fold_of_group[group] = fold
        load[fold] += counts[group]
        totals[fold] += counts[group].sum()
    return fold_of_group


def _pin_classes_of_one_fold(fold_of_group: npt.NDArray[np.int64], counts: npt.NDArray[np.int32]) -> None:
    for column in counts.T:
        of_class = np.flatnonzero(column)
        if np.unique(fold_of_group[of_class]).size == 1:
            smallest = of_class[column[of_class].argmin()]
            fold_of_group[smallest] = ALWAYS_TRAINING
