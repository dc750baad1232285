"""Which photos a training step sees."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch


class ShuffledBatches:
    """One batch after another of all photos in a new order each time; None stands for all photos at once."""

    def __init__(self, photos: int, size: int, seed: int) -> None:
        import torch

        self._photos, self._size = photos, size
        self._generator = torch.Generator().manual_seed(seed)
        self._left = torch.empty(0, dtype=torch.int64)

    def next(self) -> "torch.Tensor | None":
        """Rows of the next batch. What an order leaves over opens the next batch: all are of one size."""
        import torch

        if self._photos <= self._size:
            return None
        if len(self._left) < self._size:
            self._left = torch.cat([self._left, torch.randperm(self._photos, generator=self._generator)])
        batch, self._left = self._left[: self._size], self._left[self._size :]
        return batch


class BalancedBatches:
    """Batches drawn with replacement: each photo's species first, all as likely, then one of its photos."""

    def __init__(self, labels: npt.NDArray[np.integer], size: int, seed: int) -> None:
        import torch

        self._size = min(len(labels), size)
        self._by_label = torch.from_numpy(np.argsort(labels, kind="stable"))
        photos = np.bincount(labels)
        first = np.concatenate([[0], np.cumsum(photos)[:-1]])
        self._photos, self._first = (torch.from_numpy(values[photos > 0]) for values in (photos, first))
        self._generator = torch.Generator().manual_seed(seed)

    def next(self) -> "torch.Tensor":
        """Rows of the next batch."""
        import torch

        species = torch.randint(len(self._photos), (self._size,), generator=self._generator)
        within = torch.rand(self._size, generator=self._generator, dtype=torch.float64)
        place = self._first[species] + (within * self._photos[species]).long()
        return self._by_label[place]
