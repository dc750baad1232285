"""The job `snakeclef` on the smallest sets, odd names, long class lists: it ends right, or says why not."""

import csv
import json
import shutil
import unicodedata
from collections.abc import Collection
from pathlib import Path

import pytest

from snake_assets.storage.tables.table import open_table
from snake_assets_tests.defs.assets.test_run import EVERY_SPLIT, QUICK, definitions, run_job
from snake_assets_tests.limits.small_sets import Photo, photos_of, write_set

pytestmark = [pytest.mark.daemon, pytest.mark.usefixtures("quick_map")]
FEW = pytest.mark.fault("splits of no, one or two photos")
CLASS_LISTS = pytest.mark.fault("class lists of one and of 10,000")

BOTH = [1, 2]
ENOUGH = BOTH * 4
STATUS = {1: True, 2: False}
ODD = ("-schlänge 🐍 #1 100%25 'x'", "{a} $HOME;&", "[b]*?")
NFC, NFD = unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")
ODD_PHOTOS = [f"{stem}.jpg" for stem in (NFC, NFD, "ä b", "-c", "#d%20", "🐍/e f", "蛇", "x'y\"")]
TWO_SPECIES = "All photos are of class_id 1: training needs two species or more."


def failures(data: Path, store: Path, backbone: Path) -> dict[str, str]:
    """Run everything; by step, the message of what failed first in it."""
    config = {"ops": {**QUICK["ops"], "image_table": {"config": {"most_rejected": 1.0}}}}
    graph = definitions(data, store, backbone)
    run = run_job(graph, tags=EVERY_SPLIT, run_config=config, raise_on_error=False)
    told = {}
    for event in run.all_events:
        if event.is_step_failure:
            error = event.event_specific_data.error
            while error.cause:
                error = error.cause
            told[event.step_key] = error.message
    return told


def small(train: Collection[int], val: Collection[int], test: Collection[int]) -> list[Photo]:
    return photos_of("train", train) + photos_of("val", val) + photos_of("test", test)


def answers(store: Path) -> list[dict[str, str]]:
    with (store / "submission" / "submission.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def spoil(folder: Path) -> None:
    for path in folder.rglob("*.jpg"):
        path.write_bytes(b"")


@pytest.mark.parametrize(("photos", "spoilt"), [([1], False), (BOTH, False), (BOTH, True)])
@FEW
def test_a_photo_or_two_do_for_val_and_test_even_if_they_cannot_be_read(
    tmp_path, demo_backbone, photos, spoilt
):
    data = write_set(tmp_path / "data", small(ENOUGH, photos, photos), STATUS)
    if spoilt:
        spoil(data / "val")
        spoil(data / "test")
    assert not failures(data, tmp_path / "store", demo_backbone)
    told = [row["observation_id"] for row in answers(tmp_path / "store")]
    assert told == [f"test-{number}" for number in range(len(photos))]


@pytest.mark.parametrize("split", ["train", "val", "test"])
@FEW
def test_a_split_without_a_photo_is_refused(tmp_path, demo_backbone, split):
    photos = [photo for photo in small(ENOUGH, BOTH, BOTH) if photo.split != split]
    data = write_set(tmp_path / "data", photos, STATUS)
    (told,) = failures(data, tmp_path / "store", demo_backbone).values()
    assert f"The split {split!r} is empty: no file below" in told


@pytest.mark.parametrize(
    ("train", "in_an_observation", "why"),
    [
        pytest.param([1, 1], 2, TWO_SPECIES, marks=FEW),
        pytest.param([1, 2], 1, "Every species has a single observation", marks=FEW),
        pytest.param([1] * 6, 1, TWO_SPECIES, marks=CLASS_LISTS),
    ],
    ids=["two of one observation", "two of two species", "one species"],
)
def test_what_nothing_can_be_learned_from_is_refused_by_the_classifier(
    tmp_path, demo_backbone, train, in_an_observation, why
):
    photos = photos_of("train", train, in_an_observation) + photos_of("val", [1]) + photos_of("test", [1])
    data = write_set(tmp_path / "data", photos, STATUS)
    told = failures(data, tmp_path / "store", demo_backbone)
    assert list(told) == ["species_classifier"]
    assert why in told["species_classifier"]


@FEW
def test_a_train_split_of_which_no_photo_can_be_read_is_refused(tmp_path, demo_backbone):
    data = write_set(tmp_path / "data", small(ENOUGH, [1], [1]), STATUS)
    spoil(data / "train")
    told = failures(data, tmp_path / "store", demo_backbone)
    assert told.keys() == {"species_classifier", "embedding_map"}
    assert all("no photo" in message for message in told.values())


@CLASS_LISTS
def test_a_list_of_ten_thousand_species_with_photos_of_three(tmp_path, demo_backbone):
    classes, store = [3, 5_000, 9_999], tmp_path / "store"
    venomous = {one: one % 4 == 3 for one in range(10_000)}
    data = write_set(tmp_path / "data", small(classes * 4, classes, classes), venomous)
    assert not failures(data, store, demo_backbone)
    scores = json.loads((store / "validation_report" / "scores.json").read_text())
    assert scores["observations"] == 3
    answered = [int(row["class_id"]) for row in answers(store)]
    assert len(answered) == 3 and set(answered) <= set(classes)
    assert (store / "species_classifier" / "classifier.json").stat().st_size < 1 << 20


@pytest.mark.fault("odd names of folders and photos")
def test_odd_names_of_folders_and_photos(tmp_path, demo_backbone):
    home = tmp_path.joinpath(*ODD)
    photos = [
        Photo(split, f"{split} {number} ü", number % 2, name, 10 * at + number)
        for at, split in enumerate(("train", "val", "test"))
        for number, name in enumerate(ODD_PHOTOS)
    ]
    data = write_set(home / "data", photos, {0: False, 1: True})
    backbone = Path(shutil.copytree(demo_backbone, home / f"{ODD[0]} backbone"))
    assert not failures(data, home / "store", backbone)
    for split in ("train", "val", "test"):
        images = open_table(home / "store" / "image_table" / split)
        assert not images.manifest.rejects
        assert sorted(images.read(["image_id"])["image_id"].to_pylist()) == sorted(ODD_PHOTOS)
    assert [row["observation_id"] for row in answers(home / "store")] == [f"test {n} ü" for n in range(8)]
