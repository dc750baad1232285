"""An embedding run that is killed goes on where it was, and ends in the tables of an undisturbed one."""

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from snake_assets.snakeclef.ingest import ingest
from snake_assets.snakeclef.metadata import PhotoRow
from snake_assets.snakeclef.photo_files import find_photos
from snake_assets.storage.tables import open_table
from snake_assets.storage.writer import write_table
from snake_assets.vision.backbone import load_backbone, open_backbone
from snake_assets.vision.embedding import DCT, DINOV2, EmbeddingSettings, embed, recipes
from snake_assets.vision.embedding_tables import schema
from snake_assets_tests.interrupting import Job, Runner, interruptible
from snake_assets_tests.vision.conftest import encode, picture

TABLES = (DINOV2, DCT)
PHOTOS, SHARD_ROWS, KILLS = 20, 4, 10
SETTINGS = EmbeddingSettings(batch_size=2)


def embedding_job(backbone_folder: str, images: str) -> Job:
    """Embeds the photos into a store and returns how many were computed."""
    import torch

    torch.set_num_threads(1)  # the threads of a pool would not live on in what is forked
    backbone = load_backbone(backbone_folder, device="cpu", precision="fp32")

    def job(store: Path) -> int:
        folders = {name: store / name for name in TABLES}
        return embed(open_table(Path(images)), folders, backbone, SETTINGS).computed

    return job


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("kills")
    (root / "data" / "train").mkdir(parents=True)
    rows = []
    for number in range(PHOTOS):
        name = f"{number:02}.jpg"
        (root / "data" / "train" / name).write_bytes(encode(picture(90, 80, number)))
        rows.append(PhotoRow(name, name, f"train/{name}", number % 3))
    ingest(rows, find_photos(root / "data", "train"), "train", root / "images", SHARD_ROWS)
    return root / "images"


@pytest.fixture(scope="module")
def runner(backbone_folders: dict[str, Path], images: Path) -> Iterator[Runner]:
    with interruptible(embedding_job, ["snake_assets.vision.embedding", "transformers"]) as runner:
        runner.prepare(str(backbone_folders["dinov2"]), str(images))
        yield runner


def finished(store: Path, backbone_folder: Path) -> dict[str, dict[str, tuple[str, int, int]]]:
    """By table and unit: file, inode and time of every shard that a run has committed."""
    backbone = open_backbone(str(backbone_folder), device="cpu", precision="fp32")
    found = {}
    for name in TABLES:
        recipe = recipes(backbone, SETTINGS)[name]
        with write_table(store / name, name, "train", schema(name, backbone, recipe), recipe) as writer:
            stats = {shard.unit: (shard.file, (store / name / shard.file).stat()) for shard in writer.shards}
        found[name] = {unit: (file, stat.st_ino, stat.st_mtime_ns) for unit, (file, stat) in stats.items()}
    return found


def contents(store: Path) -> dict[str, list[dict[str, object]]]:
    return {name: open_table(store / name).read().to_pylist() for name in TABLES}


def test_a_run_killed_at_ten_random_moments_loses_no_committed_shard(
    runner: Runner, backbone_folders: dict[str, Path], tmp_path: Path
):
    whole = runner.run(tmp_path / "whole")
    assert whole.returned == PHOTOS
    expected = contents(tmp_path / "whole")
    draw, killed, kept = random.Random(7), 0, 0
    for number in range(KILLS):
        store = tmp_path / str(number)
        # Of ten equal parts of a run, one moment each: beginning and end are met too.
        end = runner.run(store, kill_after=whole.seconds * (number + draw.random()) / KILLS)
        killed += end.exitcode == -signal.SIGKILL
        before = finished(store, backbone_folders["dinov2"])
        done = set.intersection(*(set(shards) for shards in before.values()))
        again = runner.run(store)
        assert again.returned == PHOTOS - SHARD_ROWS * len(done)
        assert contents(store) == expected
        after = finished(store, backbone_folders["dinov2"])
        for name, shards in before.items():
            assert shards.items() <= after[name].items()
        kept += len(done)
    assert killed >= KILLS // 2
    assert kept > 0
