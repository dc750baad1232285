"""Photos arrive, some twice, while run, daemon and sensor are killed: each content is answered once."""

import hashlib
import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import dagster as dg

from snake_assets.demo.backbone import build_demo_backbone
from snake_assets.storage.tables.table import open_table
from snake_assets_tests.identification.conftest import make_package, snake
from snake_assets_tests.serving import Servers, headless, until

MODULE = "snake_assets_tests.kills.quick_inbox"
# The sensor is evaluated by the code server.
RUN, DAEMON, SENSOR = "run", "daemon", "sensor"
TWICE, UNREADABLE = 0.1, 0.02
# Within these a look, a launch or a run of this size begins and ends.
LONGEST_S = 6.0


def kill_the_inbox(root: Path, kills: int, seed: int, photos: int = 500) -> dict[str, Any]:
    """A whole trial in an empty folder, as it is told."""
    began, draw = time.perf_counter(), random.Random(seed)
    inbox, store, home = root / "inbox", root / "store", root / "home"
    inbox.mkdir()
    build_demo_backbone(root / "backbone")
    make_package(store, root / "backbone")
    arriving = _photos(photos, draw)
    settings = {"SNAKE_INBOX": str(inbox), "SNAKE_STORE": str(store), "SNAKE_DEVICE": "cpu"}
    killed: Counter[str] = Counter()
    with headless(home, settings, MODULE) as servers, dg.DagsterInstance.from_config(str(home)) as instance:
        while killed.total() < kills:
            for _ in range(-(-photos // kills)):
                if arriving:
                    name, content = arriving.pop()
                    (inbox / name).write_bytes(content)
            fewest = min(killed[victim] for victim in (RUN, DAEMON, SENSOR))
            victim = draw.choice([one for one in (RUN, DAEMON, SENSOR) if killed[one] == fewest])
            _kill(victim, servers, instance, draw)
            killed[victim] += 1
        for name, content in arriving:
            (inbox / name).write_bytes(content)
        contents = {hashlib.sha256(path.read_bytes()).hexdigest() for path in inbox.iterdir()}
        until(lambda: contents <= _answered(store).keys(), f"all answers (see {home}/*.log)")
        runs = Counter(run.status.value for run in instance.get_runs())
    answered = _answered(store)
    return {
        "kills": killed.total(),
        "photos": len(list(inbox.iterdir())),
        "contents": len(contents),
        "answered_once": sum(answered[content] == 1 for content in contents),
        "lost": len(contents - answered.keys()),
        "doubled": sum(count - 1 for count in answered.values()),
        "batches": len(list(store.glob("identifications/*/_manifest.json"))),
        "by_victim": dict(killed),
        "runs": dict(runs),
        "seconds": round(time.perf_counter() - began, 1),
        "seed": seed,
    }


def _photos(count: int, draw: random.Random) -> list[tuple[str, bytes]]:
    """Names and contents: photos, text named as photos, and copies, in the order of their arrival."""
    texts, singles = round(count * UNREADABLE), round(count * (1 - TWICE))
    files = [(f"text-{number}.jpg", f"no photo {number}".encode()) for number in range(texts)]
    files += [(f"{number}.png", snake(number % 4, number)) for number in range(singles - texts)]
    copies = draw.sample(files, count - len(files))
    files += [(f"copy-of-{name}", content) for name, content in copies]
    draw.shuffle(files)
    return files


def _kill(victim: str, servers: Servers, instance: dg.DagsterInstance, draw: random.Random) -> None:
    """End one of them at a random moment, as a power cut does, and start it again if it is a server."""
    if victim == RUN:
        while True:
            process = until(lambda: _process_of_a_run(instance), "a run that has started")
            time.sleep(draw.uniform(0, LONGEST_S / 2))
            with suppress(ProcessLookupError):  # it has ended by itself: the next one
                os.kill(process, signal.SIGKILL)
                return
    time.sleep(draw.uniform(0, LONGEST_S))
    if victim == DAEMON:
        servers.kill("daemon")
        servers.start_daemon()
    else:
        servers.kill("code")
        servers.start_code(MODULE)


def _process_of_a_run(instance: dg.DagsterInstance) -> int | None:
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        for start in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_START)[:1]:
            process = start.dagster_event.pid if start.dagster_event else None
            if process and Path(f"/proc/{process}").exists():
                return process
    return None


def _answered(store: Path) -> Counter[str]:
    """How often each content is answered, by its SHA-256."""
    tables = [open_table(path.parent) for path in store.glob("identifications/*/_manifest.json")]
    return Counter(one for table in tables for one in table.read(["sha256"])["sha256"].to_pylist() if one)
