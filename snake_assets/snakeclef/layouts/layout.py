"""What everything else knows of a layout."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from snake_assets.snakeclef.metadata import PhotoRow
from snake_assets.snakeclef.raw.archives import Archive
from snake_assets.snakeclef.raw.photo_files import PhotoFile


class Layout(Protocol):
    """Raw data in one layout; nothing is read before it is asked for."""

    @property
    def name(self) -> str:
        """The layout's name, as users meet it."""

    @property
    def root(self) -> Path:
        """Root of the raw data on this machine."""

    def describes(self, split: str) -> bool:
        """Whether something is said of the split's photos, be they there or not."""

    def rows(self, split: str, notes: list[str] | None = None) -> list[PhotoRow]:
        """What is said of each photo of a split.

        Args:
            split: train, val or test.
            notes: what was read although it is not as it should be is added to it, in sentences.

        Raises:
            DataError: something cannot be read as it was meant; the message says where.
        """

    def venom(self, notes: list[str] | None = None) -> dict[int, bool]:
        """class_id -> is medically important venomous, of the species of which it is known.

        Raises:
            DataError: a list is malformed or contradicts itself.
        """

    def venom_digest(self) -> str:
        """Changes with what `venom` says; raises as it does."""

    def metadata_files(self, split: str) -> list[Path]:
        """The files that say something of a split's photos or species, be they there or not."""

    def photos(self, split: str) -> list[PhotoFile]:
        """The files of a split, sorted by path.

        Raises:
            DataError: a folder cannot be listed.
        """

    def archives(self, split: str) -> Sequence[Archive]:
        """The archives that a split's photos may be packed in."""
