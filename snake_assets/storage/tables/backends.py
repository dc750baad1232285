"""A folder of the store while somebody writes it: what differs between a disk and a bucket.

On a disk a lock keeps other writers away, so what the manifest does not name is left over and goes at once.

A bucket has no lock that frees itself. Whoever begins notes the generation of the manifest, and may replace
that generation only: of two who began on the same, one commits, and the other is told. Everything that is
written until then has a name of its writer's own. It is removed by the next one who commits, if it was there
before they did: whoever wrote it had begun on an older manifest, and can no longer commit what is missing.
"""

import os
import shutil
import tempfile
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import count
from pathlib import Path

from snake_assets.storage import StorageError
from snake_assets.storage.fingerprints import bytes_digest, file_digest
from snake_assets.storage.local_files import (
    LOCK,
    CountedFile,
    faults_named,
    only_writer,
    sync_folder,
    whole_file,
    write_whole,
)
from snake_assets.storage.objectstore.gcs import NOTHING, BucketPath, Overtaken, whole_object
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.manifest import MANIFEST

SHARDS, PROGRESS, FILES, ASIDE = "part-", "_progress", "_files-", ".next-"


class Backend(ABC):
    """The files of one folder. All methods raise StorageError where something is refused.

    Attributes:
        ground: what else than the recipe the progress of an unfinished run holds for.
        progress: name of this writer's progress file.
    """

    ground = ""
    progress = f"{PROGRESS}.jsonl"

    @abstractmethod
    def shard_name(self, number: int) -> str:
        """The name of the shard of a number; no other writer at work gives the same."""

    @abstractmethod
    def new_file(self, name: str) -> AbstractContextManager[CountedFile]:
        """A file to write into, which appears whole when the context is left without an error."""

    @abstractmethod
    def tell(self, progress: bytes) -> None:
        """Replace this writer's progress file."""

    @abstractmethod
    def clear(self, named: Collection[str]) -> None:
        """Before a run writes: remove what is not `named`, if nobody else can be writing it."""

    @abstractmethod
    def aside(self) -> AbstractContextManager[Path]:
        """A folder of this machine to write a bundle into, which is gone afterwards."""

    @abstractmethod
    def take_in(self, aside: Path, files: Mapping[str, str], used: str | None) -> AnyPath:
        """Move `files` (name -> SHA-256) out of `aside` to a folder other than the one `used` so far."""

    @abstractmethod
    def commit(self, manifest: bytes | None, named: Collection[str], beside: Mapping[str, bytes]) -> None:
        """Replace the manifest, if it is not None, and remove what it does not name.

        `named` are the shards or the folder of files in it; `beside`, name -> content, is for people.
        """

    @abstractmethod
    def names_are_right(self, inside: AnyPath, files: Mapping[str, str]) -> bool:
        """Whether the files (name -> SHA-256) in `inside` have their plain names, and no others have one."""

    @abstractmethod
    def put_names_right(self, inside: AnyPath, files: Mapping[str, str]) -> None:
        """See to that."""


class LocalBackend(Backend):
    """A folder of a disk. Plain names are hard links; copies on a file system that has none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def shard_name(self, number: int) -> str:
        """`part-00000.parquet`, …"""
        return f"{SHARDS}{number:05d}.parquet"

    def new_file(self, name: str) -> AbstractContextManager[CountedFile]:
        """A file written aside, synced and renamed."""
        return whole_file(self._folder / name)

    def tell(self, progress: bytes) -> None:
        """Written aside and renamed, too."""
        write_whole(self._folder / self.progress, progress)

    def clear(self, named: Collection[str]) -> None:
        """What a killed run left half done, and what is no longer named."""
        with faults_named(self._folder):
            for path in self._folder.iterdir():
                aside = path.name.startswith(".") and path.suffix == ".tmp"
                if aside or (path.name.startswith((SHARDS, PROGRESS, FILES)) and path.name not in named):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    @contextmanager
    def aside(self) -> Iterator[Path]:
        """A folder beside the files; what killed runs left aside goes."""
        with faults_named(self._folder):
            for left_over in self._folder.glob(f"{ASIDE}*"):
                shutil.rmtree(left_over)
            aside = Path(tempfile.mkdtemp(prefix=ASIDE, dir=self._folder))
            try:
                yield aside
            finally:
                shutil.rmtree(aside, ignore_errors=True)

    def take_in(self, aside: Path, files: Mapping[str, str], used: str | None) -> Path:
        """Sync the files, and rename their folder."""
        # Some libraries write files that only their owner may read; the lock has the user's own default.
        mode = (self._folder / LOCK).stat().st_mode
        for name in files:
            (aside / name).chmod(mode)
            with (aside / name).open("rb") as file:
                os.fsync(file.fileno())
        aside.chmod(mode | (mode & 0o444) >> 2)  # who may read a file may enter its folder
        sync_folder(aside)
        home = self._folder / next(name for number in count() if (name := f"{FILES}{number}") != used)
        if home.exists():
            shutil.rmtree(home)  # of a run that was killed before it committed
        aside.replace(home)
        sync_folder(self._folder)
        return home

    def commit(self, manifest: bytes | None, named: Collection[str], beside: Mapping[str, bytes]) -> None:
        """Rename the manifest into its place; then remove what it does not name."""
        if manifest is not None:
            for name, content in beside.items():
                write_whole(self._folder / name, content)
            write_whole(self._folder / MANIFEST, manifest)
        self.clear(named)

    def names_are_right(self, inside: AnyPath, files: Mapping[str, str]) -> bool:
        """By inode, or by digest where a name is a copy."""
        assert isinstance(inside, Path)
        return all(
            (plain := self._folder / name).is_file()
            and ((inside / name).samefile(plain) or file_digest(plain) == digest)
            for name, digest in files.items()
        ) and all(home == inside for home in self._folder.glob(f"{FILES}*"))

    def put_names_right(self, inside: AnyPath, files: Mapping[str, str]) -> None:
        """Link the names, if they are not right."""
        assert isinstance(inside, Path)
        with faults_named(self._folder):
            if self.names_are_right(inside, files):
                return
            for name in files if inside != self._folder else ():
                aside = self._folder / f".{name}.{os.getpid()}.tmp"
                aside.unlink(missing_ok=True)
                try:
                    os.link(inside / name, aside)
                except OSError:
                    shutil.copy(inside / name, aside)
                aside.replace(self._folder / name)
            sync_folder(self._folder)
            for path in self._folder.iterdir():
                if path.is_file() and path.name not in files and not path.name.startswith("_"):
                    path.unlink()
        self.clear({inside.name})


class BucketBackend(Backend):
    """A folder of a bucket, for a writer that may turn out not to be the only one. Plain names are copies."""

    def __init__(self, folder: BucketPath) -> None:
        self._folder, self._manifest = folder, folder / MANIFEST
        self._mark = uuid.uuid4().hex[:12]
        # What this writer replaces, then what it wrote.
        self._generation = self._manifest.generation()
        self._told = NOTHING
        # What was finished on an older manifest may be about to be removed.
        self.ground = f" after {self._generation}"
        self.progress = f"{PROGRESS}-{self._mark}.jsonl"

    def shard_name(self, number: int) -> str:
        """With this writer's mark."""
        return f"{SHARDS}{number:05d}-{self._mark}.parquet"

    def new_file(self, name: str) -> AbstractContextManager[CountedFile]:
        """An object that is uploaded at the end."""
        return whole_object(self._folder / name)

    def tell(self, progress: bytes) -> None:
        """Refused where another run has committed: it removes the progress of all."""
        with self._first():
            self._told = (self._folder / self.progress).put_bytes(progress, self._told)

    def clear(self, named: Collection[str]) -> None:
        """Nothing: what is not named may be another's who is at work."""

    @contextmanager
    def aside(self) -> Iterator[Path]:
        """A temporary folder."""
        with tempfile.TemporaryDirectory(prefix="snake-bundle-") as aside:
            yield Path(aside)

    def take_in(self, aside: Path, files: Mapping[str, str], used: str | None) -> BucketPath:
        """Upload the files, to a folder of this writer's own."""
        home = self._folder / f"{FILES}{self._mark}"
        for name, digest in files.items():
            with (aside / name).open("rb") as content:
                (home / name).put(content, (aside / name).stat().st_size, digest, NOTHING)
        return home

    def commit(self, manifest: bytes | None, named: Collection[str], beside: Mapping[str, bytes]) -> None:
        """Replace the manifest that this writer began on; then remove what was there and is not named.

        Where the manifest stays, nothing is removed, for another writer may have begun on it, too.
        """
        there = self._folder.listed(deep=True)
        if manifest is not None:
            with self._first():
                self._generation = self._manifest.put_bytes(manifest, self._generation)
        for name, content in beside.items():
            if name not in there or there[name].sha256 != bytes_digest(content):
                path = self._folder / name
                self._publish(path, partial(path.put_bytes, content))
        for name, found in there.items() if manifest is not None else ():
            if name.startswith((SHARDS, PROGRESS, FILES)) and name.partition("/")[0] not in named:
                (self._folder / name).remove(found.generation)

    def names_are_right(self, inside: AnyPath, files: Mapping[str, str]) -> bool:
        """By size and checksum."""
        return self._wrong(inside, files) == ([], {})

    def put_names_right(self, inside: AnyPath, files: Mapping[str, str]) -> None:
        """Copy the files to their plain names, where those say something else, unless a later writer does."""
        assert isinstance(inside, BucketPath)
        wrong, others = self._wrong(inside, files)
        for name in wrong:
            path = self._folder / name
            self._publish(path, partial(path.copy_of, inside / name))
        if others and self._manifest.generation() == self._generation:
            for name, generation in others.items():
                (self._folder / name).remove(generation)

    def _wrong(self, inside: AnyPath, files: Mapping[str, str]) -> tuple[list[str], dict[str, int]]:
        """Plain names that are missing or say something else; and generations of others, by name."""
        there = self._folder.listed(deep=True)
        content = {name: (found.size, found.crc32c) for name, found in there.items()}
        return (
            [name for name in files if content.get(name) != content.get(f"{inside.name}/{name}")],
            {
                name: found.generation
                for name, found in there.items()
                if "/" not in name and not name.startswith("_") and name not in files
            },
        )

    @contextmanager
    def _first(self) -> Iterator[None]:
        try:
            yield
        except Overtaken:
            raise StorageError(
                f"Another run has written {self._folder} since this one began, and what it wrote stays: "
                "run again."
            ) from None

    def _publish(self, path: BucketPath, write: Callable[[int], object]) -> None:
        """Write an object that says for people what the manifest says, unless a later writer has done so.

        A later writer publishes after its commit. So one that committed before the second look, below, has
        nothing published of its own yet or is noticed by the precondition.
        """
        while True:
            instead_of = path.generation()
            if self._manifest.generation() != self._generation:
                return
            try:
                write(instead_of)
                return
            except Overtaken:
                continue
            except FileNotFoundError:
                return  # what was to be copied has gone with its bundle: a later writer has replaced it


def backend_of(folder: AnyPath) -> Backend:
    """The files of a folder, to look at."""
    return BucketBackend(folder) if isinstance(folder, BucketPath) else LocalBackend(folder)


@contextmanager
def writing(folder: AnyPath) -> Iterator[Backend]:
    """The files of a folder, as its only writer, or in a bucket as one who may be overtaken.

    Raises:
        StorageError: another run writes there, or the folder cannot be written.
    """
    with only_writer(folder) if isinstance(folder, Path) else nullcontext():
        yield backend_of(folder)
