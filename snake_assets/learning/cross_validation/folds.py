"""Folds on which everything is chosen: whole observations, exact and near duplicates kept together."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from snake_assets.learning.errors import LearningError

ALWAYS_TRAINING = -1
Integers = npt.NDArray[np.int64]


def grouped_folds(
    observation_id: Sequence[str],
    class_id: npt.NDArray[np.integer],
    sha256: Sequence[str] | None,
    folds: int,
    seed: int,
    alike: npt.NDArray[np.integer] | None = None,
    taught: npt.NDArray[np.bool_] | None = None,
) -> Integers:
    """Assign every photo to the fold in which it is held out: int64 [N], 0..K-1 or `ALWAYS_TRAINING`.

    Observations that share a file digest or a group of `alike`, directly or through others, form one
    group; a group is never divided. Groups are dealt so that each class is spread over the folds as
    evenly as its groups allow. Every class is on the training side of every fold: a class that would
    lie wholly in one fold (it has a single group, say) keeps a group that is never held out, marked
    -1. Such a class teaches in every fold but may not be scored in any.

    With fewer groups than `folds` there are as many folds as groups; K = max + 1 and no fold is empty.

    Args:
        observation_id: observation of each photo, N.
        class_id: species of each photo, [N].
        sha256: file digest of each photo, N; None looks for no duplicates.
        folds: how many folds to aim at, at least 2.
        seed: order in which groups of equal size are dealt.
        alike: number of the group of near duplicates that each photo is in, [N]; None looks for none.
        taught: whether a photo's class is taught by others, which are always trained on, bool [N]: all of
            such a class may be held out together. None for no class.

    Raises:
        LearningError: no photo, `folds` below 2, or nothing that could be held out, because every
            species has a single observation.
    """
    if folds < 2:
        raise LearningError(f"{folds} folds: at least 2 are needed, one to train on and one to be held out.")
    if len(observation_id) == 0:
        raise LearningError("There is no photo to make folds of.")
    groups = _groups(observation_id, sha256, alike)
    labels = np.unique(class_id, return_inverse=True)[1]
    classes, count = int(labels.max()) + 1, int(groups.max()) + 1
    # Photos of each class in each group, one entry per pair that occurs, by group.
    pairs, photos = np.unique(groups * classes + labels, return_counts=True)
    group, label = np.divmod(pairs, classes)
    fold_of_group = _deal(group, label, photos, min(folds, count), np.random.default_rng(seed))
    by_label = np.argsort(label, kind="stable")
    elsewhere = np.zeros(classes, bool) if taught is None else np.isin(np.arange(classes), labels[taught])
    for number, own in enumerate(np.split(by_label, np.cumsum(np.bincount(label))[:-1])):
        if not elsewhere[number] and np.unique(fold_of_group[group[own]]).size == 1:
            fold_of_group[group[own][photos[own].argmin()]] = ALWAYS_TRAINING
    held_out = np.unique(fold_of_group[fold_of_group != ALWAYS_TRAINING])
    if held_out.size == 0:
        raise LearningError(
            "Every species has a single observation, so none can be held out and nothing can be chosen: "
            "add observations, at least two of some species."
        )
    renumbered = np.searchsorted(held_out, fold_of_group)
    return np.where(fold_of_group == ALWAYS_TRAINING, ALWAYS_TRAINING, renumbered)[groups]


def _groups(
    observation_id: Sequence[str], *others: "Sequence[str] | npt.NDArray[np.integer] | None"
) -> Integers:
    # Photos joined by an observation, a file or near duplicates; 0, 1, ... by first photo.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    photos = len(observation_id)
    ends = []
    for names in (observation_id, *others):
        if names is not None:
            _, first, which = np.unique(np.asarray(names), return_index=True, return_inverse=True)
            ends.append(first[which])
    own, to = np.tile(np.arange(photos), len(ends)), np.concatenate(ends)
    edges = coo_array((np.ones(len(own), np.int8), (own, to)), shape=(photos, photos))
    component = connected_components(edges, directed=False)[1]
    _, first, which = np.unique(component, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[which]


def _deal(
    group: Integers, label: Integers, photos: Integers, folds: int, rng: np.random.Generator
) -> Integers:
    # Rarest class first, its largest groups first, each to the fold that has least of that class, then
    # least of all: the classes with least room to manoeuvre get theirs, the common ones fill up the rest.
    rarity = np.argsort(np.argsort(np.bincount(label), kind="stable"), kind="stable")
    by_rarity = np.lexsort((rarity[label], group))
    size = np.bincount(group, photos)
    starts = np.searchsorted(group, np.arange(len(size) + 1))
    main_class = label[by_rarity[starts[:-1]]]
    order = np.lexsort((rng.permutation(len(size)), -size, rarity[main_class]))
    load = np.zeros((folds, len(rarity)), dtype=np.int64)
    totals = np.zeros(folds, dtype=np.int64)
    fold_of_group = np.empty(len(size), dtype=np.int64)
    for one in order:
        fold = np.lexsort((totals, load[:, main_class[one]]))[0]
        own = slice(starts[one], starts[one + 1])
        fold_of_group[one] = fold
        load[fold, label[own]] += photos[own]
        totals[fold] += photos[own].sum()
    return fold_of_group
