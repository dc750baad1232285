"""What settings make of the photos."""

from dataclasses import replace

import numpy as np
import pytest

from snake_assets.ablation.data import first_photos, read_by_the_paper
from snake_assets.learning.errors import LearningError
from snake_assets_tests.ablation.data import FACTORS, data


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


def test_data_that_the_paper_would_not_have_read_at_all() -> None:
    train = data().train
    loud = replace(train, image_id=[f"2020/Aus_albus/{row}.JPG" for row in range(len(train))])
    with pytest.raises(LearningError, match=r"\.jpg"):
        read_by_the_paper(loud)


def test_the_first_photo_of_an_observation() -> None:
    val = data().val
    first = first_photos(val)
    assert first.observation_id == list(dict.fromkeys(val.observation_id))
    assert first.image_id == val.image_id[::3]


def test_the_dct_is_scaled_where_asked_for() -> None:
    stored = data()
    scaled = stored.with_dct(stored.val, True)
    np.testing.assert_allclose(scaled.blocks["dct"], stored.val.blocks["dct"] * FACTORS, rtol=1e-6)
    assert stored.with_dct(stored.val, False) is stored.val
