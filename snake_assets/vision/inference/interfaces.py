"""What a pass over the photos of `image_table` is made of: the tables wanted, the model, and what it did."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import pyarrow as pa

from snake_assets.storage.fingerprints import Json
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.manifest import Manifest
from snake_assets.vision.inference.dataloader import (
    BatchPlan,
    BatchReader,
    PhotoBatch,
    Pixels,
    read_in_processes,
    read_in_threads,
)
from snake_assets.vision.inference.dataset import Subjects
from snake_assets.vision.memory_plan import PassPlan
from snake_assets.vision.preprocessing.inputs import Preparation
from snake_assets.vision.room import Room
from snake_assets.vision.timing import StageTimes

Found = TypeVar("Found")
Progress = Callable[[int, int], None]


@dataclass
class PassRun:
    """What a pass did.

    Attributes:
        manifests: by table.
        computed: photos that the model saw or that turned out to be unreadable.
        copied: rows that were copied.
        seconds: of the whole pass.
        stages: where the time went.
        devices: what the model ran on.
        peak_device_bytes: most memory in use on one CUDA device; None without one.
        memory: what was kept in main memory at once, under a ceiling; None without one.
    """

    manifests: dict[str, Manifest] = field(default_factory=dict)
    computed: int = 0
    copied: int = 0
    seconds: float = 0.0
    stages: StageTimes = field(default_factory=StageTimes)
    devices: tuple[str, ...] = ()
    peak_device_bytes: int | None = None
    memory: PassPlan | None = None

    @property
    def images_per_second(self) -> float:
        """Photos computed per second of this pass; 0 where nothing had to be computed."""
        return self.computed / self.seconds if self.computed else 0.0

    @property
    def shares(self) -> dict[str, float]:
        """Seconds of work of each stage per second of the pass; stages overlap, so the sum may exceed 1."""
        return {stage: seconds / self.seconds for stage, seconds in self.stages.seconds.items()}


@dataclass(frozen=True)
class WantedTable:
    """A table that a pass is to make: where, its columns, and all that decides its rows but the photos."""

    name: str
    folder: AnyPath
    schema: pa.Schema
    recipe: Mapping[str, Json]


@dataclass(frozen=True, eq=False)
class SeenBatch(Generic[Pixels, Found]):
    """A batch that went through the model, and seconds by stage; without a photo nothing is found."""

    photos: PhotoBatch[Pixels]
    found: Found | None
    seconds: Mapping[str, float]


class Model(Protocol[Pixels, Found]):
    """What a pass shows its photos to."""

    @property
    def devices(self) -> tuple[str, ...]:
        """What it runs on."""

    def see(self, batches: Iterable[PhotoBatch[Pixels]]) -> Iterator[SeenBatch[Pixels, Found]]:
        """The batches in the order given, with what was found in them."""

    def rows(self, table: str, found: Sequence[Found]) -> pa.Table:
        """All columns of a table but the keys, a row for each photo of the batches."""

    def peak_device_bytes(self) -> int | None:
        """Most memory in use on any one CUDA device so far; None without one."""


class Elsewhere(Protocol[Pixels, Found]):
    """Reads batches and shows them to a model in other processes than this one."""

    @property
    def devices(self) -> tuple[str, ...]:
        """What the model ran on."""

    def see(self, reader: BatchReader[Pixels]) -> Generator[SeenBatch[Pixels, Found]]:
        """All batches of a reader in order, with what was found in them."""


@dataclass(frozen=True)
class Work(Generic[Pixels, Found]):
    """How a pass is done.

    Attributes:
        model: sees the photos.
        preparation: makes them ready for it.
        decoders: threads or processes that read ahead.
        read_ahead: batches for each of them that may be under way or wait.
        processes: whether they are processes.
        memory: what is kept at once under a ceiling, instead of `read_ahead`; then they are threads.
        elsewhere: does both in their place; the model here then only makes rows of what was found.
    """

    model: Model[Pixels, Found]
    preparation: Preparation[Pixels]
    decoders: int
    read_ahead: int
    processes: bool = False
    memory: PassPlan | None = None
    elsewhere: Elsewhere[Pixels, Found] | None = None

    def read(self, subjects: Subjects, plans: Sequence[BatchPlan]) -> Generator[PhotoBatch[Pixels]]:
        """The batches, ahead of whoever takes them."""
        if self.memory:
            room = Room(self.memory.decoding, self.memory.ceiling)
            reader = BatchReader(subjects, self.preparation, plans, room)
            return read_in_threads(reader, self.decoders, self.memory.batches)
        reader = BatchReader(subjects, self.preparation, plans)
        if self.processes:
            pinned = self.model.devices[0].startswith("cuda")
            return read_in_processes(reader, self.decoders, self.read_ahead, pinned=pinned)
        return read_in_threads(reader, self.decoders, self.decoders * self.read_ahead)
