"""A file of answers that grows: whole lines at any moment, and a call that goes on where the last one ended.

Beside FILE lies FILE.progress: its first line says of which model and options FILE is, the others are entries
that FILE does not have yet. FILE itself is only ever replaced as a whole, by a rename. A kill between the
rename and the emptying of FILE.progress leaves entries in both, which their keys tell.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol

from snake_assets.identification.errors import IdentificationError
from snake_assets.storage.fingerprints import Json

# FILE is written anew when that costs at most a twentieth of the time since it last was.
TIME_FOR_ONE_RENEWAL = 20


class Layout(Protocol):
    """How entries become a file. An entry is one line, without its end."""

    head: str
    first: str  # between head and the first entry
    between: str
    tail: str

    def key(self, entry: str) -> str:
        """What an entry answers; raises ValueError, KeyError or IndexError for what is no entry."""


class AnswerFile:
    """FILE, for the one process that writes it."""

    def __init__(self, file: Path, layout: Layout, made_by: Mapping[str, Json]) -> None:
        """Open FILE to go on with it, or begin it.

        Args:
            file: FILE.
            layout: of its entries.
            made_by: model and options, by name; a FILE of others is refused.

        Raises:
            IdentificationError: FILE is of another model or other options, was changed, or is being written.
            OSError: FILE cannot be written.
        """
        self._file, self._layout = file, layout
        if file.exists() and not file.is_file():
            raise IdentificationError(f"{file} is no file: name another one with -o.")
        self._progress = file.with_name(f"{file.name}.progress")
        if file.exists() and not self._progress.exists():
            raise IdentificationError(
                f"{file} is there already, and no {self._progress.name} beside it says of which model and "
                "options it is: name another file with -o, or remove it."
            )
        self._journal: BinaryIO = self._progress.open("a+b")
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.done = self._begun(json.dumps(made_by, sort_keys=True))
        except BlockingIOError:
            self._journal.close()
            raise IdentificationError(f"Another call is writing {file}: wait for it.") from None
        except BaseException:
            self._journal.close()
            raise
        self._renewed, self._cost = time.monotonic(), 0.0

    def add(self, entries: Sequence[str]) -> None:
        """Keep some entries; those whose key is there already are left out."""
        fresh = {key: entry for entry in entries if (key := self._layout.key(entry)) not in self.done}
        if fresh:
            self._journal.write("".join(f"{entry}\n" for entry in fresh.values()).encode())
            self._journal.flush()
            self._pending += fresh.values()
            self.done |= fresh.keys()
        if time.monotonic() - self._renewed >= TIME_FOR_ONE_RENEWAL * self._cost:
            self._renew()

    def __enter__(self) -> AnswerFile:
        """For `with`."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Bring all entries into FILE."""
        try:
            self._renew()
        finally:
            self._journal.close()

    def _begun(self, made_by: str) -> set[str]:
        """Keys of the entries that are there; refuses a FILE that is not of this model and these options."""
        self._journal.seek(0)
        journal = self._journal.read()
        header, end, rest = journal.partition(b"\n")
        if not self._file.exists() and (not end or header.decode(errors="replace") != made_by):
            header, rest = made_by.encode(), b""
            self._journal.truncate(0)
            self._journal.write(header + b"\n")
            self._journal.flush()
        self._header_size = len(header) + 1
        if header.decode(errors="replace") != made_by:
            raise IdentificationError(
                f"{self._file} is of {_difference(header, made_by)}: name another file with -o, or remove "
                f"it and {self._progress.name}."
            )
        whole = rest[: rest.rfind(b"\n") + 1]
        self._journal.truncate(self._header_size + len(whole))
        try:
            done = {self._layout.key(entry) for entry in self._entries()}
            lines = {self._layout.key(line): line for line in whole.decode().split("\n")[:-1]}
        except (ValueError, LookupError, TypeError) as error:
            raise IdentificationError(
                f"{self._file} was changed since it was written ({error}): name another file with -o, or "
                f"remove it and {self._progress.name}."
            ) from None
        self._pending = [line for key, line in lines.items() if key not in done]
        return done | lines.keys()

    def _entries(self) -> Iterable[str]:
        if not self._file.exists():
            return []
        text, layout = self._file.read_text("utf-8"), self._layout
        if not (text.startswith(layout.head) and text.endswith(layout.tail)):
            raise ValueError("its first or last lines are not those that were written")
        body = text[len(layout.head) : len(text) - len(layout.tail)]
        return body.removeprefix(layout.first).split(layout.between) if body else []

    def _renew(self) -> None:
        """FILE with all entries, in one rename; then none is pending."""
        began, layout = time.monotonic(), self._layout
        if not self._pending and self._file.exists():
            return
        aside = self._file.with_name(f".{self._file.name}.{os.getpid()}.tmp")
        head, tail = layout.head.encode(), layout.tail.encode()
        try:
            with aside.open("wb") as out:
                if self._file.exists():
                    with self._file.open("rb") as old:
                        shutil.copyfileobj(old, out)
                    out.truncate(out.tell() - len(tail))
                    out.seek(0, os.SEEK_END)
                else:
                    out.write(head)
                glue = layout.first if out.tell() == len(head) else layout.between
                if self._pending:
                    out.write((glue + layout.between.join(self._pending)).encode())
                out.write(tail)
                out.flush()
                os.fsync(out.fileno())
            aside.replace(self._file)
        finally:
            aside.unlink(missing_ok=True)
        self._journal.truncate(self._header_size)
        self._pending = []
        self._renewed = time.monotonic()
        self._cost = self._renewed - began


def _difference(header: bytes, made_by: str) -> str:
    """Which model or option is another: "another model, or other options (top_k 3, not 5)"."""
    try:
        old, new = json.loads(header), json.loads(made_by)
        names = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    except (ValueError, AttributeError, TypeError):
        return "another program"
    return "; ".join(f"another {name} ({old.get(name)!r}, now {new.get(name)!r})" for name in names)
