"""Which layout a folder has, by what it holds."""

from functools import partial
from pathlib import Path

from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.layouts.darwin_core import META, OCCURRENCES, archive_tables, read_archive
from snake_assets.snakeclef.layouts.folders import read_folders
from snake_assets.snakeclef.layouts.layout import Layout
from snake_assets.snakeclef.layouts.official import METADATA, OFFICIAL_FILES, OfficialLayout
from snake_assets.snakeclef.layouts.own import LITTER_FOLDERS, TABLE, Options, OwnLayout
from snake_assets.snakeclef.layouts.table import FIELDS, describe_tables, read_table, tables_in
from snake_assets.snakeclef.metadata import SIZE_FOLDER, SPLITS
from snake_assets.snakeclef.raw.archives import find_archives

LAYOUTS = {
    "snakeclef": f"the official one: {METADATA}/ with its tables, and train/, val/, test/ or the archives",
    "folders": "a folder for each species, beside each other or in train/, val/ and test/",
    "table": "one CSV, TSV, XLSX or Parquet file with a column of paths and one of species",
    "dwca": f"an unpacked Darwin Core Archive ({META}, {OCCURRENCES}, …) with the photos beside it",
}


def recognise(root: Path, options: Options | None = None, link_roots: tuple[Path, ...] = ()) -> Layout:
    """The layout of a folder.

    Args:
        root: the folder.
        options: what the folder itself cannot tell.
        link_roots: as for `find_photos`.

    Raises:
        DataError: it fits none of LAYOUTS, or more than one.
    """
    options = options or Options()
    if unknown := sorted(options.columns.keys() - FIELDS.keys()):
        raise DataError(f"{unknown[0]!r} is no field of a table: name the column of {', '.join(FIELDS)}.")
    is_official = _is_official(root)
    of_archive = archive_tables(root)
    is_archive = any((root / name).is_file() for name in (META, OCCURRENCES))
    try:
        tables, others = tables_in(root, options, of_archive if is_archive else ())
    except DataError:
        # Beside the official files any table may lie that is none of ours.
        if not is_official:
            raise
        tables, others = [], []
    fitting = {"snakeclef": is_official, "dwca": is_archive, "table": bool(tables)}
    names = [name for name, fits in fitting.items() if fits]
    if len(names) > 1:
        raise DataError(
            f"{root} fits two layouts, {names[0]} ({LAYOUTS[names[0]]}) and {names[1]} "
            f"({LAYOUTS[names[1]]}): move what belongs to one of them elsewhere."
        )
    if names == ["snakeclef"]:
        return OfficialLayout(root, link_roots)
    remarks = tuple(f"{path.name} is not read: it lacks a column of paths or of species." for path in others)
    if names == ["dwca"]:
        return OwnLayout("dwca", root, of_archive, read_archive, options, link_roots)
    if names == ["table"]:
        if len(tables) > 1:
            raise describe_tables(tables)
        read = partial(read_table, tables[0])
        return OwnLayout(TABLE, root, (tables[0],), read, options, link_roots, remarks)
    if _has_folders(root):
        return OwnLayout("folders", root, (), read_folders, options, link_roots, remarks)
    known = "; ".join(f"{name} ({what})" for name, what in LAYOUTS.items())
    beside = f" {others[0].name} lacks a column of paths or of species." if others else ""
    raise DataError(
        f"{root} has none of the layouts that are read: {known}.{beside} Set SNAKE_DATA to the root of the "
        "raw data (docs/your-data.md)."
    )


def _is_official(root: Path) -> bool:
    if any((root / METADATA / name).exists() for name in OFFICIAL_FILES):
        return True
    # Its photos without its metadata: its reader says what is missing.
    packed = not _has_folders(root) and any(find_archives(root, split) for split in SPLITS)
    places = (f"train/{SIZE_FOLDER}", "train/HMP", f"val/{SIZE_FOLDER}")
    return packed or any((root / place).is_dir() for place in places)


def _has_folders(root: Path) -> bool:
    return any(
        path.is_dir() and not path.name.startswith(".") and path.name.lower() not in LITTER_FOLDERS
        for path in root.iterdir()
    )
