"""`python -m deploy.local start | stop | restart | status [NAME …]` (deploy/local/README.md)."""

import argparse
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from deploy.local import database
from deploy.local.servers import servers, start
from deploy.local.settings import LOOPBACK, LocalError, Settings, read_settings

DATABASE = "database"
SERVERS = ["code", "webserver", "daemon"]


def start_all(settings: Settings, names: list[str]) -> None:
    """Start what is named, in order, each when the one before is healthy; what runs already is left alone."""
    if DATABASE in names:
        database.start(settings.database, settings.database_folder)
        say(f"database: on {LOOPBACK}:{settings.database.port}, in {settings.database_folder}")
    if why := database.why_not_there(settings.database):
        raise LocalError(
            f"The database does not answer: {why}\nStart it, or have one made here: "
            "python -m deploy.local start database"
        )
    for name, server in servers(settings).items():
        if name in names:
            new = start(settings, server)
            say(f"{name}: {'started' if new else 'ran already'}, healthy; it writes {server.process.log}")


def stop_all(settings: Settings, names: list[str]) -> None:
    """Stop what is named, the last first."""
    for name, server in reversed(servers(settings).items()):
        if name in names:
            say(f"{name}: {'stopped' if server.process.stop() else 'did not run'}")
    if DATABASE in names:
        say(f"database: {'stopped' if database.stop(settings.database_folder) else 'none of ours ran'}")


def all_well(settings: Settings, names: list[str]) -> bool:
    """Say of each how it is; True if all are well."""
    why = database.why_not_there(settings.database)
    well = {DATABASE: why is None}
    say(f"database: {why or 'answers'}")
    for name, server in servers(settings).items():
        process = server.process.found()
        well[name] = bool(process and not why and server.healthy())
        how = "does not run" if not process else f"process {process.pid}, " + ("" if well[name] else "not ")
        say(f"{name}: {how}{'healthy' if process else ''}")
    return all(well[name] for name in names)


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Two of these commands at once would start everything twice: the second waits."""
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / "deploy.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def say(line: str) -> None:
    """Tell the person at the terminal."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run the command line; 1 if something is not well."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    parser.add_argument("action", choices=["start", "stop", "restart", "status"])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{DATABASE}, {', '.join(SERVERS)}")
    asked = parser.parse_args()
    if unknown := set(asked.names) - {DATABASE, *SERVERS}:
        parser.error(f"no such server: {', '.join(sorted(unknown))}")
    try:
        settings = read_settings(os.environ)
        os.environ.update(settings.variables(), DAGSTER_DISABLE_TELEMETRY="1")
        with alone(settings):
            if asked.action == "status":
                return 0 if all_well(settings, asked.names or [DATABASE, *SERVERS]) else 1
            if asked.action == "stop":
                stop_all(settings, asked.names or [*SERVERS, DATABASE])
            if asked.action == "restart":
                stop_all(settings, asked.names or SERVERS)
            if asked.action in ("start", "restart"):
                start_all(settings, asked.names or SERVERS)
    except LocalError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
