"""How the files of a bundle are kept while a writer works: what differs between a folder and a bucket."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from snake_assets.storage.paths import AnyPath

FILES = "_files-"


class BundleKeeper(ABC):
    """The files of one bundle, for one writer. All methods raise StorageError where something is refused."""

    @abstractmethod
    def aside(self) -> AbstractContextManager[Path]:
        """A folder of this machine to write new files into, which is gone afterwards."""

    @abstractmethod
    def take_in(self, aside: Path, used: str | None) -> tuple[AnyPath, dict[str, str]]:
        """Move all files of `aside` to where they stay for good; returns that folder, and name -> SHA-256.

        `used` is the name of the folder of the committed bundle, which is left alone.
        """

    @abstractmethod
    def commit(self, manifest: bytes) -> None:
        """Replace the manifest."""

    @abstractmethod
    def put_right(self, inside: AnyPath, files: Mapping[str, str]) -> None:
        """Give the files of the committed bundle their plain names, and remove what is not of it.

        Args:
            inside: where its files are.
            files: name -> SHA-256.
        """
