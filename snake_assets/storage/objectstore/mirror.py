"""Objects of a bucket as files of this machine: what is there already is not fetched again.

`transfer_manager.download_many` has no progress and begins a file anew that was cut short, so that an archive
of 60 GB would have to come in one run; objects are therefore read here in pieces, each file by one thread.
"""

import base64
import fcntl
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from snake_assets.storage import StorageError
from snake_assets.storage.fingerprints import fingerprint
from snake_assets.storage.local_files import faults_named
from snake_assets.storage.objectstore.gcs import GET, BucketPath, Stored

# The client keeps ten connections.
AT_ONCE = 8
PIECE = 8 << 20
ATTEMPTS = 2
SECONDS_BETWEEN_REPORTS = 1.0
# The largest time that a file takes everywhere is beyond this one.
TIMES = 1 << 62
# What file systems take, in bytes.
LONGEST_PART, LONGEST_NAME = 255, 1024
Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Fetched:
    """What was fetched: files, their bytes, and how long it took."""

    files: int
    bytes: int
    seconds: float


@dataclass(frozen=True)
class Mirror:
    """The folder `folder`, filled with objects below `root`; `aside` is where they grow."""

    root: BucketPath
    folder: Path
    aside: Path

    def bring(
        self, area: str, wanted: Mapping[str, Stored], report: Report = lambda done, to_do: None
    ) -> Fetched:
        """Fetch what is missing of the wanted objects, several at a time; one process does so for an area.

        Args:
            area: a name; files below `folder/area` that are not wanted are removed.
            wanted: name below the root -> what the bucket says of it.
            report: is told bytes fetched and bytes to fetch, every second.

        Raises:
            StorageError: a name that cannot be a file's, too small a disk, or an object that cannot be had,
                has changed meanwhile, or came damaged twice.
        """
        refuse_unsafe_names(self.root, wanted)
        aside = self.aside / area
        with _alone(aside):
            self._remove_others(area, wanted)
            missing = {name: s for name, s in wanted.items() if not _is_fetched(self.folder / name, s)}
            growing = {
                name: aside / f"{fingerprint(name)[:32]}-{missing[name].generation}" for name in missing
            }
            for stale in set(aside.glob("*-*")) - set(growing.values()):
                stale.unlink()
            return self._fetch(missing, growing, report)

    def _fetch(self, missing: Mapping[str, Stored], growing: Mapping[str, Path], report: Report) -> Fetched:
        to_do = sum(stored.size for stored in missing.values())
        to_do -= sum(path.stat().st_size for path in growing.values() if path.exists())
        if to_do > (free := shutil.disk_usage(self.aside).free):
            raise StorageError(
                f"{self.folder} has room for {free:,} bytes, and {to_do:,} are to be fetched from "
                f"{self.root}: free space, or set SNAKE_CACHE to a folder on a larger disk."
            )
        began, came, stopped, to_come = time.monotonic(), list[int](), Event(), deque(missing.items())

        def arrived(size: int) -> None:
            # One that fails ends all; a large one would go on for hours.
            if stopped.is_set():
                raise StorageError(f"{self.root}: another object could not be fetched.")
            came.append(size)

        def fetch_in_turn() -> None:
            # A future for each of 180,000 objects would have to be looked at every second.
            while not stopped.is_set():
                try:
                    name, stored = to_come.popleft()
                except IndexError:
                    return
                _fetch_object(self.root / name, stored, self.folder / name, growing[name], arrived)

        with ThreadPoolExecutor(AT_ONCE, "fetch") as pool:
            pending = {pool.submit(fetch_in_turn) for _ in range(min(AT_ONCE, len(missing)))}
            try:
                while pending:
                    done, pending = wait(pending, SECONDS_BETWEEN_REPORTS, FIRST_EXCEPTION)
                    for future in done:
                        future.result()
                    report(sum(came), to_do)
            except BaseException:
                stopped.set()
                raise
        return Fetched(len(missing), sum(came), round(time.monotonic() - began, 1))

    def _remove_others(self, area: str, wanted: Mapping[str, Stored]) -> None:
        folder = self.folder / area
        with faults_named(folder):
            for above, _, names in os.walk(folder, topdown=False):
                inside = Path(above)
                for path in (inside / name for name in names):
                    if path.relative_to(self.folder).as_posix() not in wanted:
                        path.unlink()
                # Where it was a folder, an object may want to be a file.
                if inside != folder and not any(inside.iterdir()):
                    inside.rmdir()


def time_of(stored: Stored) -> int:
    """The time of change, in nanoseconds, of the file that an object becomes, wherever and whenever.

    The generation is the microsecond at which the object was written, and another for whatever is written.
    """
    return stored.generation * 1000 % TIMES


def _is_fetched(target: Path, stored: Stored) -> bool:
    """Whether the file is this generation of the object, which was checked when it was fetched."""
    try:
        status = target.stat(follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return (status.st_size, status.st_mtime_ns) == (stored.size, time_of(stored))


def _fetch_object(
    source: BucketPath, stored: Stored, target: Path, aside: Path, came: Callable[[int], None]
) -> None:
    """Fetch one generation to `target` by way of `aside`, and hold it against the bucket's CRC32C."""
    with faults_named(target):
        for _ in range(ATTEMPTS):
            if _append(source, stored, aside, came) == stored.crc32c:
                break
            aside.unlink()
        else:
            raise StorageError(
                f"{source} came with another checksum (CRC32C) than the bucket has of it, twice: something "
                "on the way changes it. Nothing of it is used; run again."
            )
        os.utime(aside, ns=(time_of(stored), time_of(stored)))
        target.parent.mkdir(parents=True, exist_ok=True)
        aside.replace(target)
    if not _is_fetched(target, stored):
        raise StorageError(
            f"{target.parent} keeps times of files less exactly than to the microsecond, and changes could "
            "not be told by them: set SNAKE_CACHE to a folder on another file system."
        )


def _append(source: BucketPath, stored: Stored, aside: Path, came: Callable[[int], None]) -> str:
    """Fetch what is missing; the checksum of the whole, in base 64."""
    import google_crc32c

    checksum = google_crc32c.Checksum()
    with aside.open("a+b") as file:
        file.seek(0)
        while piece := file.read(PIECE):
            checksum.update(piece)
        reader = source.open(stored)
        try:
            with source.asking(GET):
                if at := file.tell():
                    reader.seek(at)
                while at < stored.size:
                    piece = reader.read(min(PIECE, stored.size - at))
                    at += file.write(piece)
                    # Or a kill would lose what the next run could go on from.
                    file.flush()
                    checksum.update(piece)
                    came(len(piece))
        except FileNotFoundError:
            # A step that fails for this is tried again, and lists anew.
            raise StorageError(
                f"{source} was replaced or removed while it was fetched: run again."
            ) from ConnectionError("another generation")
        os.fsync(file.fileno())
    return base64.b64encode(checksum.digest()).decode("ascii")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process is at it; the lock is freed however its process ends."""
    with faults_named(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "_lock").open("wb")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def refuse_unsafe_names(root: BucketPath, names: Collection[str]) -> None:
    """See that each name, below `root`, can be a file's below a folder, beside all the others.

    Anything may stand in a bucket, and not all of it is a path.

    Raises:
        StorageError: one leads outside, cannot be written, or is a file and a folder at once; names it.
    """
    there = frozenset(names)
    for name in there:
        if fault := _fault(name, there):
            raise StorageError(
                f"{root} holds {name[:200]!r}, which {fault}: nothing of it is fetched. Rename or "
                "remove that object, then run again."
            )


def _fault(name: str, there: frozenset[str]) -> str | None:
    parts = name.split("/")
    if {"", ".", ".."} & set(parts) or "\\" in name:
        return "leads outside the folder"
    # Unprintable are control characters, NUL among them, and those that turn the writing round.
    if not name.isprintable():
        return "no file is called"
    if len(name.encode()) > LONGEST_NAME or any(len(part.encode()) > LONGEST_PART for part in parts):
        return "is longer than the name of a file can be"
    above = next((above for n in range(1, len(parts)) if (above := "/".join(parts[:n])) in there), None)
    return f"lies in {above[:200]!r}, which is an object itself" if above else None
