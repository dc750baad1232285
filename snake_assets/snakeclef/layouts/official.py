"""The official layout of SnakeCLEF: tables in `metadata/`, and a folder or archives for each split."""

from dataclasses import dataclass
from pathlib import Path

from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.metadata import (
    METADATA_FILES,
    VENOM_LIST,
    PhotoRow,
    metadata_paths,
    read_metadata,
    read_venom_list,
)
from snake_assets.snakeclef.raw.archives import Archive, find_archives
from snake_assets.snakeclef.raw.photo_files import PhotoFile, find_photos
from snake_assets.storage.fingerprints import file_digest

OFFICIAL = "snakeclef"
METADATA = "metadata"
OFFICIAL_FILES = frozenset({VENOM_LIST, *(file.name for files in METADATA_FILES.values() for file in files)})


@dataclass(frozen=True)
class OfficialLayout:
    """Raw data in the official layout; `link_roots` as for `find_photos`."""

    root: Path
    link_roots: tuple[Path, ...] = ()

    name = OFFICIAL

    def describes(self, split: str) -> bool:
        """Whether a metadata file of the split is there."""
        return any(path.is_file() for path in metadata_paths(self.root, split))

    def rows(self, split: str, notes: list[str] | None = None) -> list[PhotoRow]:
        """The split's metadata, as `read_metadata` gives it; raises as it does."""
        return read_metadata(self.root, split, self.venom(notes), notes)

    def venom(self, notes: list[str] | None = None) -> dict[int, bool]:
        """The official list; raises as `read_venom_list`."""
        return read_venom_list(self._venom_list, notes)

    def venom_digest(self) -> str:
        """SHA-256 of the official list. Raises DataError where it is missing."""
        if not self._venom_list.is_file():
            raise DataError(f"{self._venom_list} is missing: put the official file there.")
        return file_digest(self._venom_list)

    def metadata_files(self, split: str) -> list[Path]:
        """The official files of the split, and the venom list."""
        return [self._venom_list, *(self.root / METADATA / file.name for file in METADATA_FILES[split])]

    def photos(self, split: str) -> list[PhotoFile]:
        """All files below the split's folder. Raises DataError where one cannot be listed."""
        return find_photos(self.root, split, self.link_roots)

    def archives(self, split: str) -> list[Archive]:
        """The split's archives, in its folder or beside it."""
        return find_archives(self.root, split)

    @property
    def _venom_list(self) -> Path:
        return self.root / METADATA / VENOM_LIST
