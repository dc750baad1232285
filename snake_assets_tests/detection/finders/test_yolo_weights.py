import hashlib
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from snake_assets.detection.finders.base import DetectionError
from snake_assets.detection.finders.yolo_weights import load_yolo, open_weights
from snake_assets_tests.detection.detectors import save_detector
from snake_assets_tests.watching import Watch


class Malice:
    """Unpickled, it makes a file."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.made),)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights" / "best.pt"
    path.parent.mkdir()
    path.write_bytes(b"weights")
    return path


def test_a_file_and_a_folder_with_just_that_file_are_the_same_weights(file: Path) -> None:
    digest = hashlib.sha256(b"weights").hexdigest()
    for named in (file, file.parent):
        weights = open_weights(str(named))
        assert (weights.path, weights.sha256) == (file, digest)
    with pytest.raises(DetectionError, match="it holds none"):
        open_weights(str(file.parent.parent))
    (file.parent / "last.pt").write_bytes(b"")
    with pytest.raises(DetectionError, match=r"it holds best\.pt, last\.pt"):
        open_weights(str(file.parent))


def test_the_pinned_digest_is_asked_for_before_anything_is_loaded(file: Path) -> None:
    digest = open_weights(str(file)).sha256
    assert open_weights(str(file), pinned_sha256=digest.upper()).sha256 == digest
    with pytest.raises(DetectionError, match=f"{digest}.*nothing of it was loaded"):
        open_weights(str(file), pinned_sha256="0" * 64)
    with pytest.raises(DetectionError, match="is no SHA-256"):
        open_weights(str(file), pinned_sha256=digest[:12])


@pytest.mark.parametrize("name", ["yolov8n.pt", "yolov8n", "https://example.com/best.pt"])
def test_a_name_that_ultralytics_would_download_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DetectionError, match="never downloaded"):
        open_weights(name)
    assert not list(tmp_path.iterdir())


def test_weights_inside_the_data_are_refused_also_through_a_link(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere.pt"
    link.symlink_to(file)
    for named in (file, link):
        with pytest.raises(DetectionError, match="lies inside the data"):
            open_weights(str(named), data_root=file.parent)
    assert open_weights(str(file), data_root=None).path == file
    assert open_weights(str(file), data_root=tmp_path / "data").path == file


@pytest.mark.parametrize("protocol", ["torch", "pickle", "in a model's place"])
def test_a_pickle_that_runs_code_is_refused_and_does_not_run(tmp_path: Path, protocol: str) -> None:
    path, made = tmp_path / "best.pt", tmp_path / "made"
    if protocol == "pickle":
        path.write_bytes(pickle.dumps(Malice(made)))
    else:
        torch.save({"model": Malice(made)} if protocol != "torch" else Malice(made), path)
    with pytest.raises(DetectionError, match="is refused"):
        load_yolo(open_weights(str(path)))
    assert not made.exists()
    torch.load(path, weights_only=False) if protocol != "pickle" else pickle.loads(path.read_bytes())
    assert made.exists(), "the pickle would have run"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\xff\xd8\xff a photo", None])
def test_what_is_no_weights_or_of_another_task_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "best.pt"
    save_detector(path, task="pose") if content is None else path.write_bytes(content)
    refusal = "is refused" if content is not None else r"a model for 'pose': .*finds boxes"
    with pytest.raises(DetectionError, match=refusal):
        load_yolo(open_weights(str(path)))


def test_weights_that_changed_are_not_loaded_and_no_copy_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = tmp_path / "temporary"
    copies.mkdir()
    weights = open_weights(str(save_detector(tmp_path / "best.pt")))
    monkeypatch.setattr("tempfile.tempdir", str(copies))
    assert load_yolo(weights).model.names == {0: "snake"}
    save_detector(weights.path, seed=1)
    with pytest.raises(DetectionError, match="has changed"):
        load_yolo(weights)
    assert not list(copies.iterdir())


LOOK = """
import PIL.Image, torch
before = torch.get_num_threads(), PIL.Image.open, torch.save
from snake_assets.detection.finders.yolo_weights import quiet_ultralytics
quiet_ultralytics()
from ultralytics.utils import SAFE_LOAD
from ultralytics.utils.checks import check_font
check_font("Arial.ttf")
assert SAFE_LOAD and before == (torch.get_num_threads(), PIL.Image.open, torch.save)
from ultralytics.utils.downloads import safe_download
safe_download("https://example.com/yolov8n.pt")
"""


def test_a_process_with_ultralytics_reaches_nothing_and_writes_nothing(tmp_path: Path) -> None:
    watch, ours = Watch(tmp_path / "watch"), [tmp_path / name for name in ("home", "temporary", "work")]
    for folder in ours:
        folder.mkdir()
    own = {
        name: value for name, value in os.environ.items() if not name.startswith(("YOLO", "ULTRA", "PYTEST"))
    }
    places = dict(
        zip(("HOME", "TMPDIR", "MPLCONFIGDIR"), map(str, (*ours[:2], tmp_path / "mpl")), strict=True)
    )
    environment = {**own, **watch.environment, **places, "ULTRALYTICS_API_KEY": "ul_" + "0" * 40}
    command = [sys.executable, "-c", LOOK]
    run = subprocess.run(command, env=environment, cwd=ours[2], capture_output=True, text=True)
    # A download is an error that names it.
    assert re.search(r"DetectionError: .*download .*yolov8n\.pt: nothing is downloaded", run.stderr), (
        run.stderr
    )
    assert watch.reached == []
    assert not [path for folder in ours for path in folder.rglob("*")]
