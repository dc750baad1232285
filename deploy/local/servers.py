"""The servers: what each is started with, and how to tell that it is healthy."""

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass

import dagster as dg

from deploy.local.processes import Process
from deploy.local.settings import LOOPBACK, PROJECT, LocalError, Settings

HERE = PROJECT / "deploy" / "local"
WORKSPACE = str(HERE / "workspace.yaml")
SECONDS_TO_START = 180.0
SECONDS_BETWEEN_LOOKS = 1.0


@dataclass(frozen=True)
class Server:
    """One of the servers; `healthy` asks it, and says no while it cannot be asked."""

    process: Process
    arguments: tuple[str, ...]
    port: int | None
    port_variable: str
    healthy: Callable[[], bool]


def servers(settings: Settings) -> dict[str, Server]:
    """The servers by name, in the order in which they are started."""
    folder = settings.home / "servers"
    code, webserver, daemon = (Process(name, folder) for name in ("code", "webserver", "daemon"))
    here = ("-h", LOOPBACK, "-p")
    module = ("-m", "snake_assets.definitions", "-d", str(PROJECT))
    return {
        "code": Server(
            code,
            ("dagster", "api", "grpc", *module, *here, str(settings.code_port)),
            settings.code_port,
            "SNAKE_CODE_PORT",
            lambda: _code_answers(settings.code_port),
        ),
        "webserver": Server(
            webserver,
            ("dagster_webserver", "-w", WORKSPACE, *here, str(settings.port)),
            settings.port,
            "SNAKE_PORT",
            lambda: _ui_answers(settings.port),
        ),
        "daemon": Server(
            daemon,
            ("dagster._daemon", "run", "-w", WORKSPACE),
            None,
            "",
            lambda: _heart_beats(settings, daemon),
        ),
    }


def start(settings: Settings, server: Server) -> bool:
    """Start a server and return when it is healthy; False if it ran already.

    Raises:
        LocalError: it ended, or does not get healthy, or somebody else has its port.
    """
    process = server.process
    new = process.found() is None
    if new:
        if server.port and _listens(server.port):
            raise LocalError(
                f"Port {server.port} is taken by another program: set {server.port_variable} to a free one."
            )
        _prepare(settings)
        process.start([sys.executable, "-m", *server.arguments], PROJECT)
    end = time.monotonic() + SECONDS_TO_START
    while not server.healthy():
        if process.found() is None:
            raise LocalError(f"{process.name} has ended. The end of {process.log}:\n{process.last_words()}")
        if time.monotonic() > end:
            raise LocalError(
                f"{process.name} is not healthy after {SECONDS_TO_START:.0f} s. The end of {process.log}:\n"
                f"{process.last_words()}"
            )
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return new


def _prepare(settings: Settings) -> None:
    settings.home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(HERE / "dagster.yaml", settings.home / "dagster.yaml")


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex((LOOPBACK, port)) == 0


def _code_answers(port: int) -> bool:
    if not _listens(port):
        return False
    check = [sys.executable, "-m", "dagster", "api", "grpc-health-check", "-h", LOOPBACK, "-p", str(port)]
    return subprocess.run(check, check=False, capture_output=True).returncode == 0


def _ui_answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/server_info", timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _heart_beats(settings: Settings, daemon: Process) -> bool:
    """Whether every daemon that the instance needs has told that it is well since the process was started."""
    process = daemon.found()
    if process is None or not (settings.home / "dagster.yaml").exists():
        return False
    with dg.DagsterInstance.from_config(str(settings.home)) as instance:
        beats = instance.get_daemon_heartbeats()
        needed = instance.get_required_daemon_types()
        well = {name for name, status in instance.get_daemon_statuses().items() if status.healthy}
    return all(
        name in well and name in beats and beats[name].timestamp > process.create_time() for name in needed
    )
