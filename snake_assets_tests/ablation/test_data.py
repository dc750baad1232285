"""What settings make of the photos."""

from dataclasses import replace

import pytest

from snake_assets.ablation.data import gather, read_by_the_paper
from snake_assets.learning.errors import LearningError
from snake_assets_tests.ablation.data import data


def test_the_paper_reads_lower_case_jpgs_of_inaturalist_only() -> None:
    train = data().train
    read = read_by_the_paper(train)
    assert 0 < len(read) < len(train) / 3
    assert read.image_id == [
        name for name in train.image_id if name.endswith(".jpg") and not name.startswith("HMP/")
    ]
    assert any(name.endswith(".jpg") and name.startswith("HMP/") for name in train.image_id)
    place = {name: row for row, name in enumerate(train.image_id)}
    rows = [place[name] for name in read.image_id]
    assert (read.class_id == train.class_id[rows]).all()
    assert (read.blocks["cls"] == train.blocks["cls"][rows]).all()
    loud = replace(train, image_id=[f"2020/Aus_albus/{row}.JPG" for row in range(len(train))])
    with pytest.raises(LearningError, match=r"\.jpg"):
        read_by_the_paper(loud)


def test_without_track1_it_is_refused_before_a_photo_is_seen() -> None:
    made = data()
    truth = dict(zip(made.order, made.truth.tolist(), strict=True))
    with pytest.raises(
        LearningError, match=r"by Track 1\. 3 of 4 species have no venom status, class_id 7 first"
    ):
        gather([], [], None, made.order, truth, {3: False}, made.classifier, None, None, None)
