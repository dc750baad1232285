"""The settings (DESIGN.md, section 3): what is set in a run's config comes first, then the environment
variable, then the default. Nothing is read from the environment before a run needs it."""

import os
from pathlib import Path

import dagster as dg
from pydantic import ValidationError


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


def number(resource: dg.ConfigurableResource[None], name: str) -> float | None:
    """What a resource's field says, else the variable SNAKE_ and its name, else None.

    Raises:
        SettingError: the variable is no number, or not in the field's range.
    """
    if (value := getattr(resource, name)) is not None:
        return float(value)
    variable = f"SNAKE_{name.upper()}"
    if not (text := os.environ.get(variable)):
        return None
    try:
        return float(getattr(type(resource).model_validate({name: text}), name))
    except ValidationError as error:
        raise SettingError(
            f"{variable}={text!r}: {error.errors()[0]['msg']}. Set it accordingly, or unset it."
        ) from None
