"""The embedding pass over crops: the right part of the right photo, seen again only where it is another."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snake_assets.storage import StorageError
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.vision.backbone.backbone import Backbone, open_backbone
from snake_assets.vision.embedding.embed import EmbeddingSettings, embed_crops
from snake_assets.vision.embedding.tables import CROP_EMBEDDINGS, DCT, DINOV2, KEYS, VECTORS
from snake_assets.vision.embedding.tables import recipes as recipes_of
from snake_assets.vision.inference.dataloader import BatchReader
from snake_assets.vision.inference.dataset import PhotoDataset, plan_batches
from snake_assets.vision.inference.runner import PassRun
from snake_assets.vision.preprocessing.crops import CropInput, CropSettings
from snake_assets.vision.preprocessing.regions import REGION, Region, Regions
from snake_assets.vision.preprocessing.transforms import View
from snake_assets_tests.vision.boxes import box, write_crops
from snake_assets_tests.vision.conftest import describe, picture
from snake_assets_tests.vision.embedding.test_embed import column, half_photo, images, photos
from snake_assets_tests.vision.embedding.test_embed import run as run_whole

CUT = CropSettings(least_side=8)


def boxes(count: int) -> dict[str, Region]:
    """A box in every photo but each third."""
    return {f"{n:02}.jpg": box(n / 40, 0.25, 0.75, 0.5 + n / 40) for n in range(count) if n % 3}


def run(root: Path, table: Table, crops: Table, backbone: Backbone, cut: CropSettings = CUT) -> PassRun:
    settings = EmbeddingSettings(batch_size=4)
    return embed_crops(table, crops, root / CROP_EMBEDDINGS, backbone, settings, cut)


def run_boxed(root: Path, table: Table, found: dict[str, Region], backbone: Backbone) -> PassRun:
    return run(root, table, write_crops(root / "crops", table, found), backbone)


def test_every_row_is_what_its_own_region_shows_and_rejects_shift_nothing(tmp_path: Path, backbone: Backbone):
    """Those of the crops beside those of decoding."""
    given, found = photos(10), boxes(10)
    table = images(tmp_path, given | {"02.jpg": half_photo()})
    crops = write_crops(tmp_path / "crops", table, found, rejects={"01.jpg"}, recipe={"weights": "abc"})
    result = run(tmp_path, table, crops, backbone)
    manifest = result.manifests[CROP_EMBEDDINGS]
    assert [(one.image_id, one.reason, one.detail) for one in manifest.rejects[:1]] == [
        ("01.jpg", "truncated", "cut short")
    ]
    assert [(one.image_id, one.reason) for one in manifest.rejects[1:]] == [("02.jpg", "truncated")]
    assert (manifest.rows_in, manifest.rows_out) == (10, 8)
    del given["01.jpg"], given["02.jpg"]
    rows = open_table(tmp_path / CROP_EMBEDDINGS).read()
    assert rows["image_id"].to_pylist() == list(given)
    told = {key.decode(): json.loads(value) for key, value in rows.schema.metadata.items()}
    assert told["view"] == "crop" and told["backbone"] == backbone.name
    cut_as = {"margin": 0.15, "background": "keep", "least_side": 8, "finder": {"weights": "abc"}}
    assert told["crop"] == cut_as
    assert rows["observation_id"].to_pylist() == [f"o{n // 2}" for n in range(10) if n not in (1, 2)]
    assert len(set(rows[REGION].to_pylist())) == 8
    for position, (name, data) in enumerate(given.items()):
        cut = CropInput(backbone.preprocessing, CUT).prepared(data, found.get(name, box(0, 0, 1, 1)))
        alone = describe(backbone, cut[None])
        for label, feature in VECTORS[CROP_EMBEDDINGS].items():
            vector, tolerance = (
                column(tmp_path, CROP_EMBEDDINGS, label)[position],
                1e-3 if label == "dct" else 1e-4,
            )
            np.testing.assert_allclose(vector, getattr(alone, feature)[0], rtol=tolerance, atol=tolerance)


def test_photos_without_a_find_have_the_vectors_of_whole_photos(tmp_path: Path, backbone: Backbone):
    table = images(tmp_path, photos(4))
    run_boxed(tmp_path, table, {}, backbone)
    run_whole(tmp_path, table, backbone)
    for label in VECTORS[DINOV2]:
        whole = column(tmp_path, DINOV2, label)
        assert (column(tmp_path, CROP_EMBEDDINGS, label) == whole).all()
    assert (column(tmp_path, CROP_EMBEDDINGS, "dct") == column(tmp_path, DCT)).all()


def test_another_box_is_computed_again_and_the_same_box_is_not(tmp_path: Path, backbone: Backbone):
    given, found = photos(12), boxes(12)
    # Copies are computed once for each box.
    table = images(tmp_path, given | {"07.jpg": given["04.jpg"], "08.jpg": given["04.jpg"]})
    found["07.jpg"] = found["04.jpg"]
    first = run_boxed(tmp_path, table, found, backbone)
    assert (first.computed, first.copied) == (11, 1)
    before = column(tmp_path, CROP_EMBEDDINGS)
    # Another score of the same box is no other crop; its shard is another, so its rows are copied.
    moved = {**found, "05.jpg": box(0, 0, 0.5, 0.5), "10.jpg": replace(found["10.jpg"], score=0.9)}
    again = run_boxed(tmp_path, table, moved, backbone)
    assert (again.computed, again.copied) == (1, 7)
    changed = (column(tmp_path, CROP_EMBEDDINGS) != before).any(axis=1)
    assert changed.tolist() == [n == 5 for n in range(12)]


@pytest.mark.parametrize(
    ("cut", "finder"),
    [(replace(CUT, margin=0.3), "by hand"), (replace(CUT, background="grey"), "by hand"), (CUT, "other")],
)
def test_other_cuts_and_other_finders_make_other_tables(
    tmp_path: Path, backbone: Backbone, cut: CropSettings, finder: str
):
    table = images(tmp_path, photos(3))
    run_boxed(tmp_path, table, boxes(3), backbone)
    crops = write_crops(tmp_path / "crops", table, boxes(3), recipe={"finder": finder})
    assert run(tmp_path, table, crops, backbone, cut).computed == 3


def test_crops_of_other_photos_or_that_lack_one_are_refused(tmp_path: Path, backbone: Backbone):
    table = images(tmp_path, photos(3))
    crops = write_crops(tmp_path / "crops", table, {}, rejects={"01.jpg"})
    (shard,) = crops.manifest.shards
    lacking = Table(crops.folder, replace(crops.manifest, shards=(replace(shard, rejects=()),)))
    with pytest.raises(StorageError, match=r"01\.jpg"):
        run(tmp_path, table, lacking, backbone)
    with pytest.raises(StorageError, match="yolo_crops for train again"):
        run(tmp_path, images(tmp_path / "others", photos(4)), crops, backbone)


def test_what_reads_crops_goes_to_other_processes(tmp_path: Path, backbone: Backbone):
    table = images(tmp_path, photos(6))
    dataset = PhotoDataset(table, KEYS, Regions(write_crops(tmp_path / "crops", table, boxes(6))))
    plans = plan_batches(dataset, table.manifest.shards, lambda digest: False, 4)
    reader = BatchReader(dataset, CropInput(backbone.preprocessing, CUT), plans)
    here, there = reader[0], pickle.loads(pickle.dumps(reader))[0]
    assert here.digests == there.digests and bool((here.pixels == there.pixels).all())


def test_backbones_beside_each_other_give_what_each_gives_alone_side_by_side(
    tmp_path: Path, backbone_folders: dict[str, Path]
):
    """To the bit, of whole photos and of crops: two that see 84 pixels, and one that sees 96 otherwise."""
    names = [str(backbone_folders[kind]) for kind in ("dinov2", "dinov2_with_registers", "vit")]
    one, like_it, other, of_all = (
        open_backbone(name, device="cpu", precision="fp32", view=View(scale=1.5))
        for name in (*names, ",".join(names))
    )
    assert of_all == replace(one, beside=(like_it, other))
    table = images(tmp_path, photos(4) | {"02.jpg": half_photo()})
    crops = write_crops(tmp_path / "crops", table, boxes(4))
    seen = {"one": one, "like it": like_it, "other": other, "all": of_all}
    recipes = {}
    for name, model in seen.items():
        run(tmp_path / name, table, crops, model)
        # The second device by another name, so that all parts go there.
        made = run_whole(tmp_path / name, table, model, batch_size=2, devices=("cpu", "cpu:0"))
        recipes[name] = made.manifests[DINOV2].recipe
    for name, labels in VECTORS.items():
        for label in labels:
            *alone, found = (column(tmp_path / place, name, label) for place in seen)
            np.testing.assert_array_equal(found, np.hstack(alone))
    layers = {"earlier": 1, "middle": 1}
    beside = [{**part.fingerprint_parts(), "layers": layers} for part in (like_it, other)]
    assert recipes["all"] == {**recipes["one"], "beside": beside}
    assert [part["resolution"] for part in beside] == [[84, 84], [96, 96]]
    # Those that see photos alike share their pixels; what has no grid adds nothing to the DCT.
    gridless = replace(like_it, layout=replace(like_it.layout, grid=None))
    batch = one.preprocessing.resized(np.asarray(picture(90, 80)))[None]
    alone, found = (describe(model, batch) for model in (one, replace(one, beside=(gridless,))))
    np.testing.assert_array_equal(found.cls, np.hstack([alone.cls, describe(like_it, batch).cls]))
    np.testing.assert_array_equal(found.dct, alone.dct)
    assert recipes_of(replace(one, beside=(gridless,)), 2).keys() == {DINOV2, DCT}
