"""`snake-assets review import`: photos that people have named become photos of train.

Each is copied to `train/reviewed/` of the raw data, under the SHA-256 of its content, and is a row of
`metadata/reviewed.csv`, which is read and checked as all metadata of train. Nothing is written before all
that was filled in is found right.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.csv_reader import Row, read_rows
from snake_assets.snakeclef.metadata import (
    LABELLED_COLUMNS,
    OPTIONAL_COLUMNS,
    REVIEWED,
    REVIEWED_FOLDER,
    VENOM_LIST,
    Labels,
    class_id_of,
    read_metadata,
    read_venom_list,
)
from snake_assets.snakeclef.raw.archives import find_archives
from snake_assets.snakeclef.raw.photo_files import find_photos, is_named_as_photo
from snake_assets.storage.fingerprints import bytes_digest
from snake_assets.storage.local_files import write_whole
from snake_assets.vision.decoding.decode import probe
from snake_assets.vision.errors import UnreadablePhoto

COLUMNS = (*LABELLED_COLUMNS, *OPTIONAL_COLUMNS)
FILLED, MAYBE = ("path",), ("species", "class_id", "observation_id", "code")


def known_contents(data: Path | None) -> frozenset[str]:
    """SHA-256 of the reviewed photos of raw data. Raises DataError where their table cannot be read."""
    if data is None or not (data / "metadata" / REVIEWED).exists():
        return frozenset()
    rows = read_rows(data / "metadata" / REVIEWED, LABELLED_COLUMNS)
    return frozenset(PurePosixPath(row.cells["image_path"]).stem for row in rows)


def import_reviewed(files: Sequence[Path], photos: Path, data: Path) -> list[str]:
    """Add photos that were named to the raw data; those of before stay.

    Args:
        files: tables that `snake-assets review` wrote, filled in, or exports of Label Studio (.json).
        photos: folder that the paths in them start from.
        data: root of the raw data, in the official layout.

    Returns:
        What was done, in sentences.

    Raises:
        DataError: a file or the raw data cannot be read, a species is not known, labels contradict each
            other, or a photo is away or is none; names file, line and column. Nothing was written then.
        StorageError: the raw data cannot be written.
    """
    venomous = read_venom_list(data / "metadata" / VENOM_LIST)
    names = {
        row.class_id: row.binomial_name
        for row in read_metadata(data, "train", venomous)
        if row.class_id is not None and row.binomial_name
    }
    _refuse_packed(data)
    table, labels = data / "metadata" / REVIEWED, Labels()
    kept: dict[str, dict[str, str]] = {}
    classes: dict[str, tuple[int, Row]] = {}
    for row in read_rows(table, LABELLED_COLUMNS, OPTIONAL_COLUMNS) if table.exists() else ():
        class_id, place = class_id_of(row.text("class_id")), row.text("image_path")
        labels.add(row, row.cells["observation_id"], class_id)
        kept[place] = {name: row.cells.get(name, "") for name in COLUMNS}
        classes[PurePosixPath(place).stem] = class_id, row
    new: dict[str, Path] = {}
    known = empty = 0
    for row in (row for file in files for row in _filled(file)):
        if not (row.cells.get("species", "").strip() or row.cells.get("class_id", "").strip()):
            empty += 1
            continue
        class_id, name = _species(row, names, venomous)
        digest = _digest(row, photos)
        other, earlier = classes.setdefault(digest, (class_id, row))
        if other != class_id:
            raise row.error(
                "path",
                f"has class {class_id}, and {earlier.path.name}, {earlier.unit} {earlier.line}, has class "
                f"{other} for the same photo",
                "correct one of them",
            )
        if earlier is not row:
            known += 1
            continue
        given = row.cells.get("observation_id", "").strip()
        observation = f"reviewed {given or digest[:16]}"
        for key in (given or observation, observation):
            labels.add(row, key, class_id, name or None)
        file_name = f"{digest}{PurePosixPath(row.cells['path']).suffix.lower()}"
        place = f"{REVIEWED_FOLDER}/{file_name if is_named_as_photo(file_name) else f'{digest}.jpg'}"
        new[place] = photos / row.text("path")
        told = (observation, name, place, f"{class_id}", "", row.cells.get("code", "").strip())
        kept[place] = dict(zip(COLUMNS, told, strict=True))
    labels.finish()
    for place, file in new.items():
        write_whole(data / "train" / place, file.read_bytes())
    if new:
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept.values())
        write_whole(table, text.getvalue().encode())
    return [
        f"{len(new)} photos were added to {table}, which has {len(kept)} now; {known} stood there already, "
        f"and {empty} rows were left empty",
        *(["to train on them, run the job snakeclef"] if new else []),
    ]


def _refuse_packed(data: Path) -> None:
    """A photo beside archives would keep them from being unpacked."""
    if find_archives(data, "train") and all(
        photo.path.startswith(f"train/{REVIEWED_FOLDER}/") or not is_named_as_photo(photo.path)
        for photo in find_photos(data, "train")
    ):
        raise DataError(f"The photos of train are in archives: unpack them into {data}/train first.")


def _species(row: Row, names: Mapping[int, str], class_ids: Collection[int]) -> tuple[int, str]:
    """class_id and name that a row gives; the name is empty where nobody gives one.

    Args:
        row: with a species, a class_id or both.
        names: of class_ids, as train has them.
        class_ids: of the venom list.
    """
    said = " ".join(row.cells.get("species", "").split())
    class_id = next((one for one, name in names.items() if name.casefold() == said.casefold()), None)
    if row.cells.get("class_id", "").strip():
        given = row.parse("class_id", class_id_of, "a whole number")
        if given not in class_ids:
            raise row.error("class_id", f"holds {given}, which {VENOM_LIST} lacks", "correct it")
        if said and class_id != given and (class_id is not None or given in names):
            other = f"class {class_id}" if given not in names else repr(names[given])
            raise row.error(
                "class_id", f"holds {given} beside {said!r}: it is {other}", "correct one of them"
            )
        return given, names.get(given, said)
    if class_id is None:
        raise row.error(
            "species",
            f"holds {said[:60]!r}, which no photo of train is",
            f"correct it, give its class_id of {VENOM_LIST} too, or leave it empty",
        )
    return class_id, names[class_id]


def _digest(row: Row, photos: Path) -> str:
    """SHA-256 of a row's photo. Raises DataError where it is away, or cannot be read as one."""
    file = photos / row.text("path")
    if not file.is_file():
        raise row.error("path", f"names {file}, which is no file", "say with --photos where paths start")
    try:
        content = file.read_bytes()
        probe(content)
    except UnreadablePhoto as fault:
        remedy = "leave its species empty"
        raise row.error("path", f"names {file}, which is no photo ({fault.detail})", remedy) from None
    except OSError as error:
        raise row.error("path", f"names {file}, which cannot be read", f"{error.strerror}") from None
    return bytes_digest(content)


def _filled(file: Path) -> Iterator[Row]:
    if file.suffix.lower() == ".json":
        yield from _annotated(file)
    elif file.suffix.lower() in (".csv", ".tsv", ".txt"):
        yield from read_rows(file, FILLED, MAYBE)
    else:
        raise DataError(
            f"{file} is neither .csv nor .json: save the table as CSV, or export JSON from Label Studio."
        )


def _annotated(file: Path) -> Iterator[Row]:
    """Tasks of an export of Label Studio (https://labelstud.io/guide/task_format), each as a row."""
    try:
        tasks = json.loads(file.read_bytes())
        for number, task in enumerate(tasks, 1):
            given = [one for one in task.get("annotations", ()) if not one.get("was_cancelled")]
            names = {name for one in given for part in one["result"] for name in _names(part["value"])}
            cells = {name: str(task["data"].get(name) or "") for name in (*FILLED, *MAYBE)}
            row = Row(file, number, {**cells, "species": next(iter(names), ""), "class_id": ""}, "task")
            if len(names) > 1:
                raise row.error("species", f"has {' and '.join(sorted(names))}", "a photo is of one species")
            yield row
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{file} is no JSON export of Label Studio ({type(error).__name__}: {error}): export it as JSON."
        ) from None


def _names(value: dict[str, Any]) -> Iterator[str]:
    """What a choice, a taxonomy or a text field says."""
    for name in (*value.get("choices", ()), *value.get("text", ())):
        yield " ".join(str(name).split())
    for path in value.get("taxonomy", ()):
        yield " ".join(str(path[-1]).split())
