"""Objects of a bucket as files of this machine: what is there already is not fetched again."""

import fcntl
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from snake_assets.storage.bucket_path import BucketPath, Stored
from snake_assets.storage.errors import StorageError
from snake_assets.storage.fetching import fetch_object, is_fetched
from snake_assets.storage.files import faults_named
from snake_assets.storage.fingerprints import fingerprint
from snake_assets.storage.object_names import refuse_unsafe_names

# The client keeps ten connections.
AT_ONCE = 8
SECONDS_BETWEEN_REPORTS = 1.0
Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Fetched:
    """What was fetched: files, their bytes, how long it took, and requests that had to be made again."""

    files: int
    bytes: int
    seconds: float
    retries: int


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
            StorageError: a name that cannot be a file's, too small a disk, or an object that cannot be had.
        """
        refuse_unsafe_names(self.root, wanted)
        aside = self.aside / area
        with _alone(aside):
            self._remove_others(area, wanted)
            missing = {
                name: stored for name, stored in wanted.items() if not is_fetched(self.folder / name, stored)
            }
            growing = {
                name: aside / f"{fingerprint(name)[:32]}-{stored.generation}"
                for name, stored in missing.items()
            }
            for stale in set(aside.glob("*-*")) - set(growing.values()):
                stale.unlink()
            return self._fetch(missing, growing, report)

    def _fetch(self, missing: Mapping[str, Stored], growing: Mapping[str, Path], report: Report) -> Fetched:
        to_do = sum(stored.size for stored in missing.values())
        to_do -= sum(path.stat().st_size for path in growing.values() if path.exists())
        self._look_for_room(to_do)
        began = time.monotonic()
        came: list[int] = []
        failed: list[Exception] = []
        stopped = Event()

        def arrived(size: int) -> None:
            # One that fails ends all; a large one would go on for hours.
            if stopped.is_set():
                raise StorageError(f"{self.root}: another object could not be fetched.")
            came.append(size)

        to_come = deque(missing.items())

        def fetch_in_turn() -> None:
            # A future for each of 180,000 objects would have to be looked at every second.
            while not stopped.is_set():
                try:
                    name, stored = to_come.popleft()
                except IndexError:
                    return
                target = self.folder / name
                fetch_object(self.root / name, stored, target, growing[name], arrived, failed.append)

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
        return Fetched(len(missing), sum(came), round(time.monotonic() - began, 1), len(failed))

    def _look_for_room(self, needed: int) -> None:
        free = shutil.disk_usage(self.aside).free
        if needed > free:
            raise StorageError(
                f"{self.folder} has room for {free:,} bytes, and {needed:,} are to be fetched from "
                f"{self.root}: free space, or set SNAKE_CACHE to a folder on a larger disk."
            )

    def _remove_others(self, area: str, wanted: Mapping[str, Stored]) -> None:
        folder = self.folder / area
        with faults_named(folder):
            for above, _, names in os.walk(folder, topdown=False):
                inside = Path(above)
                within = inside.relative_to(self.folder).as_posix()
                for name in names:
                    if f"{within}/{name}" not in wanted:
                        (inside / name).unlink()
                # Where it was a folder, an object may want to be a file.
                if inside != folder and not any(inside.iterdir()):
                    inside.rmdir()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process is at it; the lock is freed however its process ends."""
    with faults_named(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "_lock").open("wb")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
