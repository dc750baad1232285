"""The project's own command: `snake-assets predict`, `app`, `review`, `entry check`, `summary`.

A command is a module with `add_arguments(parser)` and `run(arguments) -> exit status`; only the one that is
asked for is imported. Its arguments have `home`, the function that names the project's folder `.snake`.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

COMMANDS = {
    "predict": ("snake_assets.identification.command", "identify the snakes in photos"),
    "app": ("snake_assets.identification.page", "open a page on which snakes are identified"),
    "review": ("snake_assets.identification.review", "photos whose label would teach the most, out and back"),
    "entry": ("snake_assets.identification.entry.check", "try an entry to the code competition"),
    "check-data": ("snake_assets.snakeclef.check_data", "look raw data over before anything is run on it"),
    "summary": ("snake_assets.summary", "what the last run of the job snakeclef came to"),
}


def home() -> Path:
    """The folder `.snake` of the project."""
    # Here, for it loads Dagster, which a package of a trained model does without.
    from snake_assets.defs.resources.settings import home

    return home()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 2, and a sentence, for a call that cannot be done."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser("snake-assets", description="Snake photos to species.")
    parser.set_defaults(home=home)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, about) in COMMANDS.items():
        command = commands.add_parser(name, help=about)
        if name in given[:1]:
            import_module(module).add_arguments(command)
    asked = parser.parse_args(given)
    try:
        return int(import_module(COMMANDS[asked.command][0]).run(asked))
    except BrokenPipeError:
        # Whoever read the answers has enough; the interpreter must not try to write what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        sys.stderr.write(f"{error.filename or 'A file'}: {error.strerror or error}\n")
    except Exception as error:
        if not type(error).__module__.startswith(__package__):
            raise
        sys.stderr.write(f"{error}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
