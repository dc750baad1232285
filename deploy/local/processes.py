"""Processes that go on after whoever started them has gone, and are found again by their id."""

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

SECONDS_TO_END = 20.0


@dataclass(frozen=True)
class Process:
    """A process by its name; `folder` keeps its id and its log."""

    name: str
    folder: Path

    @property
    def log(self) -> Path:
        """What it wrote."""
        return self.folder / f"{self.name}.log"

    @property
    def _noted(self) -> Path:
        return self.folder / f"{self.name}.json"

    def found(self) -> psutil.Process | None:
        """The process, if it runs. Another one that was given the same id since is not it."""
        try:
            noted = json.loads(self._noted.read_text(encoding="utf-8"))
            process = psutil.Process(noted["pid"])
            same = abs(process.create_time() - noted["created"]) < 1
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except (FileNotFoundError, psutil.NoSuchProcess):
            return None

    def start(self, command: Sequence[str], cwd: Path) -> None:
        """Start it in a session of its own, so that a closed terminal does not end it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            started = subprocess.Popen(
                command,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        noted = {"pid": started.pid, "created": psutil.Process(started.pid).create_time()}
        aside = self._noted.with_suffix(".new")
        aside.write_text(json.dumps(noted), encoding="utf-8")
        aside.replace(self._noted)

    def stop(self) -> bool:
        """End it, and after some seconds what it has started; False if it did not run."""
        process = self.found()
        if process:
            process.send_signal(signal.SIGTERM)
            with suppress(psutil.TimeoutExpired):
                process.wait(SECONDS_TO_END)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with suppress(psutil.TimeoutExpired):
                process.wait(SECONDS_TO_END)
        self._noted.unlink(missing_ok=True)
        return process is not None

    def last_words(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
