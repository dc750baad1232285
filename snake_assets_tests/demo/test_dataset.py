"""The demo set: its species, its plan, and what is written: the official layout, faults, all or nothing."""

import csv
import hashlib
import io
import re
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from snake_assets.demo import dataset
from snake_assets.demo.dataset import (
    FAULTS,
    SPLITS,
    draw_demo_set,
    plan_demo_set,
)
from snake_assets.demo.photo import GROUNDS, PATTERNS, draw_photo
from snake_assets.demo.species import DEMO_SPECIES, PHOTOLESS_CLASSES
from snake_assets_tests.conftest import SMALL

PLAN = plan_demo_set()
INAT, HM, VAL, TEST = (
    *("SnakeCLEF2023-TrainMetadata-iNat.csv", "SnakeCLEF2023-TrainMetadata-HM.csv"),
    *("SnakeCLEF2023-ValMetadata.csv", "SnakeCLEF2024-TestMetadata.csv"),
)
COLUMNS = {
    INAT: "observation_id,endemic,binomial_name,code,image_path,class_id,subset",
    HM: "observation_id,binomial_name,image_path,subset,code,endemic,class_id",
    VAL: "observation_id,captive,endemic,binomial_name,code,image_path,class_id,subset",
    TEST: "observation_id,filename",
    "venomous_status_list.csv": "class_id,MIVS",
}
FOLDERS = {INAT: "train/SnakeCLEF2023-small_size", HM: "train", VAL: "val/SnakeCLEF2023-small_size"}
SUBSETS = {INAT: "train", HM: "train-hm", VAL: "val"}


def rows_of(root: Path, name: str) -> list[dict[str, str]]:
    with (root / "metadata" / name).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def digests(root: Path) -> dict[str, str]:
    return {
        file.relative_to(root).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in root.rglob("*")
        if file.is_file()
    }


def fault_of(file: Path) -> str | None:
    if not file.exists():
        return "missing"
    if not file.stat().st_size:
        return "empty"
    try:
        image = Image.open(io.BytesIO(file.read_bytes()))
    except UnidentifiedImageError:
        return "text"
    try:
        image.load()
    except OSError:
        return "truncated"
    return None


def test_species_are_invented_and_of_a_long_tail():
    class_ids = sorted(species.class_id for species in DEMO_SPECIES)
    assert len(DEMO_SPECIES) == len({species.binomial_name for species in DEMO_SPECIES}) >= 12
    assert class_ids[0] >= 0 and class_ids[-1] <= 1783
    assert all(later - earlier > 1 for earlier, later in pairwise(class_ids))
    assert not set(class_ids) & PHOTOLESS_CLASSES.keys()
    for species in DEMO_SPECIES:
        assert re.fullmatch(r"[A-Z][a-z]+ [a-z]+", species.binomial_name)
        assert all(re.fullmatch(r"[A-Z]{2}", code) for code in species.codes)
        assert species.look.pattern in PATTERNS and set(species.look.grounds) <= GROUNDS.keys()
    sizes = sorted(species.train_observations for species in DEMO_SPECIES)
    assert sizes[0] == 3 and sizes[-1] >= 8 * sizes[0]


def test_the_full_set_has_about_six_hundred_photos_in_observations_of_one_to_five():
    counts = Counter(photo.split for photo in PLAN)
    assert 380 <= counts["train"] <= 420 and 85 <= counts["val"] <= 115 and 85 <= counts["test"] <= 115
    assert set(Counter(photo.observation_id for photo in PLAN).values()) == {1, 2, 3, 4, 5}
    extensions = Counter(re.sub(r".*\.", ".", photo.file) for photo in PLAN)
    assert set(extensions) == {".jpg", ".jpeg", ".JPG", ".png", ".PNG"}
    assert extensions[".png"] + extensions[".PNG"] < len(PLAN) / 4
    origins = defaultdict(set)
    for photo in PLAN:
        origins[photo.observation_id].add((photo.split, photo.source, photo.species.class_id, photo.code))
    assert all(len(found) == 1 for found in origins.values())
    assert len({photo.file for photo in PLAN}) == len({photo.photo_seed for photo in PLAN}) == len(PLAN)
    assert {photo.file for photo in plan_demo_set(7)} != {photo.file for photo in PLAN}


@pytest.mark.parametrize("share", [1.0, 0.2, 0.01])
def test_every_split_has_every_species_and_one_file_of_each_fault(share: float):
    plan = plan_demo_set(share=share)
    observations = defaultdict(set)
    for photo in plan:
        observations[photo.split, photo.species.class_id].add(photo.observation_id)
    for split in SPLITS:
        for species in DEMO_SPECIES:
            assert len(observations[split, species.class_id]) >= (3 if split == "train" else 1)
        faults = [photo.fault for photo in plan if photo.split == split and photo.fault]
        assert sorted(faults) == sorted(FAULTS)


def test_one_test_observation_has_no_sound_photo():
    faults = defaultdict(list)
    for photo in PLAN:
        faults[photo.split, photo.observation_id].append(photo.fault)
    assert [split for (split, _), found in faults.items() if all(found)] == ["test"]


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5, float("nan")])
def test_an_impossible_share_is_refused(share: float):
    with pytest.raises(ValueError, match="share"):
        plan_demo_set(share=share)


def test_files_and_columns_are_the_official_ones(small_set: Path):
    entries = {entry.name for entry in small_set.iterdir() if not entry.name.startswith(".")}
    assert entries == {"metadata", "train", "val", "test"}
    heads = {file.name: file.read_text().splitlines()[0] for file in (small_set / "metadata").iterdir()}
    assert heads == COLUMNS


@pytest.mark.parametrize("name", FOLDERS)
def test_labelled_rows_name_species_and_paths_rightly(small_set: Path, name: str):
    by_class = {species.class_id: species for species in DEMO_SPECIES}
    rows = rows_of(small_set, name)
    assert {row["subset"] for row in rows} == {SUBSETS[name]}
    for row in rows:
        species = by_class[int(row["class_id"])]
        assert (row["binomial_name"], row["endemic"]) == (species.binomial_name, str(species.endemic))
        assert row["code"] in species.codes
        first, folder, _ = row["image_path"].split("/")
        assert folder == species.folder
        assert (name == HM) == (first == "HMP") == row["observation_id"].startswith("HM ")
        assert name == HM or 1990 < int(first) < 2030


def test_photos_are_those_of_the_plan_and_of_the_metadata(small_set: Path):
    found = {name: digest for name, digest in digests(small_set).items() if name.split("/")[0] in SPLITS}
    sound, plan = [], plan_demo_set(share=SMALL)
    for photo in plan:
        assert fault_of(small_set / photo.file) == photo.fault, photo.file
        if photo.fault is None:
            sound.append(found[photo.file])
            with Image.open(small_set / photo.file) as image:
                assert image.format == ("PNG" if photo.file.lower().endswith("png") else "JPEG")
                assert image.size == photo.size
    listed = {
        f"{folder}/{row['image_path']}"
        for name, folder in FOLDERS.items()
        for row in rows_of(small_set, name)
    } | {f"test/{row['filename']}" for row in rows_of(small_set, TEST)}
    assert len(listed) == len(plan)
    assert len(set(sound)) == len(sound)
    assert found.keys() < listed and len(listed - found.keys()) == 3
    of_test = {photo.observation_id for photo in plan if photo.split == "test"}
    assert {row["observation_id"] for row in rows_of(small_set, TEST)} == of_test


def test_the_venom_list_covers_all_species_and_more(small_set: Path):
    mivs = {int(row["class_id"]): row["MIVS"] for row in rows_of(small_set, "venomous_status_list.csv")}
    assert all(mivs[species.class_id] == str(int(species.venomous)) for species in DEMO_SPECIES)
    assert len(mivs) > len(DEMO_SPECIES)


def test_the_same_seed_gives_the_same_bytes_and_a_complete_set_is_left_alone(
    small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    draw_demo_set(tmp_path / "again", share=SMALL)
    assert digests(tmp_path / "again") == digests(small_set)
    monkeypatch.setattr(dataset, "draw_photo", None)
    draw_demo_set(small_set, share=SMALL)


@pytest.mark.parametrize("number", range(len(DEMO_SPECIES)))
def test_a_photo_of_every_species_has_its_shape_some_contrast_and_is_the_same_each_time(number: int):
    def draw(species: int, moment: int = number) -> np.ndarray:
        generators = (np.random.default_rng(seed) for seed in (number, moment))
        return draw_photo(DEMO_SPECIES[species], (120, 90), *generators)

    photo = draw(number)
    assert photo.shape == (90, 120, 3) and photo.dtype == np.uint8 and photo.std() > 8
    assert np.array_equal(photo, draw(number))
    assert not np.array_equal(photo, draw(number, moment=99))
    assert not np.array_equal(photo, draw(number - 1))
