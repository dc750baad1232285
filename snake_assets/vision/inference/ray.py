"""A pass on Ray: batches are decoded by tasks, and seen by actors that hold the model, on all of a cluster.

Batches are those of the plan, and come back in its order; so the process that asked writes the same shards
that it writes alone. What a lost worker had in hand, Ray gives to another.
"""

from __future__ import annotations

import io
import os
import pickle
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snake_assets.vision.errors import EngineError
from snake_assets.vision.inference.dataloader import BatchReader, PhotoBatch
from snake_assets.vision.inference.runner import Model, SeenBatch

ADDRESS = "RAY_ADDRESS"
LOOPBACK = "127.0.0.1"
# Ray opens its ports to the network on Linux, and on loopback alone where this is 0 as it is imported.
TO_THE_NETWORK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
# Of a cluster of this machine, for batches on their way; taken as it is used.
OBJECT_STORE_BYTES = 2**30
# Of a batch that is decoded, and of an actor: what ends so many workers is no bad luck, but the batch.
RETRIES = 5
COLUMN = "pickled"
Row = dict[str, NDArray[np.uint8]]


@dataclass(frozen=True)
class Resources:
    """What a cluster has: where it is, for messages; machines with processors; their processors and GPUs."""

    where: str
    nodes: int
    processors: float
    gpus: float


@contextmanager
def connected(processors: int) -> Iterator[Resources]:
    """Connect to the cluster that RAY_ADDRESS names, else to one of this machine, stopped behind the pass.

    Args:
        processors: that a cluster of this machine counts, however many there are.

    Raises:
        EngineError: Ray is not installed, cannot be reached, or cannot be started.
    """
    address = os.environ.get(ADDRESS, "")
    ray = _imported(address)
    if ray.is_initialized():
        yield _resources(ray, address or "this process's cluster")
        return
    if address.startswith("ray://"):
        raise EngineError(
            f"{ADDRESS}={address}: Ray Data needs a node of the cluster under it. Run Dagster on one and set "
            f"{ADDRESS}=auto there."
        )
    of_this_machine = {
        "num_cpus": processors,
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE_BYTES,
        "_node_ip_address": LOOPBACK,
        # By itself, Ray's workers give way to whatever else the machine does, while the pass waits for them.
        "_system_config": {"worker_niceness": 0},
    }
    options = {"address": address} if address else {"address": "local", **of_this_machine}
    try:
        ray.init(logging_level="ERROR", log_to_driver=False, **options)
    except Exception as error:  # Ray raises nearly anything here
        failed, instead = "cannot be started here", "Set SNAKE_ENGINE=local to do without."
        if address:
            failed = f"at {ADDRESS}={address} cannot be reached"
            instead = f"Start this on a node of that cluster, or unset {ADDRESS} for one of this machine."
        raise EngineError(f"Ray {failed}: {_first_line(error)} {instead}") from error
    try:
        if not address and ray.util.get_node_ip_address() != LOOPBACK:
            raise EngineError(
                "Ray was imported before this pass and would listen to the network: start a new process, or "
                f"set {TO_THE_NETWORK}=0 for this one."
            )
        yield _resources(ray, address or "this machine")
    finally:
        ray.shutdown()


def _imported(address: str) -> Any:
    if not address:
        os.environ.setdefault(TO_THE_NETWORK, "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise EngineError(
            "SNAKE_ENGINE is ray, which is not installed: pip install 'snake-assets[ray]', or set "
            f"SNAKE_ENGINE=local. ({error})"
        ) from error
    return ray


def _resources(ray: Any, where: str) -> Resources:
    there = ray.cluster_resources()
    nodes = sum(1 for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU"))
    return Resources(where, nodes, there.get("CPU", 0), there.get("GPU", 0))


def _first_line(error: Exception) -> str:
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line if line.endswith(".") else f"{line}."


@dataclass
class RayEngine:
    """How a pass is spread; once it is `running`, the pass itself.

    Attributes:
        actors: that hold the model; None: one for each GPU (or share of one), else one for each node.
        gpus: that each of them has, a share below 1 among them; None: 1 where the model runs on CUDA, else 0.
        load: makes the model in an actor.
        decoders: batches that are decoded at once on each node.
        devices: what the model runs on, known once a cluster is.
    """

    actors: int | None = None
    gpus: float | None = None
    load: Callable[[], Model[Any, Any]] | None = None
    decoders: int = 1
    devices: tuple[str, ...] = ()

    def running(self, model: Callable[[str], Model[Any, Any]], device: str, decoders: int) -> RayEngine:
        """A pass with a model, which is loaded on a device: "cuda" where actors have GPUs, else this one."""
        gpus = self.gpus if self.gpus is not None else float(device.startswith("cuda"))
        return RayEngine(self.actors, gpus, partial(model, "cuda" if gpus else device), decoders)

    def see(self, reader: BatchReader[Any]) -> Generator[SeenBatch[Any, Any]]:
        """All batches of a reader with what was found in them, in order; their pixels stay where they were.

        Raises:
            EngineError: there is no Ray, too little of it, or it gave up.
            Exception: whatever reading a batch, or the model, raises.
        """
        import torch

        # As many as here: what a processor computes may differ in its last bits by how many share the work.
        threads = 1 if self.gpus else torch.get_num_threads()
        with connected((self.actors or 1) * threads + self.decoders) as cluster:
            gpus = self.gpus or 0.0
            actors = self.actors or max(1, int(cluster.gpus / gpus) if gpus else cluster.nodes)
            if actors * threads >= cluster.processors or actors * gpus > cluster.gpus:
                # Ray would wait for more for ever.
                raise EngineError(
                    f"{actors} actors of {threads} threads and {gpus:g} GPUs each, and one to decode, "
                    f"are more than Ray at {cluster.where} has: {cluster.processors:g} processors, "
                    f"{cluster.gpus:g} GPUs. Lower ray_actors or ray_gpus of the resource `engine`, or "
                    "OMP_NUM_THREADS, or start more nodes."
                )
            self.devices = (f"Ray's {'cuda' if self.gpus else 'cpu'}",) * actors
            yield from self._streamed(reader, actors, threads, self.decoders * cluster.nodes)

    def _streamed(
        self, reader: BatchReader[Any], actors: int, threads: int, decoders: int
    ) -> Generator[SeenBatch[Any, Any]]:
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
            fn_constructor_args=(self.load, threads),
            compute=ActorPoolStrategy(size=actors),
            num_cpus=threads,
            num_gpus=self.gpus,
            max_restarts=RETRIES,
            max_task_retries=-1,  # a lost node refuses many, before Ray sees that it is lost
        )
        try:
            for row in seen.iter_rows():
                yield unpickled(row)
        except (RayError, SystemException) as error:
            raise EngineError(
                f"Ray gave up: {_first_line(error)} Its logs, on the machine where it happened, tell more. "
                "Run again: shards that are finished are kept."
            ) from error


@dataclass(frozen=True)
class _Decoding:
    reader: BatchReader[Any]

    def __call__(self, row: dict[str, int]) -> Row:
        return answered(lambda: self.reader[row["item"]])


class _Seeing:
    """Lives in a process of its own."""

    def __init__(self, model: Callable[[], Model[Any, Any]], threads: int) -> None:
        self._load, self._threads = model, threads

    def __call__(self, row: Row) -> Row:
        return answered(lambda: self._seen(unpickled(row)))

    def _seen(self, batch: PhotoBatch[Any]) -> SeenBatch[Any, Any]:
        (seen,) = self._model.see([batch])
        return replace(seen, photos=replace(batch, pixels=None))

    @cached_property
    def _model(self) -> Model[Any, Any]:
        import torch

        torch.set_num_threads(self._threads)
        return self._load()


# What goes to another machine and back, as the row of a Ray dataset: anything pickled, or why it failed.


@dataclass(frozen=True)
class _Failed:
    """An error and what it came from, outermost first: pickling an error alone forgets its causes."""

    errors: list[BaseException]

    def raised(self) -> BaseException:
        """The error, its causes in place."""
        for error, cause in pairwise(self.errors):
            error.__cause__ = cause
        return self.errors[0]


def pickled(content: object) -> Row:
    """A row that holds this, tensors among it in main memory."""
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=5).dump(content)
    return {COLUMN: np.frombuffer(buffer.getbuffer(), np.uint8)}


def unpickled(row: Row) -> Any:
    """What a row holds. Only for rows of this pass: they are pickles. Raises what failed on its way."""
    content = pickle.loads(np.ascontiguousarray(row[COLUMN]).data)  # noqa: S301
    if isinstance(content, _Failed):
        raise content.raised()
    return content


def answered(work: Callable[[], object]) -> Row:
    """What the work gives, or the error that it raised, as a row: to Ray, nothing has failed."""
    try:
        return pickled(work())
    except Exception as error:
        found: BaseException | None = error
        chain: list[BaseException] = []
        while found is not None and found not in chain:
            chain.append(found)
            found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
        return pickled(_Failed([_portable(one) for one in chain]))


def _portable(error: BaseException) -> BaseException:
    """The error with its traceback in words; one that cannot be pickled as an error that says the same."""
    error.add_note("".join(traceback.format_tb(error.__traceback__)))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301
    except Exception:
        return EngineError(f"{type(error).__name__}: {error}")
    return error


class _Pickler(pickle.Pickler):
    """Tensors as arrays: torch's own way copies their bytes three times."""

    def reducer_override(self, thing: Any) -> Any:
        import torch

        if isinstance(thing, torch.Tensor):
            return torch.from_numpy, (thing.numpy(),)
        return NotImplemented
