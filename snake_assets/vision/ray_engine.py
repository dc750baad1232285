"""A pass on Ray: batches are decoded by tasks, and seen by actors that hold the model, on all of a cluster.

Batches are those of the plan, and come back in its order; so the process that asked writes the same shards
that it writes alone. What a lost worker had in hand, Ray gives to another.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Generic

from snake_assets.vision.errors import EngineError
from snake_assets.vision.parcels import Row, answered, opened
from snake_assets.vision.passes import Found, Model, SeenBatch
from snake_assets.vision.ray_cluster import Resources, connected, told
from snake_assets.vision.reading import BatchReader, PhotoBatch, Pixels

# Of a batch that is decoded, and of an actor: what ends so many workers is no bad luck, but the batch.
RETRIES = 5


@dataclass(frozen=True)
class RayEngine:
    """How a pass is spread.

    Attributes:
        actors: that hold the model; None: one for each GPU (or share of one), else one for each node.
        gpus: that each of them has, a share below 1 among them; None: 1 where the model runs on CUDA, else 0.
    """

    actors: int | None = None
    gpus: float | None = None

    def running(
        self, model: Callable[[str], Model[Pixels, Found]], device: str, decoders: int
    ) -> RayPass[Pixels, Found]:
        """A pass.

        Args:
            model: loads the model on a device; it goes to the actors.
            device: that it is to run on; where actors have GPUs, they use "cuda".
            decoders: batches that are decoded at once on each node.
        """
        gpus = self.gpus if self.gpus is not None else float(device.startswith("cuda"))
        return RayPass(partial(model, "cuda" if gpus else device), decoders, self.actors, gpus)


def refuse_a_ceiling(ray: RayEngine | None, ceiling: int | None) -> None:
    """Raise EngineError where both are asked for."""
    if ray is not None and ceiling is not None:
        raise EngineError(
            "A memory ceiling is that of one process, and Ray's workers are others, which Ray bounds by "
            "itself: unset SNAKE_MEMORY, or SNAKE_ENGINE."
        )


@dataclass
class RayPass(Generic[Pixels, Found]):
    """See `RayEngine.running`; `devices` are known once a cluster is."""

    model: Callable[[], Model[Pixels, Found]]
    decoders: int
    actors: int | None
    gpus: float
    devices: tuple[str, ...] = field(default=(), init=False)

    def see(self, reader: BatchReader[Pixels]) -> Generator[SeenBatch[Pixels, Found]]:
        """All batches of a reader with what was found in them, in order; their pixels stay where they were.

        Raises:
            EngineError: there is no Ray, too little of it, or it gave up.
            Exception: whatever reading a batch, or the model, raises.
        """
        import torch

        # As many as here: what a processor computes may differ in its last bits by how many share the work.
        threads = 1 if self.gpus else torch.get_num_threads()
        with connected((self.actors or 1) * threads + self.decoders) as cluster:
            actors = self._actors(cluster)
            self._refuse_too_few(cluster, actors, threads)
            self.devices = (f"Ray's {'cuda' if self.gpus else 'cpu'}",) * actors
            yield from self._streamed(reader, actors, threads, self.decoders * cluster.nodes)

    def _actors(self, cluster: Resources) -> int:
        by_itself = int(cluster.gpus / self.gpus) if self.gpus else cluster.nodes
        return self.actors or max(1, by_itself)

    def _refuse_too_few(self, cluster: Resources, actors: int, threads: int) -> None:
        """Ray would wait for more for ever."""
        if actors * threads >= cluster.processors or actors * self.gpus > cluster.gpus:
            raise EngineError(
                f"{actors} actors of {threads} threads and {self.gpus:g} GPUs each, and one to decode, "
                f"are more than Ray at {cluster.where} has: {cluster.processors:g} processors, "
                f"{cluster.gpus:g} GPUs. Lower SNAKE_RAY_ACTORS, SNAKE_RAY_GPUS or OMP_NUM_THREADS, or start "
                "more nodes."
            )

    def _streamed(
        self, reader: BatchReader[Pixels], actors: int, threads: int, decoders: int
    ) -> Generator[SeenBatch[Pixels, Found]]:
        import ray
        from ray.data import ActorPoolStrategy, TaskPoolStrategy
        from ray.data.exceptions import SystemException
        from ray.exceptions import RayError

        numbers = ray.data.from_items(list(range(len(reader))), override_num_blocks=len(reader))
        numbers.context.execution_options.preserve_order = True
        numbers.context.enable_progress_bars = False
        seen = numbers.map(
            _Decoding(reader), num_cpus=1, compute=TaskPoolStrategy(size=decoders), max_retries=RETRIES
        ).map(
            _Seeing,  # type: ignore[arg-type]  # a class is what Ray makes an actor of
            fn_constructor_args=(self.model, threads),
            compute=ActorPoolStrategy(size=actors),
            num_cpus=threads,
            num_gpus=self.gpus,
            max_restarts=RETRIES,
            max_task_retries=-1,  # a lost node refuses many, before Ray sees that it is lost
        )
        try:
            for row in seen.iter_rows():
                yield opened(row)
        except (RayError, SystemException) as error:
            raise told(error) from error


@dataclass(frozen=True)
class _Decoding(Generic[Pixels]):
    reader: BatchReader[Pixels]

    def __call__(self, row: dict[str, int]) -> Row:
        return answered(lambda: self.reader[row["item"]])


class _Seeing:
    """Lives in a process of its own."""

    def __init__(self, model: Callable[[], Model[Any, Any]], threads: int) -> None:
        self._load, self._threads = model, threads
        self._model: Model[Any, Any] | None = None

    def __call__(self, row: Row) -> Row:
        return answered(lambda: self._seen(opened(row)))

    def _seen(self, batch: PhotoBatch[Any]) -> SeenBatch[Any, Any]:
        (seen,) = self._loaded().see([batch])
        return replace(seen, photos=replace(batch, pixels=None))

    def _loaded(self) -> Model[Any, Any]:
        import torch

        if self._model is None:
            torch.set_num_threads(self._threads)
            self._model = self._load()
        return self._model
