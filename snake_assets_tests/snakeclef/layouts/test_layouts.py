"""Layouts are told by what a folder holds, say the same of the same photos, and refuse what is not sure."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.image_table import ingest
from snake_assets.snakeclef.layouts.own import Options
from snake_assets.snakeclef.layouts.recognise import recognise
from snake_assets.storage.tables.table import open_table
from snake_assets_tests.conftest import photo_bytes
from snake_assets_tests.snakeclef.layouts.laid_out import (
    LICENCE,
    as_archive,
    as_folders,
    as_table,
    official_rows,
    tell_venom,
)


def put(root: Path, *paths: str, data: bytes | None = None) -> Path:
    """Photos, all different but where `data` is given, at these places."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data if data is not None else photo_bytes(len(path) + sum(map(ord, path))))
    return root


def notes_of(root: Path, options: Options | None = None, split: str = "train") -> str:
    notes: list[str] = []
    recognise(root, options).rows(split, notes)
    return " ".join(notes)


def fails(root: Path, *wanted: str, options: Options | None = None) -> None:
    with pytest.raises(DataError) as caught:
        recognise(root, options).rows("train")
    for word in wanted:
        assert word in str(caught.value)


LAYOUTS = pytest.mark.parametrize(
    ("name", "lay_out", "known"),
    [
        ("folders", as_folders, ("observation_id", "class_id", "binomial_name", "image")),
        ("table", as_table, ("observation_id", "class_id", "binomial_name", "image", "code")),
    ],
)
LayOut = Callable[[Path, Path], dict[str, str]]


def same_rows(official: Path, work: Path, name: str, lay_out: LayOut, known: Sequence[str]) -> None:
    """Hold the tables of photos in one layout against those of the same photos in the official one."""
    places = lay_out(official, work / "data")
    tell_venom(official, work / "data")
    layout, theirs = recognise(work / "data", Options(observations_from_subfolders=True)), recognise(official)
    assert layout.name == name
    assert layout.venom() == theirs.venom()
    for split, rows in official_rows(official).items():
        ingest(layout.rows(split), layout.photos(split), split, work / split)
        ingest(rows, theirs.photos(split), split, work / "official" / split)
        ours, meant = open_table(work / split), open_table(work / "official" / split)
        assert ours.schema == meant.schema
        to_path = {row.image_id: row.official_path for row in rows}
        told = {
            to_path[name]: values
            for name, *values in zip(*meant.read(["image_id", *known]).to_pydict().values(), strict=True)
        }
        found = {
            # In folders an observation is known by its path.
            places[path]: [observation.rpartition("/")[2], *values]
            for path, observation, *values in zip(
                *ours.read(["image_id", *known]).to_pydict().values(), strict=True
            )
        }
        assert found == told


@LAYOUTS
def test_the_same_photos_are_the_same_rows_in_each_layout(
    small_set: Path, tmp_path: Path, name: str, lay_out: LayOut, known: Sequence[str]
):
    same_rows(small_set, tmp_path, name, lay_out, known)


@pytest.mark.real
@LAYOUTS
def test_so_are_real_photos(
    shared_data: Path, tmp_path: Path, name: str, lay_out: LayOut, known: Sequence[str]
):
    same_rows(shared_data / "philippine-snakes", tmp_path, name, lay_out, known)


def test_an_archive_gives_species_observations_and_rights(small_set: Path, tmp_path: Path):
    root = tmp_path / "data"
    places = as_archive(small_set, root)
    put(root, "stray.jpg")
    layout = recognise(root)
    assert layout.name == "dwca" and not layout.describes("test")
    rows = [*layout.rows("train"), *layout.rows("val")]
    official = {row.official_path: row for row in official_rows(small_set)["train"]}
    assert {row.image_id for row in rows} == set(places)
    for row in rows:
        meant = official[places[row.image_id]]
        assert (row.observation_id, row.binomial_name, row.code) == (
            meant.observation_id, meant.binomial_name, meant.code,
        )  # fmt: skip
    ingest(layout.rows("val"), layout.photos("val"), "val", tmp_path / "val")
    table = open_table(tmp_path / "val").read(["licence", "rights_holder"]).to_pylist()
    assert set(map(tuple, (row.values() for row in table))) == {(LICENCE, "A. Person")}
    told = notes_of(root)
    assert "Without a photo here, 1 of 48 records: none." in told and "no record: stray.jpg." in told


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (
            lambda root: put(root, "a.jpg", "b.jpg"),
            ["layouts that are read", "folders (", "table (", "dwca ("],
        ),
        (lambda root: put(root, "A b/1.jpg"), ["one species, 'A b'", "right above"]),
        (lambda root: put(root, "A b/1.jpg", "a B/2.jpg", "C d/3.jpg"), ["'A b' and 'a B'", "one species"]),
        (
            lambda root: put(root, "train/A b/1.jpg", "train/C d/2.jpg", "E f/3.jpg"),
            ["splits (train)", "'E f'"],
        ),
        (lambda root: put(root, "val/A b/1.jpg", "val/C d/2.jpg"), ["'val'", "none called train"]),
        (
            lambda root: put(root, "train/A b/1.jpg", "val/A b/1.jpg", "valid/A b/1.jpg"),
            ["two folders of one split"],
        ),
        (lambda root: put(root, "12/1.jpg", "A b/1.jpg"), ["'12'", "'A b'", "class_id"]),
        (lambda root: put(root, "9999999999/1.jpg", "2/1.jpg"), ["'9999999999'", "no class_id"]),
        (lambda root: put(root, "1.jpg", "occurrence.txt"), ["no meta.xml"]),
        (
            lambda root: put(root, "meta.xml", data=b"<!DOCTYPE a><archive/>"),
            ["meta.xml is not the description"],
        ),
        (
            lambda root: put(put(root, "metadata/venomous_status_list.csv"), "t.csv", data=b"path,species\n"),
            ["two layouts, snakeclef", "and table"],
        ),
        (
            lambda root: put(root, "t.csv", "u.csv", data=b"path,species\n"),
            ["several tables", "t.csv and u.csv"],
        ),
        (
            lambda root: put(root, "t.csv", data=b"path,species\n../1.jpg,A b\n"),
            ["line 2", "'path'", "outside"],
        ),
        (lambda root: put(root, "t.csv", data=b"path,species\nC:\\a.jpg,A b\n"), ["line 2", "outside"]),
        (
            lambda root: put(root, "t.csv", data=b"path,species\nhttp://a/1.jpg,A b\n"),
            ["line 2", "the address"],
        ),
        (lambda root: put(root, "t.csv", data=b"path,species\n1.jpg,\n"), ["line 2", "'species' is empty"]),
        (
            lambda root: put(root, "t.csv", data=b"path,species\n1.jpg,A b\n./1.jpg,C d\n"),
            ["line 3", "line 2"],
        ),
        (
            lambda root: put(root, "t.csv", data=b"path,species,split\n1.jpg,A b,old\n"),
            ["line 2", "'split'", "'old'"],
        ),
        (
            lambda root: put(root, "t.csv", data=b"path,species,id\n1.jpg,A b,7\n2.jpg,C d,7\n"),
            ["t.csv, line 3", "'7'", "t.csv, line 2", "'A b'"],
        ),
        (
            lambda root: put(root, "t.csv", data=b"path,species,id\n1.jpg,A b,1.12E+15\n"),
            ["line 2", "rounded", "spreadsheet"],
        ),
    ],
)
def test_what_is_not_certain_is_refused_by_its_cause(
    tmp_path: Path, made: Callable[[Path], Path], told: list[str]
):
    fails(made(tmp_path), *told)


def test_what_people_leave_in_folders_is_told_and_odd_names_are_read(tmp_path: Path):
    root = put(
        tmp_path,
        *("Naja_naja/deep/1.HEIC", "Naja_naja/deep/2.jpg", "Vipera ammodytes (Linnaeus, 1758)/3.tif"),
        *(
            "Common wall snake/4.jpg",
            "Cafe\u0301/5.jpg",
            "beside.jpg",
            "Naja_naja/notes.txt",
            "Naja_naja/._1.jpg",
        ),
        *("Naja_naja/.DS_Store", "__MACOSX/1.jpg", "Naja_naja/Thumbs.db"),
    )
    (root / "Naja_naja" / "gone.jpg").symlink_to("nowhere")
    (root / "linked").symlink_to(root / "Naja_naja" / "deep")
    (root / "synonyms.csv").write_text(
        "synonym,binomial_name\nCommon wall snake,Naja naja\nlinked,Naja naja\n"
    )
    options = Options(observations_from_subfolders=True, val_share=0)
    layout = recognise(root, options)
    rows = {row.image_id: row for row in layout.rows("train")}
    assert {row.binomial_name for row in rows.values()} == {"Naja naja", "Vipera ammodytes", "Caf\xe9"}
    assert rows["Naja_naja/deep/1.HEIC"].observation_id == "Naja_naja/deep"
    assert rows["Common wall snake/4.jpg"].observation_id == "Common wall snake/4.jpg"
    assert {photo.fault for photo in layout.photos("train")} == {"", "link_broken"}
    told = notes_of(root, options)
    for words in (
        "4 files that systems leave",
        "beside.jpg first",
        "1 file without the name of a photo",
        "'Common wall",
    ):
        assert words in told
    assert not layout.describes("val")


def test_species_have_the_class_ids_of_the_list_or_the_same_ones_of_their_own(tmp_path: Path):
    root = put(tmp_path, "naja_NAJA/1.jpg", "Vipera ammodytes/2.jpg")
    (root / "venomous_status_list.csv").write_text("class_id,MIVS,binomial_name\n12,1,Naja naja\n13,0,\n")
    known, own = sorted({row.class_id for row in recognise(root).rows("train")})
    assert known == 12 and own >= 2**30 and recognise(root).venom() == {12: True, 13: False}
    put(root, "Aspis aspis/3.jpg")
    (root / "venomous.csv").write_text("Species;Venomous\nVipera_ammodytes;yes\nNAJA NAJA;1\n")
    layout = recognise(root)
    assert {known, own} < {row.class_id for row in layout.rows("train")}
    assert layout.venom() == {12: True, 13: False, own: True}
    (root / "venomous.csv").write_text("species,venomous\nNaja naja,0\n")
    fails(root, "venomous.csv, line 2", "'Naja naja'", "says True")


def test_numbers_are_class_ids(tmp_path: Path):
    root = put(tmp_path, "3/1.jpg", "20/2.jpg")
    (root / "venomous_status_list.csv").write_text("class_id,MIVS,binomial_name\n3,1,Naja naja\n")
    rows = recognise(root).rows("train")
    assert {(row.class_id, row.binomial_name) for row in rows} == {(3, "Naja naja"), (20, None)}
