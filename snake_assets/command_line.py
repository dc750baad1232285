"""The `dagster` command of this project's environment: Dagster's own, with `-w` for all its commands.

Dagster takes a workspace file in `dev`, `definitions validate` and `job launch`, and finds `workspace.yaml`
in the working folder by itself, but does neither in the commands that run in their own process. There, the
file is replaced here by the module that it names. Every other command line reaches Dagster as it was typed.
Before a run, those that were killed earlier are marked as failed: their slot of a pool would be waited for.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import distribution
from pathlib import Path

import yaml

RUNNING = (("job", "execute"), ("asset", "materialize"))
IN_PROCESS = (*RUNNING, ("asset", "list"))
DEFAULT = Path("workspace.yaml")
# Where steps draw their progress bars (assets/progress.py).
TERMINAL_VARIABLE = "SNAKE_TERMINAL"
# Options and variables by which Dagster itself is told where the code is.
TARGETS = ("-m", "--module-name", "-f", "--python-file", "--package-name", "--autoload-defs-module-name")
TARGET_VARIABLES = ("DAGSTER_MODULE_NAME", "DAGSTER_PYTHON_FILE", "DAGSTER_PACKAGE_NAME")


class WorkspaceError(ValueError):
    """A workspace file that does not name one module."""


def without_workspace(arguments: Sequence[str]) -> list[str]:
    """The arguments of `dagster` with the workspace file replaced by `-m MODULE -d FOLDER` where needed.

    The file is that of `-w`, or else `workspace.yaml` in the working folder if nothing else says where the
    code is.

    Raises:
        WorkspaceError: the file is missing, or is not a workspace of exactly one Python module.
    """
    if tuple(arguments[:2]) not in IN_PROCESS or {"-h", "--help"} & set(arguments):
        return list(arguments)
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-w", "--workspace", type=Path)
    parser.add_argument(*TARGETS, dest="target")
    found, others = parser.parse_known_args(arguments)
    if found.workspace:
        return [*others, *_target(found.workspace)]
    if found.target or any(variable in os.environ for variable in TARGET_VARIABLES) or not DEFAULT.is_file():
        return list(arguments)
    return [*others, *_target(DEFAULT)]


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


def _end_orphans() -> None:
    """A run that was killed before keeps its slot of the pool `accelerator`: this one would wait for ever."""
    import dagster as dg

    from snake_assets.defs.automation.orphaned_runs import end_orphans

    with dg.DagsterInstance.get() as instance:
        for run_id in end_orphans(instance):
            sys.stderr.write(f"Run {run_id} was killed earlier; it is marked as failed now.\n")


def main() -> None:
    """Run Dagster's command line."""
    runs_here = tuple(sys.argv[1:3]) in RUNNING
    if runs_here and sys.stderr.isatty():
        os.environ.setdefault(TERMINAL_VARIABLE, os.ttyname(sys.stderr.fileno()))
    try:
        sys.argv[1:] = without_workspace(sys.argv[1:])
    except WorkspaceError as error:
        sys.exit(f"Error: {error}")
    if runs_here and not {"-h", "--help"} & set(sys.argv) and os.environ.get("DAGSTER_HOME"):
        _end_orphans()
    distribution("dagster").entry_points["dagster"].load()()
