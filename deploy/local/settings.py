"""What deploy.local takes from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
LOOPBACK = "127.0.0.1"


class LocalError(RuntimeError):
    """Something cannot be started; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class Database:
    """Where a PostgreSQL database is, and as whom to open it."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    name: str


@dataclass(frozen=True)
class Settings:
    """`home` is DAGSTER_HOME; the ports are the UI's and the code server's."""

    home: Path
    database: Database
    database_folder: Path
    port: int
    code_port: int

    def variables(self) -> dict[str, str]:
        """What dagster.yaml, workspace.yaml and PostgreSQL's own programs read from the environment."""
        return {
            "DAGSTER_HOME": str(self.home),
            "SNAKE_CODE_PORT": str(self.code_port),
            "PGHOST": self.database.host,
            "PGPORT": str(self.database.port),
            "PGUSER": self.database.user,
            "PGPASSWORD": self.database.password,
            "PGDATABASE": self.database.name,
        }


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings. Raises LocalError for one that is missing or makes no sense."""
    home = Path(environment.get("DAGSTER_HOME") or PROJECT / ".snake" / "deployment").resolve()
    return Settings(
        home,
        _database(environment),
        Path(environment.get("SNAKE_DATABASE_FOLDER") or home / "postgres").resolve(),
        _port(environment, "SNAKE_PORT", 3000),
        _port(environment, "SNAKE_CODE_PORT", 4000),
    )


def _database(environment: Mapping[str, str]) -> Database:
    password = environment.get("PGPASSWORD")
    if not password:
        raise LocalError(
            "PGPASSWORD is not set, and there is no default password: set it to that of the database "
            "(deploy/local/README.md)."
        )
    return Database(
        environment.get("PGHOST") or LOOPBACK,
        _port(environment, "PGPORT", 5432),
        environment.get("PGUSER") or "snake",
        password,
        environment.get("PGDATABASE") or "dagster",
    )


def _port(environment: Mapping[str, str], variable: str, default: int) -> int:
    text = environment.get(variable) or str(default)
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise LocalError(f"{variable}={text!r} is no port: set a number from 1 to 65535, or unset it.")
    return int(text)
