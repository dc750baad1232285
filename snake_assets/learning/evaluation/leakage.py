"""Photos that stand in both train and val: what a classifier may know by heart, and a score may flatter."""

from collections.abc import Sequence
from dataclasses import dataclass

from snake_assets.learning.cross_validation.near_duplicates import near_duplicates
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
    class_id: int
    train_image_id: str
    train_class_id: int
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
    the most alike. Both tables are labelled, and have file digests and CLS tokens.
    """
    assert train.sha256 and val.sha256 is not None and train.class_id is not None and val.class_id is not None
    train_cls = train.blocks[CLS]
    # What all photos share says nothing; to a backbone that was never trained it is nearly everything.
    near = near_duplicates(val.blocks[CLS], train_cls, NEAR_COSINE, train_cls.mean(axis=0), most_pairs)
    row_of = {digest: row for row, digest in reversed(list(enumerate(train.sha256)))}
    pairs = [(False, 1.0, row, row_of[digest]) for row, digest in enumerate(val.sha256) if digest in row_of]
    pairs += [
        (True, cosine, *pair) for pair, cosine in zip(near.pairs.tolist(), near.cosine.tolist(), strict=True)
    ]
    best: dict[int, Leak] = {}
    for differs, cosine, row, other in sorted(pairs, key=lambda pair: (pair[0], -pair[1], *pair[2:])):
        leak = Leak(
            observation_id=val.observation_id[row],
            image_id=val.image_id[row],
            class_id=int(val.class_id[row]),
            train_image_id=train.image_id[other],
            train_class_id=int(train.class_id[other]),
            cosine=cosine,
            exact=not differs,
        )
        best.setdefault(row, leak)
    return Leakage(list(best.values()), near.truncated)
