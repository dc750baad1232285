"""Which photos a detector is trained on, and which are held out to judge it.

Copies of a photo on both sides would be a lie: photos with the same bytes, or that look alike, straight or
mirrored (looks.py), stay on one side.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from snake_assets.detection.box_files import BoxedPhoto
from snake_assets.detection.errors import DetectionError
from snake_assets.detection.looks import Look, alike, look_of
from snake_assets.vision.decoding.errors import UnreadablePhoto

HELD_OUT = 0.2


@dataclass(frozen=True, eq=False)
class Sides:
    """Photos by what they are for.

    Attributes:
        training: the detector learns from these.
        held_out: it is judged on these.
        left_out: for neither: they were to be learnt from, and repeat a photo that is held out.
        alike: photos that repeat another one, of those that were split.
    """

    training: tuple[BoxedPhoto, ...]
    held_out: tuple[BoxedPhoto, ...]
    left_out: tuple[BoxedPhoto, ...]
    alike: int


def split_sides(photos: Sequence[BoxedPhoto], share: float = HELD_OUT, seed: int = 0) -> Sides:
    """Split photos; those that have a side of their own keep it.

    Of the others, groups of photos that repeat each other are held out in the order of a hash of the seed and
    the bytes, until there are enough: with a photo more, hardly any changes its side. A photo of the training
    side that repeats one of an official held-out side is left out.

    Args:
        photos: with at least two groups.
        share: of the photos that are to be held out, above 0 and below 1; a part of a photo is one more.
        seed: another one, other sides.

    Raises:
        DetectionError: a photo cannot be decoded, or none with a box would be held out.
    """
    group = _groups(photos)
    official = any(photo.side for photo in photos)
    held_out = (
        np.array([photo.side == "val" for photo in photos])
        if official
        else np.isin(group, _drawn_groups(photos, group, share, seed))
    )
    repeats = np.isin(group, group[held_out]) & ~held_out
    sides = Sides(
        training=_chosen(photos, ~held_out & ~repeats),
        held_out=_chosen(photos, held_out),
        left_out=_chosen(photos, repeats),
        alike=len(photos) - len(np.unique(group)),
    )
    if not any(len(photo.boxes) for photo in sides.held_out):
        raise DetectionError(
            f"Of {len(photos)} photos ({sides.alike} repeat another one), {len(sides.held_out)} are held "
            "out, and none of them has a box: draw boxes on more photos, or set another held_out or seed."
        )
    return sides


def with_more_to_learn(sides: Sides, photos: Sequence[BoxedPhoto]) -> Sides:
    """The same sides with more photos to learn from; those that repeat a photo held out are left out.

    Raises:
        DetectionError: a photo cannot be decoded.
    """
    group = _groups([*sides.held_out, *photos])
    repeats = np.isin(group[len(sides.held_out) :], group[: len(sides.held_out)])
    return replace(
        sides,
        training=(*sides.training, *_chosen(photos, ~repeats)),
        left_out=(*sides.left_out, *_chosen(photos, repeats)),
    )


def _drawn_groups(
    photos: Sequence[BoxedPhoto], group: NDArray[np.int64], share: float, seed: int
) -> list[int]:
    """Numbers of the groups that are held out."""
    wanted = math.ceil(share * len(photos))
    sizes = np.bincount(group)
    first: dict[int, str] = {}
    for number, photo in zip(group.tolist(), photos, strict=True):
        first[number] = min(photo.sha256, first.get(number, photo.sha256))
    drawn: list[int] = []
    for number in sorted(first, key=lambda one: hashlib.sha256(f"{seed} {first[one]}".encode()).digest()):
        if sizes[[*drawn, number]].sum() <= wanted:
            drawn.append(number)
    return drawn


def _groups(photos: Sequence[BoxedPhoto]) -> NDArray[np.int64]:
    """Which photos repeat each other, directly or through others: a number for each, int64 [N]."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = alike([_look(photo) for photo in photos])
    first: dict[str, int] = {}
    same = [(first.setdefault(photo.sha256, number), number) for number, photo in enumerate(photos)]
    edges = np.concatenate([pairs, np.array(same, dtype=np.int64).reshape(-1, 2)])
    shape = (len(photos), len(photos))
    matrix = coo_array((np.ones(len(edges), dtype=np.int8), (edges[:, 0], edges[:, 1])), shape=shape)
    return connected_components(matrix, directed=False)[1].astype(np.int64)


def _look(photo: BoxedPhoto) -> Look:
    try:
        return look_of(photo.path.read_bytes())
    except (UnreadablePhoto, OSError) as error:
        raise DetectionError(f"{photo.path} cannot be decoded ({error}): mend or remove it.") from error


def _chosen(photos: Sequence[BoxedPhoto], which: NDArray[np.bool_]) -> tuple[BoxedPhoto, ...]:
    return tuple(photo for photo, chosen in zip(photos, which, strict=True) if chosen)
