"""Photos that stand in both train and val: what a classifier may know by heart, and a score may flatter."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from snake_assets.learning.cross_validation.near_duplicates import near_duplicates
from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import CLS, FeatureTable

NEAR_COSINE, MOST_PAIRS = 0.99, 1_000_000


@dataclass(frozen=True)
class Leak:
    """A photo of val, and the photo of train that it most resembles.

    `exact` means that the two files are the same; `cosine` is that of their CLS tokens less the mean of
    train's.
    """

    observation_id: str
    image_id: str
    class_id: int | None
    train_image_id: str
    train_class_id: int | None
    cosine: float
    exact: bool


@dataclass(frozen=True)
class Leakage:
    """All leaks, exact ones first, then the most alike.

    `unfinished` means that photos of val and train were alike in more pairs than are looked through, as
    happens with a backbone that hardly tells photos apart: exact copies are then all found, others not.
    """

    leaks: Sequence[Leak]
    unfinished: bool

    @property
    def exact(self) -> int:
        """Photos of val whose very file stands in train."""
        return sum(leak.exact for leak in self.leaks)

    @property
    def observations(self) -> list[str]:
        """Observations of val with at least one such photo, in the order of the leaks."""
        return list(dict.fromkeys(leak.observation_id for leak in self.leaks))


def find_leakage(train: FeatureTable, val: FeatureTable, most_pairs: int = MOST_PAIRS) -> Leakage:
    """Find the photos of val that also stand in train: the same file, or a cosine of CLS tokens above 0.99.

    A photo of val that has several partners is listed once, with an exact one if there is any, else with
    the most alike.

    Raises:
        LearningError: a table has no file digests or no CLS token.
    """
    if train.sha256 is None or val.sha256 is None:
        raise LearningError("Without file digests nobody can say whether a photo stands in both splits.")
    train_cls, val_cls = (table.matrix([CLS]) for table in (train, val))
    # What all photos share says nothing; to a backbone that was never trained it is nearly everything.
    near = near_duplicates(val_cls, NEAR_COSINE, train_cls, train_cls.mean(axis=0), most_pairs)
    row_of = {digest: row for row, digest in reversed(list(enumerate(train.sha256)))}
    pairs = [(row, row_of[digest], 1.0, True) for row, digest in enumerate(val.sha256) if digest in row_of]
    pairs += [
        (row, other, cosine, False)
        for (row, other), cosine in zip(near.pairs.tolist(), near.cosine.tolist(), strict=True)
    ]
    best: dict[int, Leak] = {}
    for row, other, cosine, exact in sorted(pairs, key=lambda pair: (not pair[3], -pair[2], *pair[:2])):
        best.setdefault(
            row,
            Leak(
                observation_id=val.observation_id[row],
                image_id=val.image_id[row],
                class_id=_species(val, row),
                train_image_id=train.image_id[other],
                train_class_id=_species(train, other),
                cosine=float(np.float32(cosine)),
                exact=exact,
            ),
        )
    return Leakage(list(best.values()), near.truncated)


def _species(table: FeatureTable, row: int) -> int | None:
    return None if table.class_id is None else int(table.class_id[row])
