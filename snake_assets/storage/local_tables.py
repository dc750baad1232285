"""Tables in a folder: a lock keeps other writers away, so what is not named is left over and goes at once."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from snake_assets.storage.counted import CountedFile
from snake_assets.storage.files import faults_named, only_writer, whole_file, write_whole
from snake_assets.storage.progress import Progress
from snake_assets.storage.table_keeping import TableKeeper
from snake_assets.storage.tables.manifest import MANIFEST


class LocalTable(TableKeeper):
    """The files of a table in a folder whose lock is held."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._progress: Progress | None = None

    def name(self, number: int) -> str:
        """The name of the shard of a number."""
        return f"part-{number:05d}.parquet"

    def new_file(self, name: str) -> AbstractContextManager[CountedFile]:
        """A file written aside, synced and renamed."""
        return whole_file(self._folder / name)

    def told(self, recipe: str) -> Progress:
        """The progress file."""
        with faults_named(self._folder):
            self._progress = Progress(self._folder, recipe)
        return self._progress

    def clear(self, named: Collection[str]) -> None:
        """Remove what a killed run left half done, and shards that are no longer named."""
        with faults_named(self._folder):
            for path in (*self._folder.glob("part-*.parquet"), *self._folder.glob(".*.tmp")):
                if path.name not in named:
                    path.unlink()

    def commit(self, manifest: bytes | None, beside: Mapping[str, bytes], shards: Sequence[str]) -> None:
        """Rename the manifest into its place; then remove what it does not name."""
        if manifest is not None:
            for name, content in beside.items():
                write_whole(self._folder / name, content)
            write_whole(self._folder / MANIFEST, manifest)
        self.clear(set(shards))
        if self._progress:
            with faults_named(self._folder):
                self._progress.remove()


@contextmanager
def local_table(folder: Path) -> Iterator[LocalTable]:
    """The files of a folder's table, as its only writer. Raises StorageError where another is at work."""
    with only_writer(folder):
        yield LocalTable(folder)
