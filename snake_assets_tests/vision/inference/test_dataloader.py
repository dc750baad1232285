"""Batches made ahead: the same by threads and by processes, in order, and never more than were asked for."""

import io
import os
import pickle
import signal
from collections.abc import Callable, Generator
from multiprocessing import reduction
from pathlib import Path

import numpy as np
import pytest

from snake_assets.storage import StorageError
from snake_assets.vision.errors import EmbeddingError
from snake_assets.vision.inference.dataloader import (
    BatchReader,
    Each,
    PhotoBatch,
    read_in_processes,
    read_in_threads,
)
from snake_assets.vision.inference.dataset import PhotoDataset, plan_batches
from snake_assets.vision.preprocessing.transforms import BackboneInput, Preprocessing
from snake_assets_tests.vision.embedding.test_embed import half_photo, images, photos

SQUARE = BackboneInput(
    Preprocessing(
        resize=(28, 28), resample=3, crop=None, rescale_factor=1 / 255, mean=(0.5,) * 3, std=(0.5,) * 3
    )
)
Read = Callable[[BatchReader, int, int], Generator[PhotoBatch]]


def in_processes(reader: BatchReader, workers: int, ahead: int) -> Generator[PhotoBatch]:
    return read_in_processes(reader, workers, ahead, pinned=False)


@pytest.fixture
def reader(tmp_path: Path) -> BatchReader:
    table = images(tmp_path, photos(11) | {"04.jpg": half_photo()}, shard_rows=5)
    given = PhotoDataset(table, ["image_id", "sha256"])
    return BatchReader(given, SQUARE, plan_batches(given, table.manifest.shards, lambda digest: False, 2))


def test_threads_and_processes_give_the_same_batches_in_order(reader: BatchReader):
    by_threads = list(read_in_threads(reader, 2, 4))
    by_processes = list(in_processes(reader, 1, 2))
    assert [len(batch.digests) + len(batch.rejects) for batch in by_threads] == [2, 2, 1, 2, 2, 1, 1]
    assert [reject.image_id for batch in by_threads for reject in batch.rejects.values()] == ["04.jpg"]
    for one, other in zip(by_threads, by_processes, strict=True):
        assert (one.shard, one.digests, one.rejects) == (other.shard, other.digests, other.rejects)
        assert np.array_equal(one.pixels.numpy(), other.pixels.numpy())


@pytest.mark.parametrize("read", [read_in_threads, in_processes])
def test_a_shard_that_cannot_be_read_is_named(reader: BatchReader, read: Read):
    shard = reader.plans[-1].shard
    path = reader.dataset.images.folder / shard.file
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(StorageError, match=shard.file):
        list(read(reader, 1, 1))


def test_no_more_batches_are_made_than_may_be_in_memory(reader: BatchReader):
    made: list[int] = []

    class Watched(BatchReader):
        def batch(self, number: int, each: Each) -> PhotoBatch:
            made.append(number)
            return super().batch(number, each)

    watched = Watched(reader.dataset, reader.preparation, reader.plans)
    for given, _ in enumerate(read_in_threads(watched, 2, 2)):
        assert len(made) <= given + 2
    assert sorted(made) == list(range(len(reader)))


def test_a_process_is_sent_no_more_than_a_pipe_holds(reader: BatchReader, monkeypatch: pytest.MonkeyPatch):
    """More, and each would be waited for until it has imported all it needs, before the next is started."""
    sizes: list[int] = []
    dump = reduction.dump

    def watched(thing: object, file: io.BytesIO, *rest: object) -> None:
        before = file.tell()
        dump(thing, file, *rest)
        sizes.append(file.tell() - before)

    monkeypatch.setattr(reduction, "dump", watched)
    many = BatchReader(reader.dataset, reader.preparation, [*reader.plans] * 20_000)
    assert len(pickle.dumps(many)) > 4 << 16
    in_processes(many, 1, 1).close()
    assert 0 < sum(sizes) < 1 << 16


class Dies(BatchReader):
    """Ends the process that asks it, as the kernel does where memory runs out."""

    def __getitem__(self, number: int) -> PhotoBatch:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def test_a_decoding_process_that_is_ended_is_told_of(reader: BatchReader):
    dies = Dies(reader.dataset, reader.preparation, reader.plans)
    with pytest.raises(EmbeddingError, match="lower `decoders`"):
        list(in_processes(dies, 1, 1))


def test_each_content_is_planned_once_and_every_shard_has_a_batch(tmp_path: Path):
    one, two = photos(2).values()
    table = images(tmp_path, {"a.jpg": one, "b.jpg": two, "c.jpg": one, "d.jpg": two}, shard_rows=2)
    first, second = table.manifest.shards
    given = PhotoDataset(table, ["image_id", "sha256"])
    plans = plan_batches(given, [first, second], lambda digest: False, 8)
    assert [(plan.shard, plan.rows) for plan in plans] == [(first, (0, 1)), (second, ())]
    known = table.read(["sha256"])["sha256"].to_pylist()[0]
    assert [plan.rows for plan in plan_batches(given, [first], known.__eq__, 8)] == [(1,)]
