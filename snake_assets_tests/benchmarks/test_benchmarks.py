"""Every benchmark in its smallest form: it runs, and its last line says what it promises. Never timings."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks import (
    classifier,
    common,
    dct,
    detect,
    embedding,
    ingest,
    official,
    ray,
    resize,
    scale,
    synthetic,
    whole,
)
from benchmarks.backbones import flops_per_photo
from snake_assets.snakeclef.metadata import SPLITS, VENOM_LIST, read_metadata, read_venom_list
from snake_assets.snakeclef.raw.photo_files import find_photos
from snake_assets.vision.decoding.decode import decode, probe
from snake_assets_tests.conftest import photo_bytes
from snake_assets_tests.detection.detectors import save_detector
from snake_assets_tests.learning.tables import VENOMOUS, species_table

Main = Callable[[list[str]], dict[str, object]]


@pytest.fixture
def measured(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, small_set: Path
) -> Callable[..., dict[str, object]]:
    """Runs a benchmark on drawn photos: what it printed as its last line, and left nothing behind."""

    def run(main: Main, *arguments: str, rounds: int = 2, disk: bool = True) -> dict[str, object]:
        places = ["--sources", str(small_set), "--work", str(tmp_path)] if disk else []
        returned = main([*arguments, *places, "--rounds", str(rounds)])
        printed = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert printed == returned
        assert not list(tmp_path.iterdir())
        return printed

    return run


def assert_ratio(result: dict[str, object], name: str) -> None:
    assert 0 < result[f"{name}_min"] <= result[name] <= result[f"{name}_max"]


def call(function: Callable[..., object], *given: object) -> object:
    """In place of a fresh process, which test_ingest shows to work: here it would import for seconds."""
    return function(*given)


# Seconds, processor seconds and losses of two arms.


def test_dct(measured):
    result = measured(dct.main, "--photos", "2", "--repeats", "2", "--batches", "2", disk=False)
    assert result["max_relative_error"] < 1e-3
    assert result["ours_s_per_image"] > 0 and result["scipy_s_per_image"] > 0
    assert_ratio(result, "speedup")
    assert_ratio(result, "speedup_over_float64")


def test_resize(measured):
    result = measured(resize.main, "--photos", "3")
    assert result["photo_count"] == 3 and result["ours_ms"] > 0 and result["pil_ms"] > 0
    assert_ratio(result, "speedup")
    assert 0 <= result["differing"] < 0.02 and result["largest_difference"] <= 2


@pytest.mark.daemon
def test_ray(measured):
    result = measured(ray.main, "--photos", "6", "--batch-size", "2", "--milliseconds", "50", rounds=1)
    rates, costs = ("here_img_s", "ray_1_img_s", "ray_2_img_s"), ("start_s", "first_batch_s")
    for name in (*rates, *costs, "pack_ms", "store_ms"):
        assert result[name] > 0
    assert_ratio(result, "ray_over_here")
    assert_ratio(result, "scaling_1_to_2")


def test_ingest(measured):
    result = measured(ingest.main, "--files", "40", "--megabytes", "0.5")
    assert result["files"] >= 40 and result["megabytes"] >= 0.5
    assert result["ingest_mb_s"] > 0 and result["copy_mb_s"] > 0
    assert result["peak_rss_half_mb"] > 10 and result["peak_rss_full_mb"] > 10
    assert_ratio(result, "ingest_over_copy")
    assert_ratio(result, "ingest_over_one_file")


def test_embedding(measured, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(embedding, "in_fresh_process", call)
    result = measured(
        embedding.main,
        *("--photos", "5", "--paper-photos", "2", "--batch-size", "2", "--layers", "1"),
        *("--device", "cpu", "--precision", "fp32", "--compiled", "never"),
    )
    for rate in ("forward_img_s", "pipeline_img_s", "paper_img_s", "matmul_tflops"):
        assert result[rate] > 0
    for ratio in ("pipeline_over_forward", "pipeline_over_paper", "model_flops_utilisation"):
        assert_ratio(result, ratio)
    assert (result["device"], result["precision"]) == ("cpu", "fp32")
    # Three vectors of 768, 768 and 64 float32 against 257 x 768 of them.
    assert 4 * (768 + 768 + 64) < result["bytes_per_image"] < 20_000
    assert result["paper_bytes_per_image"] > 4 * 257 * 768
    assert result["peak_rss_mb"] > 10


def test_whole(measured, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(whole, "in_fresh_process", call)
    monkeypatch.setattr(embedding, "MATMUL_SECONDS", 0.1)
    result = measured(
        whole.main,
        *("--photos", "7", "--batch-size", "2", "--layers", "1", "--device", "cpu", "--precision", "fp32"),
        rounds=1,
    )
    assert (result["photos"], result["device"], result["batch_size"]) == (7, "cpu", 2)
    assert 0 < result["first_batch_s"] < result["seconds"]
    assert result["img_s"] == pytest.approx(7 / result["seconds"], rel=1e-3)
    assert result["steady_img_s"] == pytest.approx(
        5 / (result["seconds"] - result["first_batch_s"]), rel=1e-2
    )
    for rate in ("forward_img_s", "matmul_tflops", "model_flops_utilisation", "steady_over_forward"):
        assert result[rate] > 0
    assert {"decoding", "model", "DCT", "writing"} <= set(result["shares"])
    assert 4 * (768 + 768 + 64) < result["bytes_per_image"] < 20_000


def test_scale(measured, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scale, "in_fresh_process", call)
    result = measured(scale.main, "--sizes", "40", rounds=1)
    assert result["sizes"] == [40]
    assert result["seconds_per_photo"][0] > 0 and result["cpu_seconds_per_photo"][0] > 0
    assert result["peak_rss_mb"][0] > 10 and result["fixed_cost_s"] > 0
    assert result["spread_of_time"] == result["spread_of_memory"] == 0


def test_classifier(measured, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(classifier, "in_fresh_process", call)
    result = measured(
        classifier.main, *("--splits", "0", "--photos", "400", "--classes", "8", "--dims", "6"), disk=False
    )
    assert result["official_seconds"] > 0 and result["official_cpu_seconds"] > 0
    assert 0 < result["official_track1_on_folds"] <= 100
    assert result["official_peak_mb"] > 10


def test_the_classifiers_arms_answer_the_same_held_out_observations():
    table = species_table(observations=10, photos=3, spread=2.0)
    table = replace(table, blocks={**table.blocks, "dct": table.blocks["patch_mean"]})
    table.sha256[0] = table.sha256[-1]
    train, test = classifier.halves(table, 0)
    assert not set(train.observation_id) & set(test.observation_id)
    assert not set(train.sha256) & set(test.sha256)
    assert len(set(test.observation_id)) == 12
    found = classifier.measure_real(table, VENOMOUS, 2)
    assert found["track1_over_logreg"] == pytest.approx(found["track1"] - found["logreg_track1"], abs=0.011)
    low, high = found["track1_over_paper_interval"]
    assert low <= found["track1_over_paper"] <= high
    assert classifier.t_interval(np.array([1.0])) is None


def test_detect(measured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(detect, "REAL_WEIGHTS", tmp_path / "absent.pt")
    monkeypatch.setattr(detect, "untrained_weights", save_detector)
    result = measured(
        detect.main,
        *("--photos", "5", "--batch-size", "2", "--image-size", "64", "--device", "cpu"),
        rounds=1,
    )
    assert result["forward_img_s"] > 0 and result["predict_img_s"] > 0
    for ratio in ("pipeline_over_forward", "pipeline_over_predict", "pipeline_over_batched"):
        assert_ratio(result, ratio)
    assert (result["weights"], result["photo_count"]) == ("untrained", 5)


def test_drawn_features_have_the_counts_asked_for():
    counts = synthetic.power_law_counts(50, 1_000)
    assert counts.sum() == 1_000 and counts.min() >= 3 and (np.diff(counts) <= 0).all()
    drawn = synthetic.draw_features(counts, dims=8, seed=3)
    assert (np.bincount(drawn.labels) == counts).all()
    assert drawn.features.shape == (1_000, 8) and drawn.features.dtype == np.float32
    assert (drawn.features == synthetic.draw_features(counts, dims=8, seed=3).features).all()
    with pytest.raises(ValueError, match="do not give"):
        synthetic.power_law_counts(50, 100)


def test_spread_is_the_largest_over_the_smallest():
    assert scale.spread([2.0, 3.0, 2.5]) == 0.5


def test_the_operations_of_dinov2_base_are_counted():
    from transformers import Dinov2Config

    # 86.6 M weights; those of the layers (85.0 M) meet each of 257 tokens once, two operations each.
    weights = 2 * 257 * 12 * (4 * 768**2 + 2 * 768 * 3072)
    patches = 2 * 256 * 3 * 14**2 * 768
    attention = 12 * 2 * 2 * 257**2 * 768
    assert flops_per_photo(Dinov2Config(), 256) == weights + patches + attention


def test_ratios_are_of_the_same_round():
    ratio = common.Ratio.of([10.0, 2.0, 30.0], [5.0, 2.0, 10.0])
    assert (ratio.median, ratio.least, ratio.most) == (2.0, 1.0, 3.0)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_marked_photos_differ_in_bytes_and_not_in_pixels(kind: str):
    photo = photo_bytes(kind=kind)
    first, second = common.marked(photo, 1), common.marked(photo, 2)
    assert len({photo, first, second}) == 3
    probe(first)
    assert (decode(first) == decode(photo)).all()


def test_without_real_photos_a_set_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def draw(root: Path, *, share: float) -> None:
        root.mkdir()
        (root / "whole.jpg").write_bytes(photo_bytes())
        (root / "broken.jpg").write_bytes(b"no photo")

    monkeypatch.setattr(common, "draw_demo_set", draw)
    sources = common.photo_sources(None, [tmp_path / "absent"], tmp_path)
    assert sources.origin == "drawn"
    assert [path.name for path in sources.files] == ["whole.jpg"]


def test_the_made_up_set_is_of_the_official_size():
    photos = official.plan_set(1.0)
    of_test = photos["subset"] == "test"
    labelled = photos.filter(~of_test)
    assert (len(labelled), labelled["class_id"].n_unique()) == (182_261, 1_784)
    assert labelled["observation_id"].n_unique() == 103_404
    assert dict(photos["subset"].value_counts().iter_rows())["val"] == 14_117
    for name in ("subset", "class_id"):
        assert (photos.group_by("observation_id").agg(pl.col(name).n_unique())[name] == 1).all()
    assert labelled.filter(subset="train")["class_id"].n_unique() == 1_784


def test_the_made_up_set_is_read_as_the_official_one_and_no_two_photos_are_alike(tmp_path: Path):
    planned = official.plan_set(0.002)
    official.write_set(planned, tmp_path)
    venomous = read_venom_list(tmp_path / "metadata" / VENOM_LIST)
    photos = []
    for split in SPLITS:
        rows = read_metadata(tmp_path, split, venomous)
        assert {row.official_path for row in rows} == {file.path for file in find_photos(tmp_path, split)}
        photos += [(tmp_path / row.official_path).read_bytes() for row in rows]
    assert len(planned) == len(photos) == len(set(photos))


@pytest.mark.daemon
def test_official(capsys: pytest.CaptureFixture[str]):
    returned = official.main(["--share", "0.002"])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == returned
    steps, checks = returned["steps"], returned["checks"]
    assert {"raw_images", "embeddings", "species_classifier", "submission", "submission_checks"} <= set(steps)
    assert all(value > 0 for cost in steps.values() for value in cost.values())
    assert "dinov2_embeddings.photos_in_one_split" in checks
    assert returned["slowest_check_s"] == max(checks.values())
    assert returned["photos"]["val"] > 0 and returned["track1"] > 50
