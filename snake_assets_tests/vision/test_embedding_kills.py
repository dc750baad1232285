"""An embedding run that is killed goes on where it was, and ends in the tables of an undisturbed one."""

import os
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path

import pytest

from snake_assets.storage.tables.table import open_table
from snake_assets.storage.tables.writer import write_table
from snake_assets.vision.backbone.backbone import open_backbone
from snake_assets.vision.embedding.embed import EmbeddingSettings, embed, embed_crops
from snake_assets.vision.embedding.tables import CROP_EMBEDDINGS, DCT, DINOV2, recipes, schema
from snake_assets.vision.preprocessing.crops import CropSettings
from snake_assets_tests.interrupting import Job, Runner, interruptible
from snake_assets_tests.vision.boxes import box, write_crops
from snake_assets_tests.vision.embedding.test_embed import images as image_table
from snake_assets_tests.vision.embedding.test_embed import photos

pytestmark = [pytest.mark.daemon, pytest.mark.fault("an embedding pass, killed at random")]

TABLES = (DINOV2, DCT)
PHOTOS, SHARD_ROWS, KILLS_OF_CROPS = 20, 4, 2
SETTINGS = EmbeddingSettings(batch_size=2)


def embedding_job(backbone_folder: str, images: str) -> Job:
    """Embeds photos, or crops, into a store, or dies before one of the steps by which bytes reach the disk.

    Returns how many photos were computed, and how many such steps there were.
    """
    import torch

    torch.set_num_threads(1)  # the threads of a pool would not live on in what is forked
    backbone = open_backbone(backbone_folder, device="cpu", precision="fp32")

    def job(store: Path, last: int, crops: str | None = None) -> tuple[int, int]:
        steps, sync = count(), os.fsync

        def dying(descriptor: int) -> None:
            if next(steps) == last:
                os.kill(os.getpid(), signal.SIGKILL)
            sync(descriptor)

        os.fsync = dying
        table = open_table(Path(images))
        if crops is None:
            run = embed(table, {name: store / name for name in TABLES}, backbone, SETTINGS)
        else:
            found, folder, cut = open_table(Path(crops)), store / CROP_EMBEDDINGS, CropSettings(least_side=8)
            run = embed_crops(table, found, folder, backbone, SETTINGS, cut)
        return run.computed, next(steps)

    return job


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return image_table(tmp_path_factory.mktemp("kills"), photos(PHOTOS), SHARD_ROWS).folder


@pytest.fixture(scope="module")
def runner(backbone_folders: dict[str, Path], images: Path) -> Iterator[Runner]:
    with interruptible(embedding_job, ["snake_assets.vision.embedding.embed", "transformers"]) as runner:
        runner.prepare(str(backbone_folders["dinov2"]), str(images))
        yield runner


def finished(store: Path, backbone_folder: Path) -> dict[str, dict[str, tuple[str, int, int]]]:
    """By table and unit: file, inode and time of every shard that a run has committed."""
    backbone = open_backbone(str(backbone_folder), device="cpu", precision="fp32")
    found = {}
    for name in TABLES:
        recipe = recipes(backbone, 2)[name]
        with write_table(store / name, name, "train", schema(name, backbone, recipe), recipe) as writer:
            stats = {shard.unit: (shard.file, (store / name / shard.file).stat()) for shard in writer.shards}
        found[name] = {unit: (file, stat.st_ino, stat.st_mtime_ns) for unit, (file, stat) in stats.items()}
    return found


def contents(store: Path, names: Sequence[str] = TABLES) -> dict[str, list[dict[str, object]]]:
    return {name: open_table(store / name).read().to_pylist() for name in names}


def test_a_run_killed_at_random_moments_loses_no_committed_shard(
    runner: Runner,
    backbone_folders: dict[str, Path],
    tmp_path: Path,
    record_property: Callable[[str, int], None],
    full: bool,
):
    kills = 10 if full else 4
    computed, steps = runner.run(tmp_path / "whole", -1).returned
    assert computed == PHOTOS
    expected = contents(tmp_path / "whole")
    draw, kept = random.Random(7), 0
    for number in range(kills):
        store = tmp_path / str(number)
        # Of equal parts of a run, one moment each: beginning and end are met too.
        last = int(steps * (number + draw.random()) / kills)
        assert runner.run(store, last).exitcode == -signal.SIGKILL
        before = finished(store, backbone_folders["dinov2"])
        done = set.intersection(*(set(shards) for shards in before.values()))
        again, _ = runner.run(store, -1).returned
        assert again == PHOTOS - SHARD_ROWS * len(done)
        assert contents(store) == expected
        after = finished(store, backbone_folders["dinov2"])
        for name, shards in before.items():
            assert shards.items() <= after[name].items()
        kept += len(done)
    assert kept > kills
    record_property("tried", kills)


def test_a_run_over_crops_that_is_killed_goes_on_where_it_was(runner: Runner, images: Path, tmp_path: Path):
    found = {f"{n:02}.jpg": box(0, 0, 0.5, 0.4 + n / 50) for n in range(PHOTOS) if n % 3}
    crops = str(write_crops(tmp_path / "crops", open_table(images), found, rejects={"07.jpg"}).folder)
    computed, steps = runner.run(tmp_path / "whole", -1, crops).returned
    assert computed == PHOTOS - 1
    expected = contents(tmp_path / "whole", (CROP_EMBEDDINGS,))
    draw = random.Random(5)
    for number in range(KILLS_OF_CROPS):
        store = tmp_path / str(number)
        last = int(steps * (number + draw.random()) / KILLS_OF_CROPS)
        assert runner.run(store, last, crops).exitcode == -signal.SIGKILL
        again, _ = runner.run(store, -1, crops).returned
        assert contents(store, (CROP_EMBEDDINGS,)) == expected
        # Of what was finished nothing is computed again: the first third of a run may end before any shard.
        assert again < PHOTOS - 1 or number == 0
