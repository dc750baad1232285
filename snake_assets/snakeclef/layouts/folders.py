"""A folder for each species, in a folder for each split or not."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from snake_assets.snakeclef import DataError, counted
from snake_assets.snakeclef.layouts.own import Options, Photo, count_of, split_named
from snake_assets.snakeclef.layouts.species import key_of
from snake_assets.snakeclef.raw.photo_files import PhotoFile, is_named_as_photo


def read_folders(root: Path, files: Sequence[PhotoFile], options: Options, notes: list[str]) -> list[Photo]:
    """The photos in `<species>/…` or `<split>/<species>/…`, at any depth below.

    Files without the extension of a photo, and photos beside the folders of species, are counted and left
    out; those of test need no species.

    Raises:
        DataError: there are folders of splits and others, or two of one split or, within a split, of one
        species.
    """
    named = [file for file in files if is_named_as_photo(file.path)]
    others = Counter(
        PurePosixPath(file.path).suffix.lower() or "no extension"
        for file in files
        if not is_named_as_photo(file.path)
    )
    if others:
        notes.append(
            f"Left out: {counted(others.total(), 'file')} without the name of a photo: {count_of(others)}."
        )
    splits = _split_folders(root, named)
    photos: list[Photo] = []
    beside: list[str] = []
    folder_of: dict[tuple[str | None, str], str] = {}
    # Test last: the folders in it are of species only where others are.
    for file in sorted(named, key=lambda file: splits.get(file.path.partition("/")[0]) == "test"):
        *folders, _ = file.path.split("/")
        split = splits[folders.pop(0)] if splits and folders else None
        species = folders[0] if folders else None
        if split == "test" and species and ("train", key_of(species)) not in folder_of:
            species = None
        if species is None and split != "test":
            beside.append(file.path)
            continue
        if species and (known := folder_of.setdefault((split, key_of(species)), species)) != species:
            raise DataError(
                f"{root / split if split else root} has the folders {known!r} and {species!r}, which are one "
                "species by their name: put all photos of it in one."
            )
        in_subfolder = options.observations_from_subfolders and len(folders) > (species is not None)
        observation = file.path.rpartition("/")[0] if in_subfolder else file.path
        photos.append(Photo(file.path, observation, species, file.path, file, split))
    if beside:
        notes.append(
            f"Left out: {counted(len(beside), 'photo')} in no folder of a species, {beside[0]} first."
        )
    return photos


def _split_folders(root: Path, files: Sequence[PhotoFile]) -> dict[str, str]:
    """Folder -> split of the folders in the root that are called as splits; none where there is no train."""
    tops = sorted({file.path.partition("/")[0] for file in files if "/" in file.path})
    splits = {top: split for top in tops if (split := split_named(top))}
    others = [top for top in tops if top not in splits]
    if splits and others:
        raise DataError(
            f"{root} has folders of splits ({', '.join(splits)}) and others ({others[0]!r} first): put the "
            "folders of species into those of splits, or all beside each other."
        )
    if splits and "train" not in splits.values():
        raise DataError(f"{root} has the folder {min(splits)!r} and none called train: put one beside it.")
    if len(set(splits.values())) < len(splits):
        raise DataError(f"{root} has two folders of one split ({', '.join(splits)}): put them together.")
    return splits
