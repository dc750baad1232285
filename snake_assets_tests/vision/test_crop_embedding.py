"""The embedding pass over crops: the right part of the right photo, seen again only where it is another."""

import json
import pickle
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from snake_assets.storage.errors import StorageError
from snake_assets.storage.fingerprints import fingerprint
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.vision.backbone.backbone import Backbone, load_backbone, open_backbone
from snake_assets.vision.backbone.features import describe
from snake_assets.vision.embedding.embed import (
    CROP_DCT,
    CROP_DINOV2,
    CROP_LAYERS,
    DCT,
    DINOV2,
    LAYERS,
    EmbeddingSettings,
    embed,
    embed_crops,
    recipes,
)
from snake_assets.vision.embedding.tables import KEYS, schema
from snake_assets.vision.inference.dataloader import BatchReader, plan_batches
from snake_assets.vision.inference.dataset import CroppedPhotos
from snake_assets.vision.inference.interfaces import PassRun
from snake_assets.vision.keys import REGION, unit_made_of
from snake_assets.vision.preprocessing.crops import CropInput, CropSettings
from snake_assets.vision.preprocessing.regions import Region, Regions
from snake_assets_tests.vision.boxes import box, write_crops
from snake_assets_tests.vision.conftest import encode, picture
from snake_assets_tests.vision.embedding.test_embed import column, half_photo, images, photos

TABLES = (CROP_DINOV2, CROP_DCT, CROP_LAYERS)
SETTINGS = EmbeddingSettings(batch_size=4)
CUT = CropSettings(least_side=8)
# Of the version before crops, for the recipes below.
GOLDEN_RECIPES = "3f57d9ef3759a84fe1a4651e73049e2085861a84699423c9b72ac0f5f5606ec9"


@pytest.fixture(scope="module")
def backbone(backbone_folders: dict[str, Path]) -> Backbone:
    return load_backbone(str(backbone_folders["dinov2"]), device="cpu", precision="fp32")


def boxes(count: int) -> dict[str, Region]:
    """A box in every photo but each third."""
    return {f"{n:02}.jpg": box(n / 40, 0.25, 0.75, 0.5 + n / 40) for n in range(count) if n % 3}


def run(
    root: Path, table: Table, crops: Table, backbone: Backbone, *names: str, cut=CUT, **changes
) -> PassRun:
    settings = replace(SETTINGS, **changes)
    folders = {name: root / name for name in names or (CROP_DINOV2, CROP_DCT)}
    return embed_crops(table, crops, folders, backbone, settings, cut)


def test_every_row_is_what_its_own_region_shows(tmp_path: Path, backbone: Backbone):
    given, found = photos(8), boxes(8)
    table = images(tmp_path, given)
    run(tmp_path, table, write_crops(tmp_path / "crops", table, found), backbone, *TABLES)
    rows = open_table(tmp_path / CROP_DINOV2).read()
    assert rows["image_id"].to_pylist() == list(given)
    assert rows["sha256"].to_pylist() == table.read(["sha256"])["sha256"].to_pylist()
    assert rows["observation_id"].to_pylist() == [f"o{n // 2}" for n in range(8)]
    assert len(set(rows[REGION].to_pylist())) == 8
    whole = box(0, 0, 1, 1)
    for position, (name, data) in enumerate(given.items()):
        cut = CropInput(backbone.preprocessing, CUT).prepared(data, found.get(name, whole)).pixels
        alone = describe(backbone, cut[None], orthonormal=False)
        np.testing.assert_allclose(
            column(tmp_path, CROP_DINOV2)[position], alone.cls[0], rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(column(tmp_path, CROP_DCT)[position], alone.dct[0], rtol=1e-3, atol=1e-3)
    assert column(tmp_path, CROP_LAYERS, "middle_mean").shape == (8, 32)


def test_photos_without_a_find_have_the_vectors_of_whole_photos(tmp_path: Path, backbone: Backbone):
    table = images(tmp_path, photos(4))
    run(tmp_path, table, write_crops(tmp_path / "crops", table, {}), backbone)
    embed(table, {DINOV2: tmp_path / DINOV2, DCT: tmp_path / DCT}, backbone, SETTINGS)
    assert (column(tmp_path, CROP_DINOV2) == column(tmp_path, DINOV2)).all()
    assert (column(tmp_path, CROP_DCT) == column(tmp_path, DCT)).all()


def test_whole_photos_are_made_as_ever():
    """A change of this fingerprint makes every stored vector be computed anew: it has to be meant."""
    backbone = SimpleNamespace(
        device="cpu", earlier_layer=1, middle_layer=1, cls_size=8, hidden_size=8,
        fingerprint_parts=lambda: {"backbone": "b", "weights": "w"},
    )  # fmt: skip
    made_by = recipes(backbone, SETTINGS)  # type: ignore[arg-type]
    assert fingerprint(made_by) == GOLDEN_RECIPES
    for name in (DINOV2, DCT, LAYERS):
        columns = schema(name, backbone, made_by[name])  # type: ignore[arg-type]
        assert columns.names[:4] == ["image_id", "observation_id", "class_id", "sha256"]
        assert REGION not in columns.names


def test_crops_leave_the_tables_of_whole_photos_alone(tmp_path: Path, backbone: Backbone):
    table = images(tmp_path, photos(4))
    before = embed(table, {DINOV2: tmp_path / DINOV2}, backbone, SETTINGS).manifests
    run(tmp_path, table, write_crops(tmp_path / "crops", table, boxes(4)), backbone)
    after = embed(table, {DINOV2: tmp_path / DINOV2}, backbone, SETTINGS)
    assert (after.computed, after.manifests) == (0, before)
    assert [shard.unit for shard in before[DINOV2].shards] == [
        unit_made_of(shard) for shard in table.manifest.shards
    ]


def test_the_tables_tell_how_crops_were_found_and_cut(tmp_path: Path, backbone: Backbone):
    table = images(tmp_path, photos(2))
    run(tmp_path, table, write_crops(tmp_path / "crops", table, {}, recipe={"weights": "abc"}), backbone)
    told = {
        key.decode(): json.loads(value)
        for key, value in open_table(tmp_path / CROP_DCT).schema.metadata.items()
    }
    assert told["view"] == "crop"
    assert told["crop"]["finder"] == {"weights": "abc"}
    assert (told["crop"]["margin"], told["crop"]["background"]) == (0.15, "keep")
    assert told["backbone"] == backbone.name


def test_a_second_pass_computes_nothing_and_loads_no_model(
    tmp_path: Path, backbone: Backbone, backbone_folders: dict[str, Path]
):
    table = images(tmp_path, photos(6))
    crops = write_crops(tmp_path / "crops", table, boxes(6))
    first = run(tmp_path, table, crops, backbone)
    unloaded = open_backbone(str(backbone_folders["dinov2"]), device="cpu", precision="fp32")
    second = run(tmp_path, table, crops, unloaded)
    assert (first.computed, second.computed, "model" in vars(unloaded)) == (6, 0, False)
    assert second.manifests == first.manifests


def test_another_box_is_computed_again_and_the_same_box_is_not(tmp_path: Path, backbone: Backbone):
    table, found = images(tmp_path, photos(12)), boxes(12)
    run(tmp_path, table, write_crops(tmp_path / "crops", table, found), backbone)
    before = column(tmp_path, CROP_DINOV2)
    # Another score of the same box is no other crop; its shard is another, so its rows are copied.
    moved = {**found, "05.jpg": box(0, 0, 0.5, 0.5), "10.jpg": replace(found["10.jpg"], score=0.9)}
    again = run(tmp_path, table, write_crops(tmp_path / "crops", table, moved), backbone)
    assert (again.computed, again.copied) == (1, 7)
    changed = (column(tmp_path, CROP_DINOV2) != before).any(axis=1)
    assert changed.tolist() == [n == 5 for n in range(12)]


def test_added_photos_alone_are_computed(tmp_path: Path, backbone: Backbone):
    given, found = photos(9), boxes(9)
    fewer = images(tmp_path, {name: data for name, data in given.items() if name != "01.jpg"})
    run(tmp_path, fewer, write_crops(tmp_path / "crops", fewer, found), backbone)
    everything = images(tmp_path, given)
    again = run(tmp_path, everything, write_crops(tmp_path / "crops", everything, found), backbone)
    assert (again.computed, again.copied) == (1, 8)
    assert open_table(tmp_path / CROP_DCT).read()["image_id"].to_pylist() == list(given)


def test_copies_of_a_photo_are_computed_once_for_each_box(tmp_path: Path, backbone: Backbone):
    same = encode(picture(90, 80, 1))
    table = images(tmp_path, {"a.jpg": same, "b.jpg": same, "c.jpg": encode(picture(90, 80, 2))})
    found = dict.fromkeys(("a.jpg", "b.jpg", "c.jpg"), box(0, 0, 0.5, 0.5))
    result = run(tmp_path, table, write_crops(tmp_path / "crops", table, found), backbone)
    assert (result.computed, result.copied) == (2, 1)


@pytest.mark.parametrize(
    ("cut", "finder"),
    [(replace(CUT, margin=0.3), "by hand"), (replace(CUT, background="grey"), "by hand"), (CUT, "other")],
)
def test_other_cuts_and_other_finders_make_other_tables(
    tmp_path: Path, backbone: Backbone, cut: CropSettings, finder: str
):
    table = images(tmp_path, photos(3))
    run(tmp_path, table, write_crops(tmp_path / "crops", table, boxes(3)), backbone)
    crops = write_crops(tmp_path / "crops", table, boxes(3), recipe={"finder": finder})
    assert run(tmp_path, table, crops, backbone, cut=cut).computed == 3


def test_rejects_of_the_crops_are_rejects_here_beside_those_of_decoding(tmp_path: Path, backbone: Backbone):
    given = photos(6) | {"02.jpg": half_photo()}
    table = images(tmp_path, given)
    crops = write_crops(tmp_path / "crops", table, boxes(6), rejects={"01.jpg"})
    result = run(tmp_path, table, crops, backbone)
    manifest = result.manifests[CROP_DINOV2]
    assert [(one.image_id, one.reason) for one in manifest.rejects] == [
        ("01.jpg", "truncated"),
        ("02.jpg", "truncated"),
    ]
    assert manifest.rejects[0].detail == "cut short"
    assert (manifest.rows_in, manifest.rows_out, result.computed) == (6, 4, 5)
    assert open_table(tmp_path / CROP_DCT).read()["image_id"].to_pylist() == [
        "00.jpg",
        "03.jpg",
        "04.jpg",
        "05.jpg",
    ]


def test_crops_of_other_photos_are_refused(tmp_path: Path, backbone: Backbone):
    crops = write_crops(tmp_path / "crops", images(tmp_path, photos(3)), {})
    with pytest.raises(StorageError, match="yolo_crops for train again"):
        run(tmp_path, images(tmp_path / "others", photos(4)), crops, backbone)


def test_crops_that_lack_a_photo_are_refused(tmp_path: Path, backbone: Backbone):
    table = images(tmp_path, photos(3))
    crops = write_crops(tmp_path / "crops", table, {}, rejects={"01.jpg"})
    (shard,) = crops.manifest.shards
    lacking = Table(crops.folder, replace(crops.manifest, shards=(replace(shard, rejects=()),)))
    with pytest.raises(StorageError, match=r"01\.jpg"):
        run(tmp_path, table, lacking, backbone)


def test_what_reads_crops_goes_to_other_processes(tmp_path: Path, backbone: Backbone):
    table = images(tmp_path, photos(6))
    subjects = CroppedPhotos(table, KEYS, Regions(write_crops(tmp_path / "crops", table, boxes(6))))
    reader = BatchReader(
        subjects,
        CropInput(backbone.preprocessing, CUT),
        plan_batches(subjects, table.manifest.shards, lambda digest: False, 4),
    )
    here, there = reader[0], pickle.loads(pickle.dumps(reader))[0]
    assert here.digests == there.digests and bool((here.pixels == there.pixels).all())
