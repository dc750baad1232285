"""The embedding pass: right vectors for the right photos, whatever happens on the way."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from snake_assets.learning.reading import read_splits
from snake_assets.snakeclef.image_table import ingest
from snake_assets.snakeclef.metadata import PhotoRow
from snake_assets.snakeclef.raw.photo_files import find_photos
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.vision.backbone.backbone import Backbone, open_backbone
from snake_assets.vision.backbone.features import DCT_STAGE
from snake_assets.vision.backbone.model_files import SEEN_FILE
from snake_assets.vision.decoding.decode import decode
from snake_assets.vision.embedding.embed import EmbeddingSettings, embed
from snake_assets.vision.embedding.tables import DCT, DINOV2, VECTORS
from snake_assets.vision.inference.runner import STAGES, PassRun
from snake_assets_tests.vision.conftest import describe, encode, picture


def images(root: Path, photos: dict[str, bytes], shard_rows: int = 4) -> Table:
    for name, data in photos.items():
        (root / "data" / "train").mkdir(parents=True, exist_ok=True)
        (root / "data" / "train" / name).write_bytes(data)
    rows = [PhotoRow(name, f"o{n // 2}", f"train/{name}", n % 3) for n, name in enumerate(photos)]
    files = find_photos(root / "data", "train")
    ingest(rows, files, "train", root / "image_table", shard_rows, most_rejected=1)
    return open_table(root / "image_table")


def photos(count: int) -> dict[str, bytes]:
    return {f"{n:02}.jpg": encode(picture(90 + n, 80, n)) for n in range(count)}


def run(root: Path, table: Table, backbone: Backbone, *names: str, **changes) -> PassRun:
    settings = EmbeddingSettings(**{"batch_size": 4, **changes})
    return embed(table, {name: root / name for name in names or (DINOV2, DCT)}, backbone, settings)


def column(root: Path, name: str, label: str = "embedding") -> np.ndarray:
    values = open_table(root / name).read()[label].combine_chunks()
    return np.asarray(values.flatten()).reshape(len(values), -1)


def names_in(folder: Path) -> list[str]:
    return open_table(folder).read(["image_id"])["image_id"].to_pylist()


def digests(run: PassRun) -> dict[str, str]:
    return {name: manifest.digest for name, manifest in run.manifests.items()}


def half_photo() -> bytes:
    """A JPEG whose scan ends early, although its end marker is there: only decoding tells."""
    whole = encode(picture(90, 80, 7))
    return whole[: len(whole) * 2 // 3] + b"\xff\xd9"


def test_every_row_is_its_own_photos_vector_and_rejects_shift_nothing(tmp_path: Path, backbone: Backbone):
    given = photos(10)
    result = run(tmp_path, images(tmp_path, given | {"02.jpg": half_photo()}), backbone)
    for manifest in result.manifests.values():
        assert [(reject.image_id, reject.reason) for reject in manifest.rejects] == [("02.jpg", "truncated")]
        assert (manifest.rows_in, manifest.rows_out) == (10, 9)
    del given["02.jpg"]
    rows = open_table(tmp_path / DINOV2).read()
    assert rows.schema.field("embedding").type == pa.list_(pa.float32(), 32)
    assert json.loads(rows.schema.metadata[b"resolution"]) == [56, 56]
    assert rows["image_id"].to_pylist() == list(given)
    assert names_in(tmp_path / DCT) == list(given)
    assert rows["observation_id"].to_pylist() == [f"o{n // 2}" for n in range(10) if n != 2]
    assert rows["class_id"].to_pylist() == [n % 3 for n in range(10) if n != 2]
    for position, data in enumerate(given.values()):
        alone = describe(backbone, backbone.preprocessing.resized(decode(data))[None])
        for label, feature in VECTORS[DINOV2].items():
            vector = column(tmp_path, DINOV2, label)[position]
            np.testing.assert_allclose(vector, getattr(alone, feature)[0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(column(tmp_path, DCT)[position], alone.dct[0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("bad", [half_photo(), b"no photo"], ids=["found here", "found at ingest"])
def test_a_shard_without_a_readable_photo_is_an_empty_one(tmp_path: Path, backbone: Backbone, bad: bytes):
    given = {f"bad-{n}.jpg": bad + bytes(n) for n in range(4)} | photos(2)
    result = run(tmp_path, images(tmp_path, given), backbone)
    assert [shard.rows for shard in result.manifests[DINOV2].shards] == [0, 2]
    assert column(tmp_path, DCT).shape == (2, 64)


def test_tables_can_be_made_one_at_a_time(tmp_path: Path, backbone: Backbone):
    table = images(tmp_path, photos(5))
    apart = digests(run(tmp_path, table, backbone, DCT)) | digests(run(tmp_path, table, backbone, DINOV2))
    assert apart == digests(run(tmp_path / "together", table, backbone))


def test_another_batch_size_or_backbone_is_another_table(
    tmp_path: Path, backbone: Backbone, backbone_folders: dict[str, Path]
):
    table, vit = images(tmp_path, photos(5)), open_backbone(str(backbone_folders["vit"]), device="cpu")
    runs = [
        run(tmp_path, table, backbone),
        run(tmp_path, table, backbone, batch_size=3),
        run(tmp_path, table, vit),
    ]
    assert [one.computed for one in runs] == [5, 5, 5]
    assert len({one.manifests[DCT].fingerprint for one in runs}) == 3


def test_a_table_of_the_version_before_is_made_anew(
    tmp_path: Path, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
):
    table = images(tmp_path, photos(3))
    with monkeypatch.context() as before:
        before.setattr("snake_assets.vision.embedding.tables.EMBEDDING_VERSION", 3)
        before.setitem(VECTORS, DINOV2, {"embedding": "cls", "patch_mean": "patch_mean"})
        assert run(tmp_path, table, backbone).computed == 3
    assert run(tmp_path, table, backbone).computed == 3
    assert column(tmp_path, DINOV2, "middle_mean").shape == (3, 32)


@pytest.mark.parametrize(
    "change",
    [{"read_ahead": 5, "decoders": 3}, {"processes": "always", "decoders": 1}, {"devices": ("cpu", "cpu")}],
)
def test_how_it_is_run_changes_no_row_and_no_recipe(tmp_path: Path, backbone: Backbone, change: dict):
    table = images(tmp_path, photos(9))
    one, other = run(tmp_path / "one", table, backbone), run(tmp_path / "other", table, backbone, **change)
    assert digests(other) == digests(one)
    assert other.devices == change.get("devices", ("cpu",))


def test_the_stages_and_the_progress_are_told_of(tmp_path: Path, backbone: Backbone):
    told: list[tuple[int, int]] = []
    folders = {DCT: tmp_path / DCT}
    table, settings = images(tmp_path, photos(6)), EmbeddingSettings(batch_size=4)
    result = embed(table, folders, backbone, settings, lambda done, of: told.append((done, of)))
    assert told == [(4, 6), (6, 6)]
    assert set(result.stages) == {*STAGES, DCT_STAGE}
    assert all(seconds > 0 for seconds in result.stages.values())
    assert result.shares["model"] <= 1 and result.peak_device_bytes is None


def test_added_and_changed_photos_alone_are_computed_and_the_rest_is_copied(
    tmp_path: Path, backbone: Backbone
):
    given = photos(21)
    before = {name: data for name, data in given.items() if int(name[:2]) % 7}
    run(tmp_path, images(tmp_path, before | {"05.jpg": encode(picture(90, 80, 99))}), backbone)
    everything = images(tmp_path, given)
    again = run(tmp_path, everything, backbone)
    assert (again.computed, again.copied) == (4, 17)
    assert names_in(tmp_path / DINOV2) == list(given)
    rows = open_table(tmp_path / DINOV2).read(["sha256"])
    assert rows["sha256"].to_pylist() == everything.read(["sha256"])["sha256"].to_pylist()
    run(tmp_path / "afresh", everything, backbone)
    for name in (DINOV2, DCT):
        afresh = column(tmp_path / "afresh", name)
        np.testing.assert_allclose(column(tmp_path, name), afresh, rtol=1e-3, atol=1e-3)


def test_a_second_pass_and_removed_photos_cost_nothing(
    tmp_path: Path, backbone: Backbone, backbone_folders: dict[str, Path]
):
    given = photos(9)
    table = images(tmp_path, given)
    first, second = run(tmp_path, table, backbone), run(tmp_path, table, backbone)
    assert (first.computed, second.computed, second.manifests) == (9, 0, first.manifests)
    fewer = {name: data for name, data in given.items() if name != "03.jpg"}
    unloaded = open_backbone(str(backbone_folders["dinov2"]), device="cpu", precision="fp32")
    assert run(tmp_path, images(tmp_path, fewer), unloaded, compiled="always").computed == 0
    assert "model" not in vars(unloaded)
    assert names_in(tmp_path / DCT) == list(fewer)


def test_identical_photos_are_computed_once(tmp_path: Path, backbone: Backbone):
    given = photos(6)
    copies = {"00.jpg": given["05.jpg"], "03.jpg": half_photo(), "04.jpg": half_photo()}
    result = run(tmp_path, images(tmp_path, given | copies, shard_rows=2), backbone)
    # Five different contents, one of them not to be decoded.
    assert (result.computed, result.copied) == (4, 1)
    assert names_in(tmp_path / DINOV2) == ["00.jpg", "01.jpg", "02.jpg", "05.jpg"]
    assert (column(tmp_path, DINOV2)[0] == column(tmp_path, DINOV2)[3]).all()
    rejects = result.manifests[DINOV2].rejects
    assert [(r.image_id, r.reason) for r in rejects] == [("03.jpg", "truncated"), ("04.jpg", "truncated")]


@pytest.mark.real
def test_bf16_tells_the_same_of_real_photos(shared_data: Path, tmp_path: Path):
    from snake_assets.snakeclef.metadata import read_metadata, read_venom_list

    root = shared_data / "philippine-snakes"
    venomous = read_venom_list(root / "metadata" / "venomous_status_list.csv")
    ingest(read_metadata(root, "val", venomous), find_photos(root, "val"), "val", tmp_path / "images")
    vectors = {}
    for precision in ("fp32", "bf16"):
        model = open_backbone(
            str(shared_data / "weights" / "vit-tiny-imagenet"), device="cpu", precision=precision
        )
        run(tmp_path / precision, open_table(tmp_path / "images"), model, DINOV2, batch_size=32)
        vectors[precision] = column(tmp_path / precision, DINOV2)
    one, other = vectors["fp32"], vectors["bf16"]
    cosine = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert cosine.mean() >= 0.9995
    assert cosine.min() >= 0.998


def test_of_a_backbone_that_was_tuned_each_photo_says_whether_it_was_seen(
    tmp_path: Path, backbone: Backbone, backbone_folders: dict[str, Path]
):
    table = images(tmp_path, photos(6))
    digests = table.read(["sha256"])["sha256"].to_pylist()
    folder = Path(shutil.copytree(backbone_folders["dinov2"], tmp_path / "tuned"))
    (folder / SEEN_FILE).write_text(f"{digests[1]}\n{digests[4]}\n")
    tuned = open_backbone(str(folder), device="cpu", precision="fp32")
    run(tmp_path, table, tuned)
    for name in (DINOV2, DCT):
        seen = open_table(tmp_path / name).read(["seen"])["seen"].to_pylist()
        assert seen == [False, True, False, False, True, False]
    read = read_splits([open_table(tmp_path / DINOV2)])
    assert read.seen.tolist() == seen and read.rows(np.array([1, 2])).seen.tolist() == [True, False]
    frozen = tmp_path / "frozen"
    run(frozen, table, backbone)
    assert read_splits([open_table(frozen / DINOV2)]).seen is None
    made = [open_table(root / DINOV2).manifest.recipe for root in (tmp_path, frozen)]
    assert made[0]["tuned_on"] != made[1].get("tuned_on"), "so that their tables are kept apart"
