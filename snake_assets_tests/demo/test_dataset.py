"""The written demo set: layout, columns, faults on disk, determinism, all or nothing."""

import csv
import hashlib
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from snake_assets.demo import dataset
from snake_assets.demo.dataset import demo_counts, demo_test_truth, draw_demo_set, plan_demo_set
from snake_assets.demo.species import DEMO_SPECIES
from snake_assets_tests.conftest import SMALL

COLUMNS = {
    "SnakeCLEF2023-TrainMetadata-iNat.csv": (
        "observation_id,endemic,binomial_name,code,image_path,class_id,subset"
    ),
    "SnakeCLEF2023-TrainMetadata-HM.csv": (
        "observation_id,binomial_name,image_path,subset,code,endemic,class_id"
    ),
    "SnakeCLEF2023-ValMetadata.csv": (
        "observation_id,captive,endemic,binomial_name,code,image_path,class_id,subset"
    ),
    "SnakeCLEF2024-TestMetadata.csv": "observation_id,filename",
    "venomous_status_list.csv": "class_id,MIVS",
}
FOLDERS = {
    "SnakeCLEF2023-TrainMetadata-iNat.csv": "train/SnakeCLEF2023-small_size",
    "SnakeCLEF2023-TrainMetadata-HM.csv": "train",
    "SnakeCLEF2023-ValMetadata.csv": "val/SnakeCLEF2023-small_size",
}


def _rows(root: Path, name: str) -> list[dict[str, str]]:
    with (root / "metadata" / name).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _digests(root: Path) -> dict[str, str]:
    return {
        file.relative_to(root).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in root.rglob("*")
        if file.is_file()
    }


def _fault(file: Path) -> str | None:
    if not file.exists():
        return "missing"
    coded = file.read_bytes()
    if not coded:
        return "empty"
    try:
        image = Image.open(io.BytesIO(coded))
    except UnidentifiedImageError:
        return "text"
    try:
        image.load()
    except OSError:
        return "truncated"
    return None


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_are_the_official_ones(small_set: Path, name: str) -> None:
    assert (small_set / "metadata" / name).read_text().splitlines()[0] == COLUMNS[name]


def test_only_the_official_files_are_there(small_set: Path) -> None:
    assert {entry.name for entry in small_set.iterdir() if not entry.name.startswith(".")} == {
        "metadata",
        "train",
        "val",
        "test",
    }
    assert {file.name for file in (small_set / "metadata").iterdir()} == set(COLUMNS)


@pytest.mark.parametrize("name", FOLDERS)
def test_labelled_rows_name_species_and_paths_rightly(small_set: Path, name: str) -> None:
    by_class = {species.class_id: species for species in DEMO_SPECIES}
    subset = {"HM": "train-hm", "iN": "train", "Va": "val"}
    rows = _rows(small_set, name)
    assert rows
    for row in rows:
        species = by_class[int(row["class_id"])]
        assert row["binomial_name"] == species.binomial_name
        assert row["endemic"] == str(species.endemic)
        assert row["code"] in species.codes
        first, folder, _ = row["image_path"].split("/")
        assert folder == species.folder
        is_hm = row["subset"] == "train-hm"
        assert (first == "HMP") == is_hm == row["observation_id"].startswith("HM ")
        assert is_hm or 1990 < int(first) < 2030
    key = name.removeprefix("SnakeCLEF2023-").removeprefix("TrainMetadata-")[:2]
    assert {row["subset"] for row in rows} == {subset[key]}


def test_faults_on_disk_are_the_planned_ones(small_set: Path) -> None:
    for photo in plan_demo_set(share=SMALL):
        assert _fault(small_set / photo.file) == photo.fault, photo.file


def test_metadata_and_folders_hold_the_same_files(small_set: Path) -> None:
    listed = {
        f"{folder}/{row['image_path']}" for name, folder in FOLDERS.items() for row in _rows(small_set, name)
    }
    listed |= {f"test/{row['filename']}" for row in _rows(small_set, "SnakeCLEF2024-TestMetadata.csv")}
    counts = demo_counts(share=SMALL)
    assert len(listed) == sum(count.photos for count in counts.values())
    found = {
        file.relative_to(small_set).as_posix()
        for split in ("train", "val", "test")
        for file in (small_set / split).rglob("*")
        if file.is_file()
    }
    assert found < listed
    assert len(listed - found) == 3


def test_pixels_match_extension_and_no_photo_comes_twice(small_set: Path) -> None:
    digests = []
    for photo in plan_demo_set(share=SMALL):
        if photo.fault is None:
            with Image.open(small_set / photo.file) as image:
                assert image.format == ("PNG" if photo.file.lower().endswith("png") else "JPEG")
                assert image.size == photo.size
            digests.append(hashlib.sha256((small_set / photo.file).read_bytes()).digest())
    assert len(set(digests)) == len(digests)


def test_test_metadata_is_unlabelled_and_matches_the_truth(small_set: Path) -> None:
    rows = _rows(small_set, "SnakeCLEF2024-TestMetadata.csv")
    assert {row["observation_id"] for row in rows} == set(demo_test_truth(share=SMALL))


def test_venom_list_covers_all_species_and_more(small_set: Path) -> None:
    mivs = {int(row["class_id"]): row["MIVS"] for row in _rows(small_set, "venomous_status_list.csv")}
    for species in DEMO_SPECIES:
        assert mivs[species.class_id] == str(int(species.venomous))
    assert len(mivs) > len(DEMO_SPECIES)


def test_same_seed_gives_same_bytes(small_set: Path, tmp_path: Path) -> None:
    draw_demo_set(tmp_path / "again", share=SMALL)
    assert _digests(tmp_path / "again") == _digests(small_set)


def test_complete_set_is_left_alone(small_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("drawn again")

    monkeypatch.setattr(dataset, "draw_photo", never)
    draw_demo_set(small_set, share=SMALL)


def test_failure_in_the_middle_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def fail_at_the_third(*_: object) -> NDArray[np.uint8]:
        drawn.append(1)
        if len(drawn) == 3:
            raise OSError("disk full")
        return np.zeros((8, 8, 3), np.uint8)

    monkeypatch.setattr(dataset, "draw_photo", fail_at_the_third)
    with pytest.raises(OSError, match="disk full"):
        draw_demo_set(tmp_path / "set", share=SMALL)
    assert list(tmp_path.iterdir()) == []


def test_set_drawn_meanwhile_by_another_is_kept(
    small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "set"
    write_venom_list = dataset._write_venom_list

    def other_is_faster(file: Path, seed: int) -> None:
        write_venom_list(file, seed)
        shutil.copytree(small_set, root)

    monkeypatch.setattr(dataset, "_write_venom_list", other_is_faster)
    monkeypatch.setattr(dataset, "draw_photo", lambda *_: np.zeros((8, 8, 3), np.uint8))
    draw_demo_set(root, share=SMALL)
    assert _digests(root) == _digests(small_set)
    assert list(tmp_path.iterdir()) == [root]
