"""How the files of a table are kept while a writer works: what differs between a folder and a bucket."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from snake_assets.storage.counted import CountedFile
from snake_assets.storage.tables.manifest import Shard


class Told(Protocol):
    """What an unfinished run has finished: of an earlier run of the same recipe (`recovered`), and now."""

    recovered: tuple[Shard, ...]

    def add(self, shard: Shard) -> None:
        """A shard is finished; that is known for good when this returns. Raises StorageError."""


class TableKeeper(ABC):
    """The files of one table, for one writer. All methods raise StorageError where something is refused."""

    @abstractmethod
    def name(self, number: int) -> str:
        """The name of the shard of a number; no other writer at work gives the same."""

    @abstractmethod
    def new_file(self, name: str) -> AbstractContextManager[CountedFile]:
        """A file to write into, which appears whole when the context is left without an error."""

    @abstractmethod
    def told(self, recipe: str) -> Told:
        """What has been finished by this recipe, of which this is the fingerprint."""

    @abstractmethod
    def clear(self, named: Collection[str]) -> None:
        """Before a run writes: remove shards that are not `named`, if nobody else can be writing them."""

    @abstractmethod
    def commit(self, manifest: bytes | None, beside: Mapping[str, bytes], shards: Sequence[str]) -> None:
        """Replace the manifest, and remove all shards that are not among those which it names, and progress.

        Args:
            manifest: the new one; None where the old one stays.
            beside: name -> content of files for people, which say the same.
            shards: names of the files in the manifest.
        """
