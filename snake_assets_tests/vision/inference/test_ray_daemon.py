"""The passes on Ray: the same tables as here, whatever is killed on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from snake_assets.detection.detect import FindingSettings, find_snakes
from snake_assets.detection.finders.base import DetectionError, Finder
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.vision.backbone.backbone import Backbone
from snake_assets.vision.backbone.features import DCT_STAGE
from snake_assets.vision.embedding.embed import EmbeddingSettings, embed
from snake_assets.vision.embedding.tables import DCT, DINOV2
from snake_assets.vision.errors import EngineError
from snake_assets.vision.inference.ray import RayEngine
from snake_assets.vision.inference.runner import (
    STAGES,
    PassRun,
    Progress,
)
from snake_assets_tests.detection.marks import MarkFinder, image_table, marked
from snake_assets_tests.vision.losing_a_node import LOST_AFTER, PHOTOS

pytestmark = pytest.mark.daemon

TABLES = (DINOV2, DCT)


@pytest.fixture(scope="module", autouse=True)
def one_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Started once: a pass uses the one that its process is connected to, and leaves it alone."""
    import torch

    from snake_assets.vision.inference.ray import connected

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with connected(4):
        yield
    torch.set_num_threads(before)


def photos(count: int) -> dict[str, bytes]:
    """Two of them alike, one cut off, every third without a mark."""
    given = {
        f"{n:02}.jpg": marked(90 + n, 80, (0.2, 0.1, 0.7, 0.9) if n % 3 else None, n) for n in range(count)
    }
    return given | {"01.jpg": given["04.jpg"], "02.jpg": given["02.jpg"][:900] + b"\xff\xd9"}


def embedded(
    root: Path, images: Table, backbone: Backbone, actors: int | None, progress: Progress | None = None
) -> PassRun:
    """On Ray with so many actors; here where that is None."""
    settings = EmbeddingSettings(batch_size=2, ray=RayEngine(actors) if actors else None)
    return embed(images, {name: root / name for name in TABLES}, backbone, settings, progress)


def found(
    root: Path,
    images: Table,
    actors: int | None,
    progress: Progress | None = None,
    finder: Finder | None = None,
) -> PassRun:
    """Likewise."""
    settings = FindingSettings(batch_size=2, ray=RayEngine(actors) if actors else None)
    return find_snakes(images, root / "crops", finder or MarkFinder(masks=True), settings, progress)


def digests(run: PassRun) -> dict[str, str]:
    return {name: manifest.digest for name, manifest in run.manifests.items()}


@pytest.mark.parametrize("actors", [1, 2])
def test_the_tables_are_those_of_a_pass_here_to_the_bit(tmp_path: Path, backbone: Backbone, actors: int):
    images = image_table(tmp_path, photos(11))
    here = embedded(tmp_path / "here", images, backbone, None)
    told: list[tuple[int, int]] = []
    there = embedded(tmp_path / "there", images, backbone, actors, lambda *at: told.append(at))
    assert digests(there) == digests(here)
    assert [m.fingerprint for m in there.manifests.values()] == [
        m.fingerprint for m in here.manifests.values()
    ]
    assert (there.computed, there.copied) == (here.computed, here.copied)
    assert there.devices == ("Ray's cpu",) * actors
    assert told[-1] == (here.computed, here.computed) and told == sorted(told)
    assert set(there.stages) == {*STAGES, DCT_STAGE}
    assert all(seconds > 0 for seconds in there.stages.values())
    assert [
        reject.image_id for reject in open_table(tmp_path / "there" / DCT).manifest.shards[0].rejects
    ] == ["02.jpg"]


def test_snakes_are_found_as_here_and_what_is_there_is_not_looked_for_again(tmp_path: Path):
    given = photos(11)
    few = image_table(tmp_path / "few", {name: given[name] for name in list(given)[:4]})
    assert found(tmp_path, few, 1).computed == 4
    images = image_table(tmp_path, given)
    again = found(tmp_path, images, 2)
    assert again.computed == 6
    assert digests(again) == digests(found(tmp_path / "here", images, None))
    idle = found(tmp_path, images, 2)
    assert (idle.computed, idle.devices) == (0, ())


@dataclass
class DiesOnce(MarkFinder):
    mark: Path = Path()

    def find(self, photos):
        if photos[0].shape[1] > 100 and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().find(photos)


def test_a_killed_actor_costs_no_photo(tmp_path: Path):
    images = image_table(tmp_path, photos(20))
    finder = DiesOnce(masks=True, mark=tmp_path / "died")
    run = found(tmp_path, images, 2, finder=finder)
    assert finder.mark.exists() and digests(run) == digests(found(tmp_path / "here", images, None))


class Clumsy(MarkFinder):
    """Fails at photos of more than 81 pixels."""

    def find(self, photos):
        if photos[0].shape[1] > 81:
            raise DetectionError("too dark") from OSError(5, "the lamp is out")
        return super().find(photos)


def test_an_error_in_a_worker_is_raised_as_it_is_and_finished_shards_are_kept(tmp_path: Path):
    images = image_table(tmp_path, {f"{n}.png": marked(80 + n, 60, None, n, "PNG") for n in range(6)}, 2)
    with pytest.raises(DetectionError, match=r"^too dark") as raised:
        found(tmp_path, images, 1, finder=Clumsy())
    assert isinstance(raised.value.__cause__, OSError) and raised.value.__cause__.errno == 5
    assert "in find" in "".join(raised.value.__notes__)
    assert found(tmp_path, images, None, finder=MarkFinder()).computed == 4


class Deadly(MarkFinder):
    """Ends its process whenever it is asked."""

    def find(self, photos):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_batch_that_ends_every_worker_ends_the_pass(tmp_path: Path):
    images = image_table(tmp_path, {"a.png": marked(80, 60, None, 0, "PNG")})
    with pytest.raises(EngineError, match=r"Ray gave up: .* shards that are finished are kept"):
        found(tmp_path, images, 1, finder=Deadly())


def test_more_actors_than_the_cluster_holds_are_refused_at_once(tmp_path: Path):
    with pytest.raises(EngineError, match=r"^4 actors of 1 threads.*4 processors.*ray_actors"):
        found(tmp_path, image_table(tmp_path, photos(6)), 4)


def test_only_loopback_is_listened_on():
    mine = [psutil.Process(), *psutil.Process().children(recursive=True)]
    listening = {
        at.laddr.ip.removeprefix("::ffff:")
        for one in mine
        for at in one.net_connections("tcp")
        if at.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


DRIVER = """
import time
from snake_assets.vision.inference.ray import connected
with connected(1):
    print("up", flush=True)
    time.sleep(600)
"""


def test_a_killed_driver_leaves_no_process_behind():
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert driver.stdout is not None
    while (line := driver.stdout.readline()) and line != "up\n":
        pass
    started = psutil.Process(driver.pid).children(recursive=True)
    assert any("raylet" in one.name() for one in started)
    driver.kill()
    driver.wait()
    _, alive = psutil.wait_procs(started, timeout=180)  # its agents look for it now and then
    assert not alive


def test_a_lost_node_costs_no_photo(tmp_path: Path):
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    command = [sys.executable, "-m", "snake_assets_tests.vision.losing_a_node", str(tmp_path)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    told = json.loads(ended.stdout.splitlines()[-1])
    assert told == {"lost_after": [LOST_AFTER], "equal": True, "computed": PHOTOS}
