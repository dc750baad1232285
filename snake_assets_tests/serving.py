"""Dagster's servers on loopback, for tests that use them as people do: each with a DAGSTER_HOME of its own.

`dev` is `dagster dev -w workspace.yaml`. `apart` runs code server, webserver and daemon as three processes on
PostgreSQL, as deploy/local says, so that a test can kill one of them. Whatever they wrote is in
`<home>/*.log`.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

PROJECT = Path(__file__).resolve().parents[1]
LOCAL_WORKSPACE = str(PROJECT / "deploy" / "local" / "workspace.yaml")
# Nothing should ever wait for so long, even on a machine that has more to do.
LAST_RESORT_SECONDS = 1500.0
Found = TypeVar("Found")

HEALTH = """{
  instance { daemonHealth { allDaemonStatuses { required healthy } } }
  workspaceOrError { ... on Workspace { locationEntries {
    locationOrLoadError { __typename ... on PythonError { message } } } } }
}"""


def until(look: Callable[[], Found | None], what: str) -> Found:
    """Look again and again until there is something to return; the one place where tests wait for servers.

    A server tells nobody when it is done, so it has to be asked; it is never waited for longer than it takes.
    """
    end = time.monotonic() + LAST_RESORT_SECONDS
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"After {LAST_RESORT_SECONDS:.0f} s still not: {what}")
        time.sleep(0.2)


@dataclass
class Servers:
    """Servers that run; `url` is the UI's, without a slash at its end."""

    home: Path
    url: str
    environment: Mapping[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """The data of a GraphQL query or mutation; errors fail the test."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"{self.url}/graphql", body, {"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
        assert not answer.get("errors"), answer["errors"]
        data: dict[str, Any] = answer["data"]
        return data

    def start(self, name: str, program: str, *arguments: str) -> None:
        """Start a program of Dagster's, whose output goes to `<home>/<name>.log`."""
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [Path(sys.executable).with_name(program), *arguments],
                cwd=PROJECT,
                env=dict(self.environment),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start_daemon(self) -> None:
        """Start the daemon beside servers that run `apart`."""
        self.start("daemon", "dagster-daemon", "run", "-w", LOCAL_WORKSPACE)

    def start_code(self, module: str = "snake_assets.definitions") -> None:
        """Start the code server of servers that run `apart`; returns when it listens."""
        port = self.environment["SNAKE_CODE_PORT"]
        where = ("-m", module, "-d", str(PROJECT), "-h", "127.0.0.1", "-p", port)
        self.start("code", "dagster", "api", "grpc", *where)
        until(lambda: self.alive() and _listens(int(port)), f"a code server (see {self.home}/code.log)")

    def kill(self, name: str) -> None:
        """End a process as a power cut does: SIGKILL, to it alone."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def until_healthy(self) -> None:
        """Return when the code location is loaded and every daemon has sent a heartbeat."""
        until(self._healthy, f"healthy servers (see {self.home}/*.log)")

    def stop(self) -> None:
        """End all processes and what they have started."""
        for process in self.processes.values():
            process.send_signal(signal.SIGINT)
        for process in self.processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.processes.clear()

    def alive(self) -> bool:
        """True; a process that has ended fails the test, with the end of its log."""
        for name, process in self.processes.items():
            assert process.poll() is None, f"{name} ended: " + (self.home / f"{name}.log").read_text()[-2000:]
        return True

    def _healthy(self) -> bool:
        self.alive()
        try:
            told = self.ask(HEALTH)
        except OSError:
            return False
        (location,) = told["workspaceOrError"]["locationEntries"]
        loaded = location["locationOrLoadError"]
        if loaded is None:
            return False
        assert loaded["__typename"] == "RepositoryLocation", loaded["message"]
        statuses = told["instance"]["daemonHealth"]["allDaemonStatuses"]
        return all(status["healthy"] for status in statuses if status["required"])


@contextmanager
def dev(
    home: Path, settings: Mapping[str, str], module: str = "snake_assets.definitions"
) -> Iterator[Servers]:
    """`dagster dev`, healthy; `settings` are environment variables such as SNAKE_DATA.

    The workspace is that of the project, with another module if one is named.
    """
    port = _free_port()
    servers = _servers("dev", home, port, settings)
    workspace = yaml.safe_load((PROJECT / "workspace.yaml").read_text())
    workspace["load_from"][0]["python_module"] |= {"module_name": module, "working_directory": str(PROJECT)}
    (home / "workspace.yaml").write_text(yaml.safe_dump(workspace))
    named = ("-w", str(home / "workspace.yaml"))
    try:
        servers.start("dev", "dagster", "dev", *named, "-h", "127.0.0.1", "-p", str(port))
        servers.until_healthy()
        yield servers
    finally:
        servers.stop()


@contextmanager
def apart(home: Path, settings: Mapping[str, str]) -> Iterator[Servers]:
    """The processes `code`, `webserver` and `daemon`, healthy; `settings` name a database too."""
    port = _free_port()
    servers = _servers("local", home, port, {**settings, "SNAKE_CODE_PORT": str(_free_port())})
    try:
        servers.start_code()
        here = ("-h", "127.0.0.1", "-p", str(port))
        servers.start("webserver", "dagster-webserver", "-w", LOCAL_WORKSPACE, *here)
        servers.start_daemon()
        servers.until_healthy()
        yield servers
    finally:
        servers.stop()


@contextmanager
def headless(home: Path, settings: Mapping[str, str], module: str) -> Iterator[Servers]:
    """The processes `code` and `daemon`, without a UI, which keep what they remember in SQLite."""
    servers = _servers("dev", home, 0, {**settings, "SNAKE_CODE_PORT": str(_free_port())})
    file = home / "dagster.yaml"
    # What is killed while it launches a run is waited for.
    file.write_text(file.read_text().replace("start_timeout_seconds: 1200", "start_timeout_seconds: 120"))
    try:
        servers.start_code(module)
        servers.start_daemon()
        yield servers
    finally:
        servers.stop()


@contextmanager
def postgres() -> Iterator[tuple[dict[str, str], Callable[[], None]]]:
    """A PostgreSQL of its own: the variables that name it, and what restarts it."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to be root
    variables = {"PGHOST": "127.0.0.1", "PGPORT": str(_free_port()), "PGDATABASE": "postgres"}
    variables |= {"PGUSER": "snake", "PGPASSWORD": "not/to@be%guessed"}
    # That user has to get there, and pytest's own folders are closed to others.
    with tempfile.TemporaryDirectory(prefix="snake_assets_postgres_") as root:
        password = Path(root, "password")
        password.write_text(variables["PGPASSWORD"])
        if user:
            shutil.chown(root, user)
            shutil.chown(password, user)

        def run(program: str, *arguments: str) -> None:
            with Path(root, "log").open("ab") as told:
                ended = subprocess.run(
                    [programs / program, "-D", f"{root}/data", *arguments],
                    cwd="/",
                    user=user,
                    extra_groups=[] if user else None,
                    stdout=told,
                    stderr=told,
                    check=False,
                )
            assert ended.returncode == 0, Path(root, "log").read_text()[-2000:]

        run("initdb", "--auth=scram-sha-256", f"--username={variables['PGUSER']}", f"--pwfile={password}")
        options = f"-c listen_addresses=127.0.0.1 -c port={variables['PGPORT']} -c unix_socket_directories=''"
        run("pg_ctl", "start", "-w", "-o", options)
        try:
            yield variables, lambda: run("pg_ctl", "restart", "-w", "-m", "fast")
        finally:
            run("pg_ctl", "stop", "-w", "-m", "immediate")


def _servers(kind: str, home: Path, port: int, settings: Mapping[str, str]) -> Servers:
    """Prepare a DAGSTER_HOME like that of deploy/KIND, but with daemons that look more often."""
    home.mkdir(parents=True)
    instance = yaml.safe_load((PROJECT / "deploy" / kind / "dagster.yaml").read_text())
    # Patience on a machine that has more to do: none of these waits for longer than it takes.
    instance["run_monitoring"] |= {"poll_interval_seconds": 2, "start_timeout_seconds": 1200}
    queue = {"module": "dagster", "class": "QueuedRunCoordinator", "config": {"dequeue_interval_seconds": 1}}
    instance["run_coordinator"] = queue
    if kind == "dev":
        instance["concurrency"]["runs"]["max_concurrent_runs"] = 2  # splits of a backfill side by side
    (home / "dagster.yaml").write_text(yaml.safe_dump(instance))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("SNAKE_", "DAGSTER_"))},
        "DAGSTER_HOME": str(home),
        "DAGSTER_GRPC_TIMEOUT_SECONDS": "600",
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "PYTHONPATH": str(PROJECT),
        **settings,
    }
    return Servers(home, f"http://127.0.0.1:{port}", environment)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0
