"""What settings make of the photos."""

from dataclasses import replace

import numpy as np
import pytest

from snake_assets.ladder.material import class_ids_of, first_photos, photos_read, rows_of
from snake_assets.learning.errors import LearningError
from snake_assets_tests.ladder.materials import FACTORS, material


def test_the_paper_reads_lower_case_jpgs_of_inaturalist_only() -> None:
    train = material().train
    read = photos_read(train, "jpg_of_inaturalist")
    assert 0 < len(read) < len(train) / 3
    assert read.image_id == [
        name for name in train.image_id if name.endswith(".jpg") and not name.startswith("HMP/")
    ]
    assert any(name.endswith(".jpg") and name.startswith("HMP/") for name in train.image_id)
    place = {name: row for row, name in enumerate(train.image_id)}
    rows = [place[name] for name in read.image_id]
    assert (read.class_id == train.class_id[rows]).all()
    assert (read.blocks["cls"] == train.blocks["cls"][rows]).all()
    assert photos_read(train, "all") is train


def test_data_that_the_paper_would_not_have_read_at_all() -> None:
    train = material().train
    loud = replace(train, image_id=[f"2020/Aus_albus/{row}.JPG" for row in range(len(train))])
    with pytest.raises(LearningError, match=r"\.jpg"):
        photos_read(loud, "jpg_of_inaturalist")


def test_the_first_photo_of_an_observation() -> None:
    val = material().val
    first = first_photos(val)
    assert first.observation_id == list(dict.fromkeys(val.observation_id))
    assert first.image_id == val.image_id[::3]


def test_an_unlabelled_table_stays_one() -> None:
    unlabelled = replace(material().val, class_id=None, sha256=None)
    some = rows_of(unlabelled, np.arange(len(unlabelled)) < 2)
    assert (len(some), some.class_id, some.sha256) == (2, None, None)
    with pytest.raises(LearningError, match="class_id"):
        class_ids_of(some)


def test_the_dct_is_scaled_there_and_back() -> None:
    stored = material()
    scaled = stored.with_dct(stored.val, True)
    np.testing.assert_allclose(scaled.blocks["dct"], stored.val.blocks["dct"] * FACTORS, rtol=1e-6)
    assert stored.with_dct(stored.val, False) is stored.val
    back = replace(stored, dct_is_orthonormal=True).with_dct(scaled, False)
    np.testing.assert_allclose(back.blocks["dct"], stored.val.blocks["dct"], rtol=1e-5)
