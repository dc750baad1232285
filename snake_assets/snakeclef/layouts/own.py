"""Layouts of people's own: whatever tells of the photos, they get species, splits and rows in one way."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from snake_assets.snakeclef import DataError, counted
from snake_assets.snakeclef.layouts.near_copies import PhotoHashes, near_copies
from snake_assets.snakeclef.layouts.species import SPECIES_FILES, Identity, Species
from snake_assets.snakeclef.layouts.split import split_off_val
from snake_assets.snakeclef.metadata import SPLITS, LicensedPhotoRow, PhotoRow
from snake_assets.snakeclef.raw.archives import Archive
from snake_assets.snakeclef.raw.photo_files import PhotoFile, find_photos
from snake_assets.storage.fingerprints import fingerprint

TABLE = "table"
# Names that people give the splits.
SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
# What systems leave behind, besides whatever begins with a dot.
LITTER = frozenset(("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"))
LITTER_FOLDERS = frozenset(("__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found"))


@dataclass(frozen=True)
class Options:
    """What the folder itself cannot tell.

    Attributes:
        columns: field of a table (path, species, observation, split, country) -> the column that holds it.
        observations_from_subfolders: whether photos in one folder below that of a species are one
            observation.
        val_share: share of the observations that become val where there is none, 0 to below 1.
        seed: of that choice.
        hashes: by which near copies are kept on one side of it; None where nothing is known of photos.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    observations_from_subfolders: bool = False
    val_share: float = 0.2
    seed: int = 0
    hashes: PhotoHashes | None = None


@dataclass(frozen=True)
class Photo:
    """One photo as its layout tells of it; `where` says where that stands, and `path` where it should lie.

    A photo of test may have no species, and `split` is None where nothing is said of splits.
    """

    path: str
    observation_id: str
    species: str | None
    where: str
    file: PhotoFile | None
    split: str | None = None
    code: str | None = None
    licence: str | None = None
    rights_holder: str | None = None


Reader = Callable[[Path, Sequence[PhotoFile], Options, list[str]], list[Photo]]


@dataclass(frozen=True)
class Contents:
    """All that a folder holds: by split, rows and files; `notes` say what was read although it is odd."""

    rows: Mapping[str, list[PhotoRow]]
    files: Mapping[str, list[PhotoFile]]
    venomous: Mapping[int, bool]
    notes: Sequence[str]


@dataclass(frozen=True)
class OwnLayout:
    """A layout that is read as a whole, once for each instance.

    Attributes:
        tables: the files in the root that tell of the photos.
        read: gives the photos, in the order of the table.
    """

    name: str
    root: Path
    tables: tuple[Path, ...]
    read: Reader
    options: Options = field(default_factory=Options)
    link_roots: tuple[Path, ...] = ()
    # What is worth knowing of how the layout was told.
    remarks: tuple[str, ...] = ()

    @cached_property
    def contents(self) -> Contents:
        """What the folder holds; raises DataError where it cannot be read as it was meant."""
        notes = list(self.remarks)
        files = self._files(notes)
        photos = self.read(self.root, files, self.options, notes)
        species = Species(self.root, notes)
        texts = {photo.species for photo in photos if photo.species and _labelled(photo)}
        identities = species.identify(texts, notes)
        if len({identity.class_id for identity in identities.values()}) < 2:
            named = min(identities, default=None)
            raise DataError(
                f"{self.root} holds {f'one species, {named!r}' if named else 'no photo of a species'}, "
                f"in the layout {self.name}: at least two are to be told apart. See that SNAKE_DATA is the "
                "folder right above them (docs/your-data.md)."
            )
        _refuse_two_species(photos, identities)
        splits = self._splits(photos, identities, notes)
        rows: dict[str, list[PhotoRow]] = {split: [] for split in SPLITS}
        found: dict[str, list[PhotoFile]] = {split: [] for split in SPLITS}
        licensed = any(photo.licence or photo.rights_holder for photo in photos)
        for photo, split in zip(photos, splits, strict=True):
            identity = identities[photo.species] if photo.species and split != "test" else None
            rows[split].append(_row(photo, identity, licensed))
            if photo.file:
                found[split].append(photo.file)
        taken = {photo.file.path for photo in photos if photo.file}
        # Named among the unreadable files of train.
        found["train"] += [file for file in files if file.fault and file.path not in taken]
        if unread := sum(file.path not in taken and not file.fault for file in files if self.name == TABLE):
            notes.append(f"Left out: {counted(unread, 'file')} that no row of {self.tables[0].name} names.")
        for files_of_split in found.values():
            files_of_split.sort(key=lambda file: file.path)
        return Contents(rows, found, species.venomous, notes)

    def describes(self, split: str) -> bool:
        """Whether the split has a photo."""
        return bool(self.contents.rows[split])

    def rows(self, split: str, notes: list[str] | None = None) -> list[PhotoRow]:
        """A row for each photo of the split, in the order of the table, or of the paths. Raises DataError."""
        if notes is not None:
            notes += self.contents.notes
        return self.contents.rows[split]

    def venom(self, notes: list[str] | None = None) -> dict[int, bool]:
        """class_id -> is venomous, of the species of which the lists beside the photos say it."""
        return dict(self.contents.venomous)

    def venom_digest(self) -> str:
        """Changes with what `venom` says."""
        return fingerprint([[class_id, venomous] for class_id, venomous in sorted(self.venom().items())])

    def metadata_files(self, split: str) -> list[Path]:
        """The tables, and the lists of species that are there."""
        return [*self.tables, *(path for name in SPECIES_FILES if (path := self.root / name).is_file())]

    def photos(self, split: str) -> list[PhotoFile]:
        """The files of the split's photos; of train also what cannot be read and could be anything."""
        return self.contents.files[split]

    def archives(self, split: str) -> list[Archive]:
        """None: archives are read in the official layout alone."""
        return []

    def _files(self, notes: list[str]) -> list[PhotoFile]:
        own = {*(path.name for path in self.tables), *SPECIES_FILES}
        files, litter = [], 0
        for file in find_photos(self.root, ".", self.link_roots):
            *folders, name = file.path.lower().split("/")
            if file.is_hidden or name in LITTER or not LITTER_FOLDERS.isdisjoint(folders):
                litter += 1
            elif file.path not in own:
                files.append(file)
        if litter:
            notes.append(
                f"Passed over: {counted(litter, 'file')} that systems leave behind, such as .DS_Store."
            )
        return files

    def _splits(
        self, photos: Sequence[Photo], identities: Mapping[str, Identity], notes: list[str]
    ) -> list[str]:
        splits = [photo.split or "train" for photo in photos]
        if "val" in splits or not self.options.val_share:
            return splits
        places = [place for place, split in enumerate(splits) if split == "train"]
        of_train = [photos[place] for place in places]
        files = [photo.file for photo in of_train]
        hashes = self.options.hashes.of(files) if self.options.hashes else [None] * len(files)
        is_val = split_off_val(
            [photo.observation_id for photo in of_train],
            [identities[photo.species].class_id for photo in of_train if photo.species],
            near_copies(hashes),
            self.options.val_share,
            self.options.seed,
        )
        for place, moved in zip(places, is_val, strict=True):
            splits[place] = "val" if moved else "train"
        notes.append(
            f"There is no val, so a part of train is split off by observation and near copies: "
            f"{sum(is_val):,} of {counted(len(is_val), 'photo')} (val_share {self.options.val_share:g}, seed "
            f"{self.options.seed})."
        )
        if unknown := hashes.count(None):
            notes.append(
                f"Near copies of {counted(unknown, 'photo')} are yet to be looked for, as a run does first: "
                "then photos may move between train and val."
            )
        return splits


def split_named(text: str) -> str | None:
    """The split that somebody calls so; None where it is none."""
    return next((split for split, names in SPLIT_NAMES.items() if text.strip().casefold() in names), None)


def _labelled(photo: Photo) -> bool:
    # Nothing of test is scored, so what it shows is not read.
    return photo.split != "test"


def _row(photo: Photo, identity: Identity | None, licensed: bool) -> PhotoRow:
    row = PhotoRow(
        image_id=photo.path,
        observation_id=photo.observation_id,
        official_path=photo.path,
        class_id=identity.class_id if identity else None,
        binomial_name=identity.name if identity else None,
        code=photo.code,
    )
    return (
        LicensedPhotoRow(**vars(row), licence=photo.licence, rights_holder=photo.rights_holder)
        if licensed
        else row
    )


def _refuse_two_species(photos: Sequence[Photo], identities: Mapping[str, Identity]) -> None:
    seen: dict[str, Photo] = {}
    for photo in filter(_labelled, photos):
        first = seen.setdefault(photo.observation_id, photo)
        if identities[photo.species or ""] != identities[first.species or ""]:
            raise DataError(
                f"{photo.where} gives observation {photo.observation_id!r} the species {photo.species!r}, "
                f"and {first.where} gives it {first.species!r}: an observation is of one species; correct "
                "one of them."
            )


def count_of(names: Counter[str], most: int = 5) -> str:
    """The commonest names with their counts, for a note: `.txt 10, .mp4 2`."""
    return ", ".join(f"{name} {count}" for name, count in names.most_common(most))
