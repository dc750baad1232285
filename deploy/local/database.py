"""A PostgreSQL of one's own on loopback, where no other is at hand: one cluster in one folder."""

import os
import shutil
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path

import psycopg2
from psycopg2 import sql

from deploy.local.settings import LOOPBACK, Database, LocalError

# PostgreSQL refuses to run as root; Debian's package makes this user.
UNPRIVILEGED = "postgres"
DEBIAN = Path("/usr/lib/postgresql")


def why_not_there(database: Database) -> str | None:
    """Why the database cannot be opened; None if it can."""
    try:
        _connect(database, database.name).close()
    except psycopg2.Error as error:
        return str(error).strip()
    return None


def start(database: Database, folder: Path) -> None:
    """Make cluster and database if they are not there, and start the server.

    Raises:
        LocalError: it should be on another machine, PostgreSQL is not installed, or it does not start.
    """
    if database.host not in (LOOPBACK, "localhost"):
        raise LocalError(f"PGHOST is {database.host}: only a database on {LOOPBACK} is started here.")
    if not (folder / "data" / "PG_VERSION").exists():
        _make(database, folder)
    if not runs(folder):
        options = f"-c listen_addresses={LOOPBACK} -c port={database.port} -c unix_socket_directories=''"
        _postgres("pg_ctl", folder, "start", "-w", "-l", str(folder / "log"), "-o", options)
    with closing(_connect(database, "postgres")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database.name,))
            if not cursor.fetchone():
                cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database.name)))


def stop(folder: Path) -> bool:
    """Stop the server at once, without loss; False if it did not run."""
    if not runs(folder):
        return False
    _postgres("pg_ctl", folder, "stop", "-w", "-m", "fast")
    return True


def runs(folder: Path) -> bool:
    """Whether the cluster in this folder has a server."""
    if not (folder / "data" / "postmaster.pid").exists():
        return False
    return _run("pg_ctl", "status", "-D", str(folder / "data")).returncode == 0


def _connect(database: Database, name: str) -> psycopg2.extensions.connection:
    return psycopg2.connect(
        host=database.host,
        port=database.port,
        user=database.user,
        password=database.password,
        dbname=name,
        connect_timeout=5,
    )


def _make(database: Database, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as password:
        password.write(database.password + "\n")
        password.flush()
        if os.geteuid() == 0:
            shutil.chown(folder, UNPRIVILEGED, UNPRIVILEGED)
            shutil.chown(password.name, UNPRIVILEGED, UNPRIVILEGED)
        options = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums")
        _postgres("initdb", folder, f"--username={database.user}", f"--pwfile={password.name}", *options)


def _postgres(program: str, folder: Path, *arguments: str) -> None:
    ended = _run(program, "-D", str(folder / "data"), *arguments)
    if ended.returncode:
        told = (ended.stderr or ended.stdout).strip()
        raise LocalError(f"{program} failed on {folder}: {told}\nIts log, if it got that far: {folder}/log")


def _run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [_program(program), *arguments]
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    # To files, not pipes: the server that pg_ctl leaves behind would keep a pipe open.
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        # From the root folder, and without our environment: the other user may see neither.
        ended = subprocess.run(
            command,
            check=False,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            stdout=out,
            stderr=err,
            user=user,
            group=user,
            extra_groups=[] if user else None,
        )
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(command, ended.returncode, out.read(), err.read())


def _program(name: str) -> str:
    newest_first = sorted(DEBIAN.glob("[0-9]*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    found = shutil.which(name, path=os.pathsep.join([*map(str, newest_first), os.defpath]))
    if not found:
        raise LocalError(
            f"PostgreSQL is not installed ({name} is not found): on Debian, apt-get install postgresql; "
            "or set PGHOST and the like to one that runs elsewhere."
        )
    return found
