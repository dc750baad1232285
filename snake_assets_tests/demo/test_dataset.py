"""The demo set: its species, its plan, and what is written: the official layout, faults, all or nothing."""

import hashlib
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from snake_assets.demo import dataset
from snake_assets.demo.dataset import (
    FAULTS,
    SPLITS,
    draw_demo_set,
    plan_demo_set,
)
from snake_assets.demo.photo import draw_photo
from snake_assets.demo.species import DEMO_SPECIES
from snake_assets_tests.conftest import SMALL

PLAN = plan_demo_set()
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


def digests(root: Path) -> dict[str, str]:
    return {
        file.relative_to(root).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in root.rglob("*")
        if file.is_file()
    }


def test_the_full_set_has_about_six_hundred_photos_in_observations_of_one_to_five():
    counts = Counter(photo.split for photo in PLAN)
    assert 380 <= counts["train"] <= 420 and 85 <= counts["val"] <= 115 and 85 <= counts["test"] <= 115
    assert set(Counter(photo.observation_id for photo in PLAN).values()) == {1, 2, 3, 4, 5}
    assert len({photo.file for photo in PLAN}) == len(PLAN)
    faults = defaultdict(list)
    for photo in PLAN:
        faults[photo.split, photo.observation_id].append(photo.fault)
    # One test observation has no sound photo.
    assert [split for (split, _), found in faults.items() if all(found)] == ["test"]
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


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5, float("nan")])
def test_an_impossible_share_is_refused(share: float):
    with pytest.raises(ValueError, match="share"):
        plan_demo_set(share=share)


def test_files_and_columns_are_the_official_ones(small_set: Path):
    entries = {entry.name for entry in small_set.iterdir() if not entry.name.startswith(".")}
    assert entries == {"metadata", "train", "val", "test"}
    heads = {file.name: file.read_text().splitlines()[0] for file in (small_set / "metadata").iterdir()}
    assert heads == COLUMNS


def test_the_same_seed_gives_the_same_bytes_and_a_complete_set_is_left_alone(
    small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    draw_demo_set(tmp_path / "again", share=SMALL)
    assert digests(tmp_path / "again") == digests(small_set)
    monkeypatch.setattr(dataset, "draw_photo", None)
    draw_demo_set(small_set, share=SMALL)


def test_photos_of_every_species_differ_and_are_the_same_each_time():
    def draw(species: int, moment: int = 0) -> np.ndarray:
        return draw_photo(DEMO_SPECIES[species], (120, 90), *map(np.random.default_rng, (0, moment)))

    photos = [draw(number) for number in range(len(DEMO_SPECIES))]
    for photo in photos:
        assert photo.shape == (90, 120, 3) and photo.dtype == np.uint8 and photo.std() > 8
    assert len({photo.tobytes() for photo in [*photos, draw(0), draw(0, moment=99)]}) == len(photos) + 1
