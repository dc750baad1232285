"""Every benchmark in its smallest form: it runs, and its last line says what it promises. Never timings."""

import json
import re
import sys
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
    near_copies,
    official,
    ray,
    resize,
    review,
    scale,
    whole,
)
from benchmarks.backbones import flops_per_photo
from snake_assets.snakeclef.metadata import SPLITS, VENOM_LIST, read_metadata, read_venom_list
from snake_assets.snakeclef.raw.photo_files import find_photos
from snake_assets.vision.decoding.decode import decode, probe
from snake_assets_tests.conftest import photo_bytes
from snake_assets_tests.detection.detectors import save_detector
from snake_assets_tests.learning.tables import VENOMOUS, species_table

MEASURED = re.compile(r"(_img_s|_ms|_mb|_mb_s|_tflops|_s|seconds|_s_per_image|seconds_per_photo)$")
Main = Callable[[list[str]], dict[str, object]]


@pytest.fixture
def measured(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, small_set: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, object]]:
    """Runs a benchmark on drawn photos: what it printed as its last line, and left nothing behind.

    Whatever is a rate, a time or a size is above zero, and a ratio lies between its least and its most.
    """

    def run(main: Main, options: str, rounds: int = 2, disk: bool = True) -> dict[str, object]:
        module = sys.modules[main.__module__]
        # Fresh processes would import for seconds each; that they work, test_ingest shows.
        if main is not ingest.main and hasattr(module, "in_fresh_process"):
            monkeypatch.setattr(module, "in_fresh_process", lambda function, *given: function(*given))
        places = ["--sources", str(small_set), "--work", str(tmp_path)] if disk else []
        returned = main([*options.split(), *places, "--rounds", str(rounds)])
        printed = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert printed == returned
        assert not list(tmp_path.iterdir())
        for name, value in printed.items():
            if MEASURED.search(name) and name != "peak_device_mb":
                assert np.min(value) > 0, name
            if f"{name}_min" in printed:
                assert 0 < printed[f"{name}_min"] <= value <= printed[f"{name}_max"], name
        return printed

    return run


def test_dct(measured):
    result = measured(dct.main, "--photos 2 --repeats 2 --batches 2", disk=False)
    assert result["max_relative_error"] < 1e-3
    assert {"speedup", "speedup_over_float64", "ours_s_per_image", "scipy_s_per_image"} <= result.keys()


def test_near_copies(small_set: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = near_copies.main(["--sources", str(small_set), "--copied", "4"])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == json.loads(json.dumps(result))
    assert result["origin"] == "given" and result["copies"] >= 4 * len(near_copies.WAYS)
    assert result["found"] >= 0.95 and result["found_mirrored"] < 0.5
    assert result["joined"] < 0.01 * result["pairs"]


def test_resize(measured):
    result = measured(resize.main, "--photos 3")
    assert result["photo_count"] == 3 and {"ours_ms", "pil_ms", "speedup"} <= result.keys()
    assert 0 <= result["differing"] < 0.02 and result["largest_difference"] <= 2


@pytest.mark.daemon
def test_ray(measured):
    result = measured(ray.main, "--photos 6 --batch-size 2 --milliseconds 50", rounds=1)
    assert {"here_img_s", "ray_1_img_s", "ray_2_img_s", "start_s", "first_batch_s"} <= result.keys()
    assert {"pack_ms", "store_ms", "ray_over_here", "scaling_1_to_2"} <= result.keys()


def test_ingest(measured):
    result = measured(ingest.main, "--files 40 --megabytes 0.5")
    assert result["files"] >= 40 and result["megabytes"] >= 0.5
    assert {"ingest_mb_s", "copy_mb_s", "peak_rss_half_mb", "peak_rss_full_mb"} <= result.keys()
    assert {"ingest_over_copy", "ingest_over_one_file"} <= result.keys()


def test_embedding(measured):
    result = measured(
        embedding.main,
        "--photos 5 --paper-photos 2 --batch-size 2 --layers 1 "
        "--device cpu --precision fp32 --compiled never",
    )
    assert {"forward_img_s", "pipeline_img_s", "paper_img_s", "matmul_tflops"} <= result.keys()
    assert {"pipeline_over_forward", "pipeline_over_paper", "model_flops_utilisation"} <= result.keys()
    assert (result["device"], result["precision"]) == ("cpu", "fp32")
    # Three vectors of 768, 768 and 64 float32 against 257 x 768 of them.
    assert 4 * (768 + 768 + 64) < result["bytes_per_image"] < 20_000
    assert result["paper_bytes_per_image"] > 4 * 257 * 768


def test_whole(measured, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(embedding, "MATMUL_SECONDS", 0.1)
    options = "--photos 7 --batch-size 2 --layers 1 --device cpu --precision fp32"
    result = measured(whole.main, options, rounds=1)
    assert (result["photos"], result["device"], result["batch_size"]) == (7, "cpu", 2)
    assert result["first_batch_s"] < result["seconds"]
    assert result["img_s"] == pytest.approx(7 / result["seconds"], rel=1e-3)
    steady = result["seconds"] - result["first_batch_s"]
    assert result["steady_img_s"] == pytest.approx(5 / steady, rel=1e-2)
    assert min(result["model_flops_utilisation"], result["steady_over_forward"]) > 0
    assert {"decoding", "model", "DCT", "writing"} <= set(result["shares"])
    assert 4 * (768 + 768 + 64) < result["bytes_per_image"] < 20_000


def test_scale(measured):
    result = measured(scale.main, "--sizes 40", rounds=1)
    assert result["sizes"] == [40] and result["fixed_cost_s"] > 0
    assert {"seconds_per_photo", "cpu_seconds_per_photo", "peak_rss_mb"} <= result.keys()
    assert result["spread_of_time"] == result["spread_of_memory"] == 0


def test_classifier(measured):
    options = "--splits 0 --photos 400 --classes 8 --dims 6"
    result = measured(classifier.main, options, disk=False)
    assert {"official_seconds", "official_cpu_seconds", "official_peak_mb"} <= result.keys()
    assert 0 < result["official_track1_on_folds"] <= 100


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


def test_what_logit_adjustment_gains_on_a_long_tail():
    table = species_table(observations=30, photos=3, spread=2.0)
    tail = classifier.long_tail(table, 0)
    assert sorted(np.unique(tail.class_id, return_counts=True)[1].tolist()) == [3, 8, 22, 60]
    found = classifier.measure_long_tail(table, VENOMOUS, 2)
    low, high = found["long_tail_f1_over_unadjusted_interval"]
    assert low <= found["long_tail_f1_over_unadjusted"] <= high and 0 < found["long_tail_track1"] <= 100


def test_review_counts_the_labels_of_arms_that_begin_alike():
    table = species_table(observations=12, photos=2, spread=3.0)
    train, _ = classifier.halves(table, 0)
    begin = review.beginning(train, np.random.default_rng(0))
    assert len({train.observation_id[row] for row in begin.tolist()}) == len(begin) == 2 * len(VENOMOUS)
    found = review.measure(table, VENOMOUS, 2, 1)
    assert all(len(begin) <= labels <= len(train) for labels in found["labels"].values())
    low, high = found["interval"]
    assert low <= found["labels_ratio"] <= high


def test_detect(measured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(detect, "REAL_WEIGHTS", tmp_path / "absent.pt")
    monkeypatch.setattr(detect, "untrained_weights", save_detector)
    result = measured(detect.main, "--photos 5 --batch-size 2 --image-size 64 --device cpu", rounds=1)
    assert {"forward_img_s", "predict_img_s", "pipeline_over_forward"} <= result.keys()
    assert {"pipeline_over_predict", "pipeline_over_batched"} <= result.keys()
    assert (result["weights"], result["photo_count"]) == ("untrained", 5)


def test_the_operations_of_dinov2_base_are_counted():
    from transformers import Dinov2Config

    # 86.6 M weights; those of the layers (85.0 M) meet each of 257 tokens once, two operations each.
    weights = 2 * 257 * 12 * (4 * 768**2 + 2 * 768 * 3072)
    patches = 2 * 256 * 3 * 14**2 * 768
    attention = 12 * 2 * 2 * 257**2 * 768
    assert flops_per_photo(Dinov2Config(), 256) == weights + patches + attention


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_marked_photos_differ_in_bytes_and_not_in_pixels(kind: str):
    photo = photo_bytes(kind=kind)
    first, second = common.marked(photo, 1), common.marked(photo, 2)
    assert len({photo, first, second}) == 3
    probe(first)
    assert (decode(first) == decode(photo)).all()


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
def test_official(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(official, "MODULE", "snake_assets_tests.quick")  # as it is, `make demo` runs it
    returned = official.main(["--share", "0.002"])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == returned
    steps, checks = returned["steps"], returned["checks"]
    assert {"raw_images", "embeddings", "species_classifier", "submission", "submission_checks"} <= set(steps)
    assert all(value > 0 for cost in steps.values() for value in cost.values())
    assert "dinov2_embeddings.photos_in_one_split" in checks
    assert returned["slowest_check_s"] == max(checks.values())
    assert returned["photos"]["val"] > 0 and returned["track1"] > 50
