"""The plan of the demo set: counts, splits, names and faults."""

import re
from collections import Counter, defaultdict

import pytest

from snake_assets.demo.dataset import FAULTS, SPLITS, demo_counts, demo_test_truth, plan_demo_set
from snake_assets.demo.species import DEMO_SPECIES

PLAN = plan_demo_set()


def test_full_set_has_about_six_hundred_photos() -> None:
    counts = demo_counts()
    assert 380 <= counts["train"].photos <= 420
    assert 85 <= counts["val"].photos <= 115
    assert 85 <= counts["test"].photos <= 115
    assert {split: counts[split].photos for split in SPLITS} == Counter(photo.split for photo in PLAN)


@pytest.mark.parametrize("share", [1.0, 0.2, 0.01])
def test_every_species_is_in_every_split(share: float) -> None:
    observations = defaultdict(set)
    for photo in plan_demo_set(share=share):
        observations[photo.split, photo.species.class_id].add(photo.observation_id)
    for species in DEMO_SPECIES:
        assert len(observations["train", species.class_id]) >= 3
        assert len(observations["val", species.class_id]) >= 1
        assert len(observations["test", species.class_id]) >= 1


def test_no_observation_and_no_file_is_shared() -> None:
    splits_of = defaultdict(set)
    for photo in PLAN:
        splits_of[photo.observation_id].add((photo.split, photo.source, photo.species.class_id, photo.code))
    assert all(len(origins) == 1 for origins in splits_of.values())
    assert len({photo.file for photo in PLAN}) == len(PLAN)
    assert len({photo.photo_seed for photo in PLAN}) == len(PLAN)


def test_observations_have_one_to_five_photos() -> None:
    sizes = set(Counter(photo.observation_id for photo in PLAN).values())
    assert sizes == {1, 2, 3, 4, 5}


def test_extensions_are_mixed() -> None:
    extensions = Counter(re.sub(r".*\.", ".", photo.file) for photo in PLAN)
    assert set(extensions) == {".jpg", ".jpeg", ".JPG", ".png", ".PNG"}
    assert extensions[".png"] + extensions[".PNG"] < len(PLAN) / 4


@pytest.mark.parametrize("share", [1.0, 0.2, 0.01])
def test_each_split_has_one_file_of_each_fault(share: float) -> None:
    plan = plan_demo_set(share=share)
    for split in SPLITS:
        faults = [photo.fault for photo in plan if photo.split == split and photo.fault]
        assert sorted(faults) == sorted(FAULTS)
        assert demo_counts(share=share)[split].broken == len(FAULTS)


def test_one_test_observation_has_no_sound_photo_and_all_others_do() -> None:
    faults = defaultdict(list)
    for photo in PLAN:
        faults[photo.split, photo.observation_id].append(photo.fault)
    hopeless = [split for (split, _), found in faults.items() if all(found)]
    assert hopeless == ["test"]


def test_truth_covers_the_test_observations() -> None:
    truth = demo_test_truth()
    assert set(truth) == {photo.observation_id for photo in PLAN if photo.split == "test"}
    assert set(truth.values()) == {species.class_id for species in DEMO_SPECIES}


def test_plan_depends_on_the_seed_alone() -> None:
    assert plan_demo_set() == PLAN
    assert {photo.file for photo in plan_demo_set(7)} != {photo.file for photo in PLAN}


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5, float("nan")])
def test_impossible_share_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        plan_demo_set(share=share)
