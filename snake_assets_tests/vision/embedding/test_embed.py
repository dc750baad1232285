"""The embedding pass: right vectors for the right photos, whatever happens on the way."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from snake_assets.snakeclef.image_table import ingest
from snake_assets.snakeclef.metadata import PhotoRow
from snake_assets.snakeclef.raw.photo_files import find_photos
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.vision.backbone.backbone import Backbone, load_backbone, open_backbone
from snake_assets.vision.backbone.features import describe
from snake_assets.vision.decoding.decode import decode
from snake_assets.vision.embedding.embed import DCT, DINOV2, LAYERS, EmbeddingSettings, embed
from snake_assets.vision.inference.interfaces import PassRun
from snake_assets.vision.timing import DCT_STAGE, STAGES
from snake_assets_tests.vision.conftest import encode, picture

SETTINGS = EmbeddingSettings(batch_size=4)


@pytest.fixture(scope="module")
def backbone(backbone_folders: dict[str, Path]) -> Backbone:
    return load_backbone(str(backbone_folders["dinov2"]), device="cpu", precision="fp32")


def images(root: Path, photos: dict[str, bytes], shard_rows: int = 4) -> Table:
    for name, data in photos.items():
        (root / "data" / "train").mkdir(parents=True, exist_ok=True)
        (root / "data" / "train" / name).write_bytes(data)
    rows = [PhotoRow(name, f"o{n // 2}", f"train/{name}", n % 3) for n, name in enumerate(photos)]
    ingest(rows, find_photos(root / "data", "train"), "train", root / "image_table", shard_rows)
    return open_table(root / "image_table")


def photos(count: int) -> dict[str, bytes]:
    return {f"{n:02}.jpg": encode(picture(90 + n, 80, n)) for n in range(count)}


def run(root: Path, table: Table, backbone: Backbone, *names: str, **changes) -> PassRun:
    settings = EmbeddingSettings(**{"batch_size": 4, **changes})
    return embed(table, {name: root / name for name in names or (DINOV2, DCT)}, backbone, settings)


def column(root: Path, name: str, label: str = "embedding") -> np.ndarray:
    values = open_table(root / name).read()[label].combine_chunks()
    return np.asarray(values.flatten()).reshape(len(values), -1)


def half_photo() -> bytes:
    """A JPEG whose scan ends early, although its end marker is there: only decoding tells."""
    whole = encode(picture(90, 80, 7))
    return whole[: len(whole) * 2 // 3] + b"\xff\xd9"


def test_every_row_is_its_own_photos_vector(tmp_path: Path, backbone: Backbone):
    given = photos(10)
    run(tmp_path, images(tmp_path, given), backbone)
    rows = open_table(tmp_path / DINOV2).read()
    assert rows["image_id"].to_pylist() == list(given)
    assert rows["observation_id"].to_pylist() == [f"o{n // 2}" for n in range(10)]
    assert rows["class_id"].to_pylist() == [n % 3 for n in range(10)]
    for position, data in enumerate(given.values()):
        pixels = backbone.preprocessing.resized(decode(data))[None]
        alone = describe(backbone, pixels, orthonormal=False)
        np.testing.assert_allclose(column(tmp_path, DINOV2)[position], alone.cls[0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(
            column(tmp_path, DINOV2, "patch_mean")[position], alone.patch_mean[0], rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(column(tmp_path, DCT)[position], alone.dct[0], rtol=1e-3, atol=1e-3)


def test_the_tables_explain_themselves(tmp_path: Path, backbone: Backbone):
    run(tmp_path, images(tmp_path, photos(2)), backbone)
    for name, sizes in ((DINOV2, {"embedding": 32, "patch_mean": 32}), (DCT, {"embedding": 64})):
        schema = open_table(tmp_path / name).schema
        for label, size in sizes.items():
            assert schema.field(label).type == pa.list_(pa.float32(), size)
        told = {key.decode(): json.loads(value) for key, value in schema.metadata.items()}
        assert {
            "backbone",
            "revision",
            "weights",
            "preprocessing",
            "resolution",
            "precision",
            "view",
        } <= told.keys()


def test_a_photo_that_fails_to_decode_is_a_reject_and_shifts_nothing(tmp_path: Path, backbone: Backbone):
    given = photos(6)
    given["02.jpg"] = half_photo()
    result = run(tmp_path, images(tmp_path, given), backbone)
    for name in (DINOV2, DCT):
        manifest = result.manifests[name]
        assert [(reject.image_id, reject.reason) for reject in manifest.rejects] == [("02.jpg", "truncated")]
        assert (manifest.rows_in, manifest.rows_out) == (6, 5)
        assert "02.jpg" not in open_table(tmp_path / name).read()["image_id"].to_pylist()
    last = describe(
        backbone, backbone.preprocessing.resized(decode(given["05.jpg"]))[None], orthonormal=False
    )
    np.testing.assert_allclose(column(tmp_path, DINOV2)[-1], last.cls[0], rtol=1e-4, atol=1e-5)


def test_a_shard_without_a_readable_photo_is_an_empty_one(tmp_path: Path, backbone: Backbone):
    given = {f"{n}.jpg": half_photo() + bytes(n) for n in range(4)} | photos(2)
    result = run(tmp_path, images(tmp_path, given), backbone)
    assert [shard.rows for shard in result.manifests[DINOV2].shards] == [0, 2]
    assert column(tmp_path, DCT).shape == (2, 64)


def test_a_shard_of_rejects_is_passed_over(tmp_path: Path, backbone: Backbone):
    given = {f"bad-{n}.jpg": b"no photo" for n in range(4)} | photos(2)
    result = run(tmp_path, images(tmp_path, given), backbone)
    assert [shard.rows for shard in result.manifests[DINOV2].shards] == [0, 2]


def test_a_second_pass_computes_nothing_and_changes_nothing(tmp_path: Path, backbone: Backbone):
    table = images(tmp_path, photos(6))
    first = run(tmp_path, table, backbone)
    second = run(tmp_path, table, backbone)
    assert (first.computed, second.computed) == (6, 0)
    assert second.manifests == first.manifests


def test_only_shards_with_other_photos_are_computed_again(tmp_path: Path, backbone: Backbone):
    given = photos(12)
    run(tmp_path, images(tmp_path, given), backbone)
    before = column(tmp_path, DINOV2)
    given["05.jpg"] = encode(picture(90, 80, 99))
    again = run(tmp_path, images(tmp_path, given), backbone)
    assert (again.computed, again.copied) == (1, 3)
    changed = (column(tmp_path, DINOV2) != before).any(axis=1)
    assert changed.tolist() == [n == 5 for n in range(12)]


def test_tables_can_be_made_one_at_a_time(tmp_path: Path, backbone: Backbone):
    table = images(tmp_path, photos(5))
    together = run(tmp_path / "a", table, backbone).manifests
    apart = (
        run(tmp_path / "b", table, backbone, DCT).manifests
        | run(tmp_path / "b", table, backbone, DINOV2).manifests
    )
    assert {name: m.digest for name, m in apart.items()} == {name: m.digest for name, m in together.items()}


def test_what_is_done_does_not_change_what_is_computed(tmp_path: Path, backbone: Backbone):
    given = photos(11)
    table = images(tmp_path, given)
    run(tmp_path / "whole", table, backbone)
    fewer = images(tmp_path / "fewer", {name: given[name] for name in list(given)[:4]})
    run(tmp_path / "steps", fewer, backbone)
    resumed = run(tmp_path / "steps", table, backbone)
    assert resumed.computed == 7
    assert (column(tmp_path / "steps", DINOV2) == column(tmp_path / "whole", DINOV2)).all()


@pytest.mark.parametrize("change", [{"orthonormal_dct": True}, {"batch_size": 3}])
def test_another_recipe_is_another_table(tmp_path: Path, backbone: Backbone, change: dict):
    table = images(tmp_path, photos(5))
    first = run(tmp_path, table, backbone, DCT)
    second = run(tmp_path, table, backbone, DCT, **change)
    assert second.computed == 5
    assert second.manifests[DCT].fingerprint != first.manifests[DCT].fingerprint


@pytest.mark.parametrize(
    "change",
    [{"read_ahead": 5, "decoders": 3}, {"processes": "always", "decoders": 1}, {"devices": ("cpu", "cpu")}],
)
def test_how_it_is_run_changes_no_row_and_no_recipe(tmp_path: Path, backbone: Backbone, change: dict):
    table = images(tmp_path, photos(9))
    one = run(tmp_path / "one", table, backbone, DINOV2, DCT, LAYERS)
    other = run(tmp_path / "other", table, backbone, DINOV2, DCT, LAYERS, **change)
    assert {name: m.digest for name, m in other.manifests.items()} == {
        name: m.digest for name, m in one.manifests.items()
    }
    assert other.devices == change.get("devices", ("cpu",))


def test_the_stages_are_told_of(tmp_path: Path, backbone: Backbone):
    result = run(tmp_path, images(tmp_path, photos(9)), backbone)
    assert set(result.stages.seconds) == {*STAGES, DCT_STAGE}
    assert all(seconds > 0 for seconds in result.stages.seconds.values())
    assert result.shares["model"] <= 1
    assert result.peak_device_bytes is None


def test_earlier_layers_are_a_table_of_their_own(tmp_path: Path, backbone: Backbone):
    table = images(tmp_path, photos(5))
    both = run(tmp_path / "both", table, backbone, DINOV2, LAYERS)
    assert column(tmp_path / "both", LAYERS, "earlier_cls").shape == (5, 32)
    assert column(tmp_path / "both", LAYERS, "middle_mean").shape == (5, 32)
    alone = run(tmp_path / "alone", table, backbone, DINOV2)
    assert alone.manifests[DINOV2].digest == both.manifests[DINOV2].digest


def test_another_backbone_takes_nothing_over(
    tmp_path: Path, backbone: Backbone, backbone_folders: dict[str, Path]
):
    table = images(tmp_path, photos(3))
    run(tmp_path, table, backbone)
    other = load_backbone(str(backbone_folders["vit"]), device="cpu")
    assert run(tmp_path, table, other).computed == 3


def test_progress_counts_up_to_all(tmp_path: Path, backbone: Backbone):
    seen: list[tuple[int, int]] = []
    table = images(tmp_path, photos(6))
    embed(table, {DCT: tmp_path / DCT}, backbone, SETTINGS, lambda done, of: seen.append((done, of)))
    assert seen == [(4, 6), (6, 6)]


def test_added_photos_alone_are_computed_and_the_rest_is_copied(tmp_path: Path, backbone: Backbone):
    given = photos(21)
    before = images(tmp_path, {name: data for name, data in given.items() if int(name[:2]) % 7})
    run(tmp_path, before, backbone)
    everything = images(tmp_path, given)
    again = run(tmp_path, everything, backbone)
    assert (again.computed, again.copied) == (3, 18)
    rows = open_table(tmp_path / DINOV2).read()
    assert rows["image_id"].to_pylist() == list(given)
    assert rows["sha256"].to_pylist() == everything.read(["sha256"])["sha256"].to_pylist()
    run(tmp_path / "afresh", everything, backbone)
    for name in (DINOV2, DCT):
        np.testing.assert_allclose(
            column(tmp_path, name), column(tmp_path / "afresh", name), rtol=1e-3, atol=1e-3
        )


def test_ten_photos_added_to_819_are_ten_photos_of_work(tmp_path: Path, backbone: Backbone):
    tiny = {f"{n:03}.jpg": encode(picture(16, 16, n)) for n in range(829)}
    before = {name: data for number, (name, data) in enumerate(tiny.items()) if number % 80 != 40}
    assert len(before) == 819
    assert run(tmp_path, images(tmp_path, before, 512), backbone, batch_size=32).computed == 819
    again = run(tmp_path, images(tmp_path, tiny, 512), backbone, batch_size=32)
    assert (again.computed, again.copied) == (10, 819)
    assert open_table(tmp_path / DCT).read()["image_id"].to_pylist() == list(tiny)


def test_removed_photos_cost_nothing(tmp_path: Path, backbone: Backbone, backbone_folders: dict[str, Path]):
    given = photos(9)
    run(tmp_path, images(tmp_path, given), backbone)
    fewer = images(tmp_path, {name: data for name, data in given.items() if name != "03.jpg"})
    unloaded = open_backbone(str(backbone_folders["dinov2"]), device="cpu", precision="fp32")
    assert run(tmp_path, fewer, unloaded, compiled="always").computed == 0
    assert "model" not in vars(unloaded)
    assert open_table(tmp_path / DCT).read()["image_id"].to_pylist() == [n for n in given if n != "03.jpg"]


def test_identical_photos_are_computed_once(tmp_path: Path, backbone: Backbone):
    given = photos(6)
    copies = {"00.jpg": given["05.jpg"], "03.jpg": half_photo(), "04.jpg": half_photo()}
    result = run(tmp_path, images(tmp_path, given | copies, shard_rows=2), backbone)
    # Five different contents, one of them not to be decoded.
    assert (result.computed, result.copied) == (4, 1)
    rows = open_table(tmp_path / DINOV2)
    assert rows.read()["image_id"].to_pylist() == ["00.jpg", "01.jpg", "02.jpg", "05.jpg"]
    assert (column(tmp_path, DINOV2)[0] == column(tmp_path, DINOV2)[3]).all()
    assert [(r.image_id, r.reason) for r in rows.manifest.rejects] == [
        ("03.jpg", "truncated"),
        ("04.jpg", "truncated"),
    ]


@pytest.mark.real
def test_bf16_tells_the_same_of_real_photos(shared_data: Path, tmp_path: Path):
    from snake_assets.snakeclef.metadata import read_metadata, read_venom_list

    root = shared_data / "philippine-snakes"
    venomous = read_venom_list(root / "metadata" / "venomous_status_list.csv")
    ingest(read_metadata(root, "val", venomous), find_photos(root, "val"), "val", tmp_path / "images")
    vectors = {}
    for precision in ("fp32", "bf16"):
        model = load_backbone(
            str(shared_data / "weights" / "vit-tiny-imagenet"), device="cpu", precision=precision
        )
        run(tmp_path / precision, open_table(tmp_path / "images"), model, DINOV2, batch_size=32)
        vectors[precision] = column(tmp_path / precision, DINOV2)
    one, other = vectors["fp32"], vectors["bf16"]
    cosine = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert cosine.mean() >= 0.9995
    assert cosine.min() >= 0.998
