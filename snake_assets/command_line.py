"""The `dagster` command of this project's environment: Dagster's own, with `-w` for all its commands.

Dagster takes a workspace file in `dev`, `definitions validate` and `job launch`, but not in the commands
that run in their own process: there, `-w FILE` is replaced here by the module that the file names. Every
other command line reaches Dagster as it was typed.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import distribution
from pathlib import Path

import yaml

IN_PROCESS = (("job", "execute"), ("asset", "materialize"), ("asset", "list"))


class WorkspaceError(ValueError):
    """A workspace file that does not name one module."""


def without_workspace(arguments: Sequence[str]) -> list[str]:
    """The arguments of `dagster` with `-w FILE` replaced by `-m MODULE -d FOLDER` where Dagster needs that.

    Raises:
        WorkspaceError: the file is missing, or is not a workspace of exactly one Python module.
    """
    if tuple(arguments[:2]) not in IN_PROCESS:
        return list(arguments)
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-w", "--workspace", type=Path)
    found, others = parser.parse_known_args(arguments)
    return [*others, *_target(found.workspace)] if found.workspace else list(arguments)


def _target(workspace: Path) -> list[str]:
    try:
        (entry,) = yaml.safe_load(workspace.read_text())["load_from"]
        module = entry["python_module"]
        if isinstance(module, str):
            module = {"module_name": module}
        folder = workspace.parent / module.get("working_directory", ".")
        return ["-m", module["module_name"], "-d", str(folder)]
    except OSError as error:
        raise WorkspaceError(
            f"{workspace} cannot be read ({error.strerror}): name a workspace file."
        ) from error
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise WorkspaceError(
            f"{workspace} does not name exactly one python_module under load_from: use -m MODULE instead."
        ) from error


def main() -> None:
    """Run Dagster's command line."""
    try:
        sys.argv[1:] = without_workspace(sys.argv[1:])
    except WorkspaceError as error:
        sys.exit(f"Error: {error}")
    distribution("dagster").entry_points["dagster"].load()()
