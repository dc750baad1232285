"""Photos that stand in both train and val: what a classifier may know by heart, and a score may flatter."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import CLS, FeatureTable
from snake_assets.learning.near_duplicates import near_duplicates

NEAR_COSINE = 0.99
MOST_PAIRS = 1_000_000


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


def find_leakage(
    train: FeatureTable, val: FeatureTable, least_cosine: float = NEAR_COSINE, most_pairs: int = MOST_PAIRS
) -> Leakage:
    """Find the photos of val that also stand in train: the same file, or CLS tokens that are nearly the same.

    They are when their cosine, with the mean of train's tokens subtracted first, is above `least_cosine`.

    A photo of val that has several partners is listed once, with an exact one if there is any, else with
    the most alike.

    Raises:
        LearningError: a table has no file digests or no CLS token.
    """
    if train.sha256 is None or val.sha256 is None:
        raise LearningError("Without file digests nobody can say whether a photo stands in both splits.")
    train_cls, val_cls = (table.matrix([CLS]) for table in (train, val))
    # What all photos share says nothing; to a backbone that was never trained it is nearly everything.
    centre = train_cls.mean(axis=0)
    near = near_duplicates(val_cls, least_cosine, train_cls, centre, most_pairs)
    exact = _exact_pairs(train.sha256, val.sha256)
    pairs = np.vstack([exact, near.pairs])
    same_file = np.arange(len(pairs)) < len(exact)
    cosines = np.concatenate([np.ones(len(exact)), near.cosine])
    best_first = np.lexsort((pairs[:, 1], pairs[:, 0], -cosines, ~same_file))
    partner: dict[int, int] = {}
    for number in best_first.tolist():
        partner.setdefault(int(pairs[number, 0]), number)
    return Leakage(
        leaks=[
            Leak(
                observation_id=val.observation_id[row],
                image_id=val.image_id[row],
                class_id=_species(val, row),
                train_image_id=train.image_id[pairs[number, 1]],
                train_class_id=_species(train, pairs[number, 1]),
                cosine=float(cosines[number]),
                exact=bool(same_file[number]),
            )
            for row, number in partner.items()
        ],
        unfinished=near.truncated,
    )


def _exact_pairs(train: Sequence[str], val: Sequence[str]) -> npt.NDArray[np.int64]:
    row_of = {digest: row for row, digest in reversed(list(enumerate(train)))}
    pairs = [(row, row_of[digest]) for row, digest in enumerate(val) if digest in row_of]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _species(table: FeatureTable, row: int) -> int | None:
    return None if table.class_id is None else int(table.class_id[row])
