import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from snake_assets.detection.finders.base import DetectionError
from snake_assets.detection.finders.yolo_weights import quiet_ultralytics

LOOK = """
import json, os, socket, sys

reached = []
socket.getaddrinfo = lambda *where, **_: reached.append(where[0])
socket.socket.connect = lambda self, where: reached.append(where)
import PIL.Image, torch
before = torch.get_num_threads(), PIL.Image.open, torch.save, os.environ.get("OMP_NUM_THREADS")
from snake_assets.detection.finders.yolo_weights import quiet_ultralytics
quiet_ultralytics()
after = torch.get_num_threads(), PIL.Image.open, torch.save, os.environ.get("OMP_NUM_THREADS")
from ultralytics.utils import ONLINE, AUTOINSTALL, SAFE_LOAD, SETTINGS
from ultralytics.utils.events import events
from ultralytics.utils.checks import check_font
check_font("Arial.ttf")
print(json.dumps({
    "on": [name for name, on in {**SETTINGS, "events": events.enabled, "online": ONLINE,
           "install": AUTOINSTALL, "key": "ULTRALYTICS_API_KEY" in os.environ}.items() if on is True],
    "safe": SAFE_LOAD, "unchanged": before == after, "reached": reached,
}))
"""


def test_a_process_with_ultralytics_reaches_nothing_and_writes_nothing(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "temporary"),
        "PYTHONPATH": os.pathsep.join(sys.path),
        "ULTRALYTICS_API_KEY": "ul_" + "0" * 40,
        "MPLCONFIGDIR": str(tmp_path / "matplotlib"),
    }
    for name in (
        "YOLO_OFFLINE",
        "YOLO_AUTOINSTALL",
        "ULTRALYTICS_SAFE_LOAD",
        "OMP_NUM_THREADS",
        "PYTEST_CURRENT_TEST",
    ):
        environment.pop(name, None)
    for folder in ("home", "temporary", "work"):
        (tmp_path / folder).mkdir()
    run = subprocess.run(
        [sys.executable, "-c", LOOK], env=environment, cwd=tmp_path / "work", capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout.splitlines()[-1])
    assert seen == {"on": [], "safe": True, "unchanged": True, "reached": []}
    for folder in ("home", "temporary", "work"):
        assert not list((tmp_path / folder).rglob("*"))


def test_a_download_is_an_error_that_names_it() -> None:
    quiet_ultralytics()
    from ultralytics.utils.downloads import safe_download

    with pytest.raises(DetectionError, match=r"download .*yolov8n\.pt: nothing is downloaded"):
        safe_download("https://example.com/yolov8n.pt")
