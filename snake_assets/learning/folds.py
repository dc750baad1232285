"""Folds on which everything is chosen: whole observations, exact and near duplicates kept together."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

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
    alike: npt.NDArray[np.integer] | None = None,
) -> npt.NDArray[np.int64]:
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
        most_held_out: how many photos may be held out in all; the groups beyond it, drawn at random, are
            only trained on.
        alike: number of the group of near duplicates that each photo is in, [N]; None looks for none.

    Raises:
        LearningError: no photo, `folds` below 2, or nothing that could be held out, because every
            species has a single observation.
    """
    if folds < 2:
        raise LearningError(f"{folds} folds: at least 2 are needed, one to train on and one to be held out.")
    if len(observation_id) == 0:
        raise LearningError("There is no photo to make folds of.")
    groups = _groups(observation_id, sha256, alike)
    held = _Holdings.of(groups, np.unique(class_id, return_inverse=True)[1])
    fold_of_group = _deal(held, min(folds, held.groups), np.random.default_rng(seed))
    _pin_classes_of_one_fold(fold_of_group, held)
    if most_held_out is not None:
        _hold_out_at_most(most_held_out, fold_of_group, np.bincount(groups), seed)
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


def _groups(
    observation_id: Sequence[str], sha256: Sequence[str] | None, alike: npt.NDArray[np.integer] | None
) -> npt.NDArray[np.int64]:
    # Union-find over observations: a digest, or a group of near duplicates, joins all observations in
    # which it occurs.
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
        if alike is not None:
            parent[root(("alike", int(alike[row])))] = here
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


@dataclass(frozen=True, eq=False)
class _Holdings:
    """How many photos of which class each group holds, one entry per pair that occurs, by group."""

    group: npt.NDArray[np.int64]
    label: npt.NDArray[np.int64]
    photos: npt.NDArray[np.int64]

    @classmethod
    def of(cls, groups: npt.NDArray[np.int64], labels: npt.NDArray[np.integer]) -> "_Holdings":
        classes = int(labels.max()) + 1
        pairs, photos = np.unique(groups * classes + labels, return_counts=True)
        return cls(pairs // classes, pairs % classes, photos)

    @property
    def groups(self) -> int:
        return int(self.group[-1]) + 1

    @property
    def classes(self) -> int:
        return int(self.label.max()) + 1


def _deal(held: _Holdings, folds: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    # Rarest class first, its largest groups first, each to the fold that has least of that class, then
    # least of all: the classes with least room to manoeuvre get theirs, the common ones fill up the rest.
    rarity = np.argsort(np.argsort(np.bincount(held.label), kind="stable"), kind="stable")
    by_rarity = np.lexsort((rarity[held.label], held.group))
    starts = np.searchsorted(held.group, np.arange(held.groups + 1))
    main_class = held.label[by_rarity[starts[:-1]]]
    size = np.bincount(held.group, held.photos)
    order = np.lexsort((rng.permutation(held.groups), -size, rarity[main_class]))
    load = np.zeros((folds, held.classes), dtype=np.int64)
    totals = np.zeros(folds, dtype=np.int64)
    fold_of_group = np.empty(held.groups, dtype=np.int64)
    for group in order:
        fold = np.lexsort((totals, load[:, main_class[group]]))[0]
        own = slice(starts[group], starts[group + 1])
        fold_of_group[group] = fold
        load[fold, held.label[own]] += held.photos[own]
        totals[fold] += held.photos[own].sum()
    return fold_of_group


def _pin_classes_of_one_fold(fold_of_group: npt.NDArray[np.int64], held: _Holdings) -> None:
    by_label = np.argsort(held.label, kind="stable")
    for own in np.split(by_label, np.cumsum(np.bincount(held.label))[:-1]):
        groups = held.group[own]
        if np.unique(fold_of_group[groups]).size == 1:
            fold_of_group[groups[held.photos[own].argmin()]] = ALWAYS_TRAINING
