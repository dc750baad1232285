"""The feature table: one row per photo, with its vectors in named blocks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snake_assets.learning.errors import LearningError

CLS, PATCH_MEAN, DCT = "cls", "patch_mean", "dct"
# CLS of the layers before the last, mean patch of the middle layer.
EARLIER_CLS, MIDDLE_MEAN = "earlier_cls", "middle_mean"
WHOLE_BLOCKS: tuple[str, ...] = (CLS, PATCH_MEAN, EARLIER_CLS, MIDDLE_MEAN, DCT)
# The same of the crop to the snake, where there are crops.
CROP_OF_BLOCK = {name: f"crop_{name}" for name in WHOLE_BLOCKS}
CROP_BLOCKS = tuple(CROP_OF_BLOCK.values())
BLOCKS = (*WHOLE_BLOCKS, *CROP_BLOCKS)


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Photos of one split with their vectors; checked on construction.

    Attributes:
        image_id: name of every photo, no two alike.
        observation_id: the observation that each photo belongs to.
        blocks: name, one of `BLOCKS` -> float32 [N, D], all finite.
        class_id: the species, int32 [N]; None where it is unknown.
        sha256: digest of each photo's file, by which exact duplicates are found; or None.
        seen: whether a backbone was fine-tuned on the photo, bool [N]; None for backbones that were not.
        fingerprint: how the vectors were made (backbone, preprocessing); None where nobody recorded it.

    Raises:
        LearningError: columns of other lengths, a block of an unknown name, a value that is NaN or infinite.
    """

    image_id: Sequence[str]
    observation_id: Sequence[str]
    blocks: dict[str, npt.NDArray[np.float32]]
    class_id: npt.NDArray[np.int32] | None = None
    sha256: Sequence[str] | None = None
    seen: npt.NDArray[np.bool_] | None = None
    fingerprint: str | None = None

    def __post_init__(self) -> None:
        """Check all fields; errors as above."""
        photos = len(self.image_id)
        names = ("observation_id", "class_id", "sha256", "seen")
        columns = {name: getattr(self, name) for name in names}
        for name, column in (columns | self.blocks).items():
            if column is not None and len(column) != photos:
                raise LearningError(
                    f"{photos} photos but {len(column)} rows of {name}: rows went missing on the way."
                )
        for name, values in self.blocks.items():
            if name not in BLOCKS:
                raise LearningError(f"Block {name!r} is unknown: a table holds {', '.join(BLOCKS)}.")
            # A sum is finite only if every term is, so rows are looked at one by one only after a failure.
            with np.errstate(invalid="ignore"):
                total = values.sum(dtype=np.float64)
            if not np.isfinite(total):
                bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
                raise LearningError(
                    f"Block {name!r} of photo {self.image_id[bad[0]]!r} holds a NaN or an infinite value "
                    f"({bad.size} of {photos} photos do). Compute this split's embeddings again, in fp32 or "
                    "bf16."
                )

    def __len__(self) -> int:
        """How many photos."""
        return len(self.image_id)

    @property
    def dims(self) -> dict[str, int]:
        """Columns of each block."""
        return {name: values.shape[1] for name, values in self.blocks.items()}

    def present(self, names: Sequence[str]) -> list[str]:
        """Those of the names that the table has a block of, in the order asked for."""
        return [name for name in names if name in self.blocks]

    def rows(self, rows: npt.NDArray[np.integer]) -> "FeatureTable":
        """Some of the photos, in the order of their row numbers given."""
        return FeatureTable(
            image_id=[self.image_id[row] for row in rows.tolist()],
            observation_id=[self.observation_id[row] for row in rows.tolist()],
            blocks={name: values[rows] for name, values in self.blocks.items()},
            class_id=None if self.class_id is None else self.class_id[rows],
            sha256=None if self.sha256 is None else [self.sha256[row] for row in rows.tolist()],
            seen=None if self.seen is None else self.seen[rows],
            fingerprint=self.fingerprint,
        )
