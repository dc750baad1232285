"""The settings (DESIGN.md, section 3): what is set in a run's config comes first, then the environment
variable, then the default. Nothing is read from the environment before a run needs it."""

import os
from pathlib import Path


class SettingError(ValueError):
    """A setting that cannot be used; the message names its variable and what to do."""


def home() -> Path:
    """The folder `.snake` of the project, or of the working folder where there is only the package."""
    project = Path(__file__).resolve().parents[3]
    return (project if (project / "pyproject.toml").is_file() else Path.cwd()) / ".snake"


def setting(value: str | None, variable: str, default: str) -> str:
    """What a run's config says, else the environment variable, else the default."""
    return value or os.environ.get(variable) or default


def choice(value: str, variable: str, choices: tuple[str, ...]) -> str:
    """A value that is one of some; raises SettingError for another."""
    if value not in choices:
        raise SettingError(
            f"{variable}={value!r} is not one of {', '.join(choices)}: set one of them, or unset it."
        )
    return value
