"""Tables in a bucket: several may write, and the manifest decides whose table it is.

A bucket has no lock that frees itself. Whoever begins notes the generation of the manifest, and may replace
that generation only: of two who began on the same, one commits, and the other is told. Everything that is
written until then has a name of its writer's own. It is removed by the next one who commits, if it was there
before they did: whoever wrote it had begun on an older manifest, and can no longer commit what is missing.
"""

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from snake_assets.storage.bucket import Overtaken
from snake_assets.storage.bucket_manifest import BucketManifest, overtaken
from snake_assets.storage.bucket_path import SHA256, BucketPath
from snake_assets.storage.counted import CountedFile
from snake_assets.storage.fingerprints import bytes_digest
from snake_assets.storage.progress import progress_bytes, read_progress
from snake_assets.storage.table_keeping import TableKeeper
from snake_assets.storage.tables.manifest import Shard
from snake_assets.storage.uploads import NOTHING, put_bytes, whole_object

SHARDS, PROGRESS = "part-", "_progress-"


class BucketProgress:
    """What is finished on the ground of one manifest: an object for each writer, written anew for each shard.

    `recovered` are the shards that other runs of the same recipe finished since that manifest was committed,
    and whose objects are there.
    """

    def __init__(self, folder: BucketPath, recipe: str, mark: str) -> None:
        self._recipe, self._path = recipe, folder / f"{PROGRESS}{mark}.jsonl"
        self._generation = NOTHING
        there = folder.listed()
        sizes = {name: found.size for name, found in there.items()}
        told = [
            shard
            for name in sorted(there)
            if name.startswith(PROGRESS)
            for shard in _read(folder / name, recipe)
        ]
        self.recovered = tuple({shard.unit: shard for shard in told if shard.is_in(sizes)}.values())
        self._shards = list(self.recovered)

    def add(self, shard: Shard) -> None:
        """A shard is finished. Raises StorageError where another run has committed, or it is refused."""
        self._shards.append(shard)
        content = progress_bytes(self._recipe, self._shards)
        try:
            self._generation = put_bytes(self._path, content, self._generation)
        except Overtaken:  # whoever commits removes the progress of all
            raise overtaken(self._path.parent) from None


class BucketTable(TableKeeper):
    """The objects of a table, for a writer that may turn out not to be the only one."""

    def __init__(self, folder: BucketPath) -> None:
        self._folder, self._mark = folder, uuid.uuid4().hex[:12]
        self._manifest = BucketManifest(folder)

    def name(self, number: int) -> str:
        """The name of the shard of a number, with this writer's mark."""
        return f"{SHARDS}{number:05d}-{self._mark}.parquet"

    def new_file(self, name: str) -> AbstractContextManager[CountedFile]:
        """An object that is uploaded at the end."""
        return whole_object(self._folder / name)

    def told(self, recipe: str) -> BucketProgress:
        """What was finished on the same manifest; what is older may be about to be removed."""
        return BucketProgress(self._folder, f"{recipe} after {self._manifest.generation}", self._mark)

    def clear(self, named: Collection[str]) -> None:
        """Nothing: what is not named may be another's who is at work."""

    def commit(self, manifest: bytes | None, beside: Mapping[str, bytes], shards: Sequence[str]) -> None:
        """Replace the manifest that this writer began on; then remove what was there and is not named.

        Where the manifest stays, nothing is removed, for another writer may have begun on it, too.
        """
        there = self._folder.listed()
        if manifest is not None:
            self._manifest.replace(manifest)
        for name, content in beside.items():
            if name not in there or there[name].notes.get(SHA256) != bytes_digest(content):
                self._manifest.publish(self._folder / name, content)
        if manifest is None:
            return
        self._manifest.remove(
            {
                self._folder / name: found
                for name, found in there.items()
                if name.startswith((SHARDS, PROGRESS)) and name not in shards
            }
        )


@contextmanager
def bucket_table(folder: BucketPath) -> Iterator[BucketTable]:
    """The objects of a table, for one writer."""
    yield BucketTable(folder)


def _read(path: BucketPath, recipe: str) -> Sequence[Shard]:
    try:
        return read_progress(path.read_bytes(), recipe)
    except FileNotFoundError:
        return ()
