"""The photos of a fine-tuning, out of the shards of `image_table`: nothing is unpacked to files.

Item n of a training is a function of n and the seed alone: which photo comes when, how it is cut and
coloured, and what it is mixed with. So a training that goes on after a kill sees what an undisturbed one
sees, whoever reads.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from snake_assets.storage.tables.table import Table
from snake_assets.vision.decoding.decode import decode
from snake_assets.vision.finetuning.settings import FinetuneSettings
from snake_assets.vision.preprocessing.transforms import Preprocessing

if TYPE_CHECKING:
    import torch

Integers = npt.NDArray[np.int64]
# Photos are read a block of neighbouring rows at a time; so many blocks are open, and shuffled together.
BLOCK, OPEN_BLOCKS = 64, 32


@dataclass(frozen=True, eq=False)
class LabelledPhotos:
    """Some photos of an `image_table`.

    Attributes:
        images: the table.
        rows: of it, counted through all shards, ascending, int64 [N].
        labels: the class of each, int64 [N].
    """

    images: Table
    rows: Integers
    labels: Integers

    def __len__(self) -> int:
        """How many."""
        return len(self.rows)


@dataclass(frozen=True, eq=False)
class _Bytes:
    """The files of photos by their numbers, whose blocks stay in memory while they are in use."""

    photos: LabelledPhotos
    _open: OrderedDict[tuple[int, int], list[bytes]] = field(default_factory=OrderedDict)

    @cached_property
    def _starts(self) -> Integers:
        return np.cumsum([0, *(shard.rows for shard in self.photos.images.manifest.shards)])

    @cached_property
    def blocks(self) -> list[Integers]:
        """Numbers of photos that are read together."""
        shard = np.searchsorted(self._starts, self.photos.rows, side="right") - 1
        place = (self.photos.rows - self._starts[shard]) // BLOCK
        _, block = np.unique(shard * (1 << 32) + place, return_inverse=True)
        return np.split(np.arange(len(block)), np.flatnonzero(np.diff(block)) + 1)

    def of(self, number: int) -> bytes:
        row = int(self.photos.rows[number])
        shard = int(np.searchsorted(self._starts, row, side="right")) - 1
        place = row - int(self._starts[shard])
        key = (shard, place // BLOCK)
        if key not in self._open:
            described = self.photos.images.manifest.shards[shard]
            first = place // BLOCK * BLOCK
            rows = range(first, min(first + BLOCK, described.rows))
            read = self.photos.images.rows(described, rows, ["image"])["image"].to_pylist()
            self._open[key] = read
            if len(self._open) > OPEN_BLOCKS:
                self._open.popitem(last=False)
        self._open.move_to_end(key)
        return self._open[key][place % BLOCK]


@dataclass(frozen=True, eq=False)
class TrainingItems:
    """What a training sees, photo by photo: a dataset as `torch.utils.data` asks for it.

    Attributes:
        photos: to learn from.
        preprocessing: of the backbone.
        settings: of the training.
        length: of the whole training, all epochs one after the other.
    """

    photos: LabelledPhotos
    preprocessing: Preprocessing
    settings: FinetuneSettings
    length: int

    def __len__(self) -> int:
        """How many there are in all."""
        return self.length

    def __getitem__(self, number: int) -> dict[str, Any]:
        """`photo`, uint8 [h, w, 3]; `label`; and the number itself."""
        import torch

        epoch, place = divmod(number, len(self.photos))
        photo = int(self._order(epoch)[place])
        rgb = decode(self._bytes.of(photo), at_least=self.preprocessing.needed_side)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_seed(self.settings.seed, number))
            changed = self._augmentation(torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1))
        label = int(self.photos.labels[photo])
        return {"photo": changed.permute(1, 2, 0), "label": label, "number": number}

    @cached_property
    def _bytes(self) -> _Bytes:
        return _Bytes(self.photos)

    @cached_property
    def _orders(self) -> dict[int, Integers]:
        return {}

    def _order(self, epoch: int) -> Integers:
        """Photos of an epoch: blocks in any order, and the photos of `OPEN_BLOCKS` of them in any order."""
        if epoch not in self._orders:
            self._orders.clear()
            rng = np.random.default_rng([self.settings.seed, epoch])
            blocks = self._bytes.blocks
            dealt = rng.permutation(len(blocks))
            windows = [dealt[start : start + OPEN_BLOCKS] for start in range(0, len(dealt), OPEN_BLOCKS)]
            self._orders[epoch] = np.concatenate(
                [rng.permutation(np.concatenate([blocks[one] for one in window])) for window in windows]
            )
        return self._orders[epoch]

    @cached_property
    def _augmentation(self) -> Any:
        from torchvision.transforms import v2

        own = self.settings
        by = (
            v2.InterpolationMode.BILINEAR
            if self.preprocessing.resample == 2
            else v2.InterpolationMode.BICUBIC
        )
        steps: list[Any] = [
            v2.RandomResizedCrop(self.preprocessing.input_size, (own.least_area, 1.0), interpolation=by),
            v2.RandomHorizontalFlip(),
        ]
        if own.upside_down:
            steps.append(v2.RandomVerticalFlip())
        if own.colour:
            # Hue tells species apart.
            steps.append(v2.ColorJitter(own.colour, own.colour, own.colour, own.colour / 15))
        if own.erasing:
            grey = [round(mean / self.preprocessing.rescale_factor) for mean in self.preprocessing.mean]
            steps.append(v2.RandomErasing(own.erasing, value=grey))
        return v2.Compose(steps)


@dataclass(frozen=True, eq=False)
class HeldOutItems:
    """Photos as the backbone itself wants them: a dataset likewise."""

    photos: LabelledPhotos
    preprocessing: Preprocessing

    def __len__(self) -> int:
        """How many photos."""
        return len(self.photos)

    def __getitem__(self, number: int) -> dict[str, Any]:
        """As of `TrainingItems`; -1 is no number of a training."""
        import torch

        rgb = decode(self._bytes.of(number), at_least=self.preprocessing.needed_side)
        photo = torch.from_numpy(self.preprocessing.resized(rgb))
        return {"photo": photo, "label": int(self.photos.labels[number]), "number": -1}

    @cached_property
    def _bytes(self) -> _Bytes:
        return _Bytes(self.photos)


@dataclass(frozen=True)
class Collation:
    """Makes a batch of items, mixed where the settings say so."""

    preprocessing: Preprocessing
    settings: FinetuneSettings
    classes: int

    def __call__(self, items: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """`photos`, uint8 [B, h, w, 3], and `labels`, int64 [B]; mixed, `pixel_values` and float [B, C]."""
        import torch

        photos = torch.stack([item["photo"] for item in items])
        labels = torch.tensor([item["label"] for item in items])
        first, mixing = items[0]["number"], self._mixing
        if mixing is not None and first >= 0:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(_seed(self.settings.seed + 1, first))
                photos, labels = mixing(self.preprocessing.pixel_values(photos), labels)
        return {"photos": photos, "labels": labels}

    @property
    def _mixing(self) -> Any:
        from torchvision.transforms import v2

        own = self.settings
        ways: list[Any] = [
            way(alpha=alpha, num_classes=self.classes)
            for way, alpha in ((v2.MixUp, own.mixup), (v2.CutMix, own.cutmix))
            if alpha
        ]
        return v2.RandomChoice(ways) if ways else None


def _seed(seed: int, number: int) -> int:
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
