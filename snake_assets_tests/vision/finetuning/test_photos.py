"""What a training sees: a function of number and seed alone, out of shards, each photo once an epoch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from snake_assets.vision.backbone.backbone import Backbone
from snake_assets.vision.finetuning.photos import (
    BLOCK,
    Collation,
    HeldOutItems,
    LabelledPhotos,
    TrainingItems,
)
from snake_assets.vision.finetuning.settings import FinetuneSettings
from snake_assets_tests.vision.conftest import encode
from snake_assets_tests.vision.embedding.test_embed import images
from snake_assets_tests.vision.finetuning.conftest import CLASSES

Photos = tuple[LabelledPhotos, LabelledPhotos]
ALL_AUGMENTATION = FinetuneSettings(erasing=0.5, upside_down=True)


def test_an_item_is_the_same_whoever_reads_it_and_in_whatever_order(
    photos: Photos, backbone: Backbone
) -> None:
    one, other = (TrainingItems(photos[0], backbone.preprocessing, ALL_AUGMENTATION, 27) for _ in range(2))
    forwards = [one[number] for number in range(27)]
    torch.manual_seed(5)
    state = torch.get_rng_state()
    for number in reversed(range(27)):
        item = other[number]
        assert torch.equal(item["photo"], forwards[number]["photo"])
        assert (item["label"], item["number"]) == (forwards[number]["label"], number)
    assert torch.equal(torch.get_rng_state(), state), "nobody else's numbers are drawn"
    assert forwards[0]["photo"].shape == (56, 56, 3)
    reseeded = TrainingItems(
        photos[0], backbone.preprocessing, ALL_AUGMENTATION.model_copy(update={"seed": 1}), 27
    )
    assert not all(torch.equal(reseeded[number]["photo"], forwards[number]["photo"]) for number in range(9))


def test_an_epoch_shows_each_photo_once_with_its_label_across_shards_and_blocks(
    tmp_path: Path, backbone: Backbone
) -> None:
    """Photos are told by their colour; shards of two blocks and a bit, of which only some rows are wanted."""
    count = 2 * BLOCK + 10
    colours = [(10 + n % 12 * 20, 10 + n // 12 * 20, 60) for n in range(count)]
    given = {f"{n:03}.png": encode(Image.new("RGB", (8, 8), colours[n]), "PNG") for n in range(count)}
    table = images(tmp_path, given, BLOCK + 30)
    rows = np.flatnonzero(np.arange(count) % 5 != 2)
    photos = LabelledPhotos(table, rows, rows)
    plain = FinetuneSettings(colour=0)
    items = TrainingItems(photos, backbone.preprocessing, plain, 2 * len(rows))
    epochs = []
    for epoch in range(2):
        seen = [items[epoch * len(rows) + number] for number in range(len(rows))]
        assert sorted(item["label"] for item in seen) == rows.tolist()
        for item in seen:
            assert tuple(item["photo"][20, 20].tolist()) == colours[item["label"]]
        epochs.append([item["label"] for item in seen])
    assert epochs[0] != epochs[1]
    kept = HeldOutItems(LabelledPhotos(table, rows[::7], rows[::7]), backbone.preprocessing)
    assert [tuple(kept[n]["photo"][0, 0].tolist()) for n in range(len(kept))] == [
        colours[row] for row in rows[::7]
    ]


@pytest.mark.parametrize("way", ["mixup", "cutmix"])
def test_photos_are_mixed_only_where_that_is_set_and_never_those_held_out(
    way: str, photos: Photos, backbone: Backbone
) -> None:
    own, settings = backbone.preprocessing, FinetuneSettings.model_validate({way: 1.0})
    items = [TrainingItems(photos[0], own, settings, 9)[number] for number in range(6)]
    plain = Collation(own, FinetuneSettings(), CLASSES)(items)
    assert plain["photos"].dtype == torch.uint8
    assert plain["labels"].tolist() == [item["label"] for item in items]
    mixing = Collation(own, settings, CLASSES)
    mixed, again = mixing(items), mixing(items)
    assert mixed["labels"].shape == (6, CLASSES)
    torch.testing.assert_close(mixed["labels"].sum(dim=1), torch.ones(6))
    assert not torch.equal(mixed["photos"], own.pixel_values(plain["photos"]))
    assert all(torch.equal(mixed[name], again[name]) for name in mixed)
    kept = HeldOutItems(photos[1], own)
    assert mixing([kept[0], kept[1]])["photos"].dtype == torch.uint8
