"""Ray's rate over the local engine's, what Ray costs beside, and how it scales from one actor to two.

- here, ray_1, ray_2: a pass from `image_table` to a table on disk, with a stub model that keeps a batch for
  `--milliseconds` and no processor busy: in this process, and on Ray with one actor and with two.
- scaling: ray_2 over ray_1; two actors can at most double what one does, if decoding keeps up.
- start_s: from nothing to a Ray cluster of this machine; first_batch_s: from there to the first batch, while
  workers start and load their code. Both are paid once a pass, and are not in the rates.
- pack_ms: a batch is pickled and taken apart again, as it is between a task and an actor; store_ms: it goes
  through Ray's object store.

A stub, since a model that computes would let two actors fight for the same processors.
"""

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.common import (
    SNAKE_BOXES,
    Ratio,
    add_photo_options,
    finish,
    in_turn,
    lay_out,
    middle,
    options,
    photo_sources,
    significant,
)
from snake_assets.snakeclef.image_table import ingest
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.vision.inference.dataloader import BatchReader, PhotoBatch
from snake_assets.vision.inference.dataset import PhotoDataset, plan_batches
from snake_assets.vision.inference.ray import RayEngine, connected, pickled, unpickled
from snake_assets.vision.inference.runner import MODEL, SeenBatch, WantedTable, Work, make_tables
from snake_assets.vision.preprocessing.regions import DIGEST
from snake_assets.vision.preprocessing.transforms import BackboneInput, Preprocessing

KEYS = ["image_id", DIGEST]
SCHEMA = pa.schema([("image_id", pa.string()), (DIGEST, pa.string()), ("seen", pa.int64())])
DECODERS, READ_AHEAD = 2, 2
REPEATS = 5
SIDE = 256


@dataclass(frozen=True)
class Stub:
    """A model that takes its time."""

    seconds: float
    devices: tuple[str, ...] = ("stub",)

    def see(self, batches: Iterable[PhotoBatch[Any]]) -> Iterator[SeenBatch[Any, int]]:
        """Each batch after a while, with how many photos it has."""
        for batch in batches:
            time.sleep(self.seconds)
            yield SeenBatch(batch, len(batch.digests), {MODEL: self.seconds})

    def rows(self, table: str, found: Sequence[int]) -> pa.Table:
        """A row for each photo."""
        return pa.table({"seen": pa.array([count for count in found for _ in range(count)], pa.int64())})

    def peak_device_bytes(self) -> int | None:
        """None: there is no device."""
        return None


@dataclass(frozen=True)
class Pass:
    """A pass with a stub, and what it is measured with.

    Attributes:
        images: the `image_table`.
        seconds: that the stub keeps a batch.
        batch_size: photos in a batch.
        work: a folder for what it writes.
    """

    images: Table
    seconds: float
    batch_size: int
    work: Path

    def measured(self, actors: int | None) -> tuple[float, float]:
        """Photos per second of the second half, and seconds until the first batch; with so many actors.

        Batches that wait for the first one, to come in order, would count as quicker than they were.
        """
        store = Path(tempfile.mkdtemp(dir=self.work))
        times: list[tuple[float, int]] = []
        began = time.perf_counter()
        try:
            make_tables(
                PhotoDataset(self.images, KEYS),
                [WantedTable("stub", store / "stub", SCHEMA, {"batch_size": self.batch_size})],
                self.batch_size,
                lambda _: self._work(actors),
                lambda done, _: times.append((time.perf_counter(), done)),
            )
        finally:
            shutil.rmtree(store)
        (half, some), (last, all_of_them) = times[len(times) // 2 - 1], times[-1]
        return (all_of_them - some) / (last - half), times[0][0] - began

    def _work(self, actors: int | None) -> Work[Any, int]:
        away = RayEngine(actors).running(partial(stub_on, self.seconds), "cpu", DECODERS) if actors else None
        return Work(Stub(self.seconds), seen_as(), DECODERS, READ_AHEAD, elsewhere=away)

    def a_batch(self) -> PhotoBatch[Any]:
        """The first one."""
        subjects = PhotoDataset(self.images, KEYS)
        plans = plan_batches(subjects, self.images.manifest.shards[:1], lambda _: False, self.batch_size)
        return BatchReader(subjects, seen_as(), plans)[0]


def stub_on(seconds: float, device: str) -> Stub:
    """The stub, in an actor."""
    return Stub(seconds, (device,))


def seen_as() -> BackboneInput:
    """Photos as DINOv2-base takes them by default."""
    means = (0.5, 0.5, 0.5)
    return BackboneInput(Preprocessing(SIDE, 3, (SIDE, SIDE), 1 / 255, means, means))


def milliseconds(call: Callable[[], object]) -> float:
    """How long a call takes, the median of some."""
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return 1000 * statistics.median(seconds)


def main(arguments: Sequence[str] | None = None) -> dict[str, object]:
    """Run the benchmark."""
    parser = options(__doc__, rounds=3)
    add_photo_options(parser)
    parser.add_argument("--photos", type=int, default=480)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--milliseconds", type=int, default=250, help="that the stub keeps a batch")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=given.work) as folder:
        work = Path(folder)
        sources = photo_sources(given.sources, [SNAKE_BOXES], work)
        photos = lay_out(sources.files, given.photos, work / "raw")
        ingest(photos.rows, photos.files, "train", work / "image_table")
        images = open_table(work / "image_table")
        stub = Pass(images, given.milliseconds / 1000, given.batch_size, work)
        batch = stub.a_batch()
        began = time.perf_counter()
        with connected(2 + DECODERS + 1):
            start_s = time.perf_counter() - began
            import ray  # not before `connected` has told it to stay on loopback

            first_batches: dict[int | None, list[float]] = {None: [], 1: [], 2: []}

            def rate(actors: int | None) -> float:
                found, first = stub.measured(actors)
                first_batches[actors].append(first)
                return found

            arms = {"here": partial(rate, None), "ray_1": partial(rate, 1), "ray_2": partial(rate, 2)}
            measured = in_turn(arms, given.rounds, "img/s")
            row = pickled(batch)
            store_ms = milliseconds(lambda: ray.get(ray.put(row)))
    return finish(
        {
            **{f"{name}_img_s": middle(rates) for name, rates in measured.items()},
            **Ratio.of(measured["ray_1"], measured["here"]).named("ray_over_here"),
            **Ratio.of(measured["ray_2"], measured["ray_1"]).named("scaling_1_to_2"),
            "start_s": significant(start_s),
            "first_batch_s": middle(first_batches[1] + first_batches[2]),
            "first_batch_here_s": middle(first_batches[None]),
            "pack_ms": significant(milliseconds(lambda: unpickled(pickled(batch)))),
            "store_ms": significant(store_ms),
            "batch_mb": significant(row["pickled"].nbytes / 1e6),
            "stub_ms": given.milliseconds,
            "batch_size": given.batch_size,
            "photos": sources.origin,
            "photo_count": given.photos,
            "rounds": given.rounds,
        }
    )


if __name__ == "__main__":
    main()
