"""The page under load: how soon a warm answer comes, whether a crowd is served, whether memory stays flat.

- answer_s: median of a photo's way from its upload to the answer's HTML, one after the other.
- crowd, crowd_answered, crowd_s: so many requests at once, how many had an answer, and until the last.
- rss_first_mb, rss_last_mb, growth: memory of the server after the first tenth of the requests and after all,
  and the one over the other.
- left_files: uploads that the server still has at the end.

The package is the one of --model (default: that of the store), photos are those of --photos.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import requests

from benchmarks.common import PHILIPPINE_SNAKES, finish, significant
from snake_assets.identification.photos import find_photos


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def page_server(
    model: Path, *options: object, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[str, psutil.Process]]:
    """`snake-assets app` in a process of its own: its address once it is open, and the process."""
    port = free_port()
    call = [
        sys.executable,
        "-m",
        "snake_assets.cli",
        "app",
        "--model",
        model,
        "--port",
        port,
        "--device",
        "cpu",
    ]
    with subprocess.Popen(
        [*map(str, (*call, *options))],
        env=os.environ | (environment or {}),
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            assert child.stdout is not None
            opened = child.stdout.readline()
            assert opened.startswith("The page is open"), opened
            yield f"http://127.0.0.1:{port}", psutil.Process(child.pid)
        finally:
            child.terminate()


def ask(url: str, photos: Sequence[Path], session: requests.Session | None = None) -> str:
    """What a browser does with photos of one snake; returns the answer's HTML."""
    session, mine = session or requests.Session(), uuid.uuid4().hex
    files = [("files", (uuid.uuid4().hex, photo.read_bytes())) for photo in photos]
    paths = session.post(f"{url}/gradio_api/upload", files=files, timeout=600).json()
    sent = [{"path": path, "name": photo.name} for path, photo in zip(paths, photos, strict=True)]
    event = {"photos": sent, "country": "", "keep": False}
    asked: dict[str, Any] = {"data": [], "fn_index": 0, "event_data": event, "session_hash": mine}
    session.post(f"{url}/gradio_api/queue/join", json=asked, timeout=600).raise_for_status()
    told = session.get(
        f"{url}/gradio_api/queue/data", params={"session_hash": mine}, stream=True, timeout=600
    )
    for line in told.iter_lines():
        if line.startswith(b"data:"):
            message = json.loads(line[len(b"data:") :])
            if message["msg"] == "process_completed":
                return str(message["output"]["data"][0]) if message["success"] else ""
    return ""


def is_answer(html: str) -> bool:
    """Whether a photo was answered, with look-alikes."""
    return 'class="danger' in html and 'class="alike"' in html


def crowd_answered(url: str, photos: Sequence[Path]) -> int:
    """How many of the photos are answered that are asked about at once."""
    with ThreadPoolExecutor(len(photos)) as people:
        return sum(is_answer(html) for html in people.map(lambda photo: ask(url, [photo]), photos))


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    store = Path(os.environ.get("SNAKE_STORE", ".snake/store"))
    parser.add_argument("--model", type=Path, default=store / "model_package")
    parser.add_argument("--photos", type=Path, default=PHILIPPINE_SNAKES / "test")
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--crowd", type=int, default=20)
    asked = parser.parse_args()
    found, _ = find_photos([asked.photos])
    photos = [photo.content for photo in found if isinstance(photo.content, Path)]
    with (
        tempfile.TemporaryDirectory() as folder,
        page_server(asked.model, environment={"TMPDIR": folder}) as (url, server),
    ):
        began = time.perf_counter()
        answered = crowd_answered(url, [photos[one % len(photos)] for one in range(asked.crowd)])
        crowd_s = time.perf_counter() - began
        took, memory = [], []
        for one in range(asked.requests):
            began = time.perf_counter()
            assert is_answer(ask(url, [photos[one % len(photos)]]))
            took.append(time.perf_counter() - began)
            memory.append(server.memory_info().rss / 1e6)
        first, last = memory[len(memory) // 10], memory[-1]
        finish(
            {
                "requests": asked.requests,
                "answer_s": significant(statistics.median(took)),
                "crowd": asked.crowd,
                "crowd_answered": answered,
                "crowd_s": significant(crowd_s),
                "rss_first_mb": significant(first),
                "rss_last_mb": significant(last),
                "growth": significant(last / first),
                "left_files": sum(path.is_file() for path in Path(folder).rglob("*")),
            }
        )


if __name__ == "__main__":
    main()
