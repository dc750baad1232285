"""The whole graph on a small drawn set, and what users meet when a setting or a file is wrong."""

import csv
import dataclasses
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest

from benchmarks.layouts import LAYOUTS, compare
from snake_assets.definitions import build_definitions
from snake_assets.defs.automation.staleness import stale_answers
from snake_assets.defs.resources.backbone import BackboneSetting
from snake_assets.defs.resources.finder import Crops
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.errors import LearningError
from snake_assets.learning.evaluation.history import read_history
from snake_assets.snakeclef.metadata import read_venom_list
from snake_assets.storage.bundles import open_bundle
from snake_assets.storage.tables.table import open_table
from snake_assets.summary import summary

SPLITS = ("train", "val", "test")
QUICK_CONFIG = {"folds": 3}
QUICK = {"ops": {"species_classifier": {"config": QUICK_CONFIG}}}
EVERY_SPLIT = {"dagster/asset_partition_range_start": "train", "dagster/asset_partition_range_end": "test"}


def definitions(
    data: Path, store: Path, backbone: Path, others: Mapping[str, object] | None = None
) -> dg.Definitions:
    return build_definitions(
        resources={
            "raw_data": RawData(root=str(data)),
            "store": Store(root=str(store)),
            "backbone": BackboneSetting(name=str(backbone), device="cpu"),
            **(others or {}),
        }
    )


def run_job(
    definitions: dg.Definitions,
    job: str | Sequence[str] | dg.AssetSelection = "snakeclef",
    tags: Mapping[str, str] | None = None,
    **kwargs: object,
) -> dg.ExecuteInProcessResult:
    """Run a job, or some assets or checks alone."""
    if not isinstance(job, str):
        alone = dg.define_asset_job("alone", selection=job)
        definitions, job = dg.Definitions.merge(definitions, dg.Definitions(jobs=[alone])), "alone"
    with dg.DagsterInstance.ephemeral() as instance:
        return definitions.resolve_job_def(job).execute_in_process(instance=instance, tags=tags, **kwargs)


def metadata(result: dg.ExecuteInProcessResult, asset: str, split: str | None = None) -> dict[str, object]:
    for event in result.get_asset_materialization_events():
        found = event.step_materialization_data.materialization
        if found.asset_key == dg.AssetKey(asset) and found.partition == split:
            return {key: value.value for key, value in found.metadata.items()}
    raise AssertionError(f"{asset} of {split} was not materialized")


def test_one_run_makes_all_and_rows_in_are_rows_out_and_rejects(finished_run):
    store, result = finished_run
    assert result.success
    assert {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()} == {
        *("raw_images", "image_table", "yolo_crops", "dinov2_embeddings", "dct_embeddings"),
        *("crop_embeddings", "species_classifier", "final_classifier", "validation_report", "submission"),
        *("embedding_map", "species_histogram"),
    }
    for split in SPLITS:
        images = open_table(store / "image_table" / split)
        reasons = {reject.reason for reject in images.manifest.rejects}
        assert reasons == {"missing", "empty", "truncated", "not_an_image"}
        for name in ("dinov2_embeddings", "dct_embeddings"):
            table = open_table(store / name / split)
            assert table.manifest.rows_in == images.manifest.rows_out
            assert table.read(["image_id"]).equals(images.read(["image_id"]))


def test_submission_has_every_observation_in_order(finished_run, small_set: Path):
    store, result = finished_run
    rows = list(csv.DictReader((store / "submission" / "submission.csv").open()))
    with (small_set / "metadata" / "SnakeCLEF2024-TestMetadata.csv").open() as file:
        asked = dict.fromkeys(row["observation_id"] for row in csv.DictReader(file))
    assert [row["observation_id"] for row in rows] == list(asked)
    known = read_venom_list(small_set / "metadata" / "venomous_status_list.csv")
    assert {int(row["class_id"]) for row in rows} <= set(known)
    (unreadable,) = json.loads((store / "submission" / "origin.json").read_text())["unreadable_observations"]
    assert unreadable in metadata(result, "submission")["unreadable_observations"]


def test_report_scores_every_observation_of_val(finished_run):
    store, result = finished_run
    scores = json.loads((store / "validation_report" / "scores.json").read_text())
    rows = pq.read_table(store / "validation_report" / "predictions.parquet").to_pylist()
    assert len(rows) == scores["observations"]
    assert scores["accuracy"] > 2 * scores["chance"]["accuracy"]
    assert scores["track1"] > scores["chance"]["track1"]
    assert metadata(result, "validation_report")["track1"] == scores["track1"]


def test_what_a_person_wants_to_see_is_shown(finished_run):
    store, result = finished_run
    page = (store / "validation_report" / "report.html").read_text()
    predictions = pq.read_table(store / "validation_report" / "predictions.parquet").to_pylist()
    mistakes = sum(row["class_id"] != row["predicted"] for row in predictions)
    # A photo and its nearest training photos for each of the ten mistakes that are explained.
    assert page.count("data:image/jpeg;base64,") >= 5 * min(mistakes, 10)
    assert page.count("data:image/png;base64,") == 3
    assert len(page) < 3_000_000
    report, images = metadata(result, "validation_report"), metadata(result, "image_table", "val")
    pictures = [
        report[name] for name in ("scores_with_intervals", "venomous_against_harmless", "reliability")
    ]
    pictures += [report["most_costly_mistakes"], report["scores_over_reports"], images["thumbnails"]]
    assert all("data:image/webp;base64," in picture for picture in pictures)
    assert report["report"].endswith("report.html")
    ways = [f"decided by {rule}" for rule in ("argmax", "track1", "track2")]
    ways += ["the classifier", "the head alone", "the nearest photos alone"]
    assert all(name in page and name in report["variants"] for name in ways)
    assert images["dagster/row_count"] + images["rejects"] == images["metadata_rows"]
    assert "class_id" in images["class_balance"] and "empty" in images["rejected"]
    vectors = metadata(result, "dinov2_embeddings", "train")
    assert vectors["images_per_second"] > 0 and vectors["bytes"] > 0


def test_the_notebook_page_runs_as_it_stands(finished_run, monkeypatch: pytest.MonkeyPatch):
    store, _ = finished_run
    page = (Path(__file__).parents[3] / "docs" / "notebook.md").read_text()
    code = "\n".join(part.split("```")[0] for part in page.split("```python")[1:])
    monkeypatch.chdir(store.parent)
    named: dict[str, object] = {}
    exec(code.replace('Path(".snake/store")', f"Path({store.name!r})"), named)
    found = named["found"]
    assert found.top5_class_id.shape == (len(found), 5)
    assert ((found.p_venomous >= 0) & (found.p_venomous <= 1)).all()
    stranger = dataclasses.replace(named["mine"], fingerprint="another backbone")
    with pytest.raises(LearningError, match="another backbone"):
        named["classifier"].identify(stranger)


def test_every_column_of_every_table_is_explained(finished_run):
    _, result = finished_run
    tables = set()
    for event in result.get_asset_materialization_events():
        made = event.step_materialization_data.materialization
        if "dagster/column_schema" in made.metadata:
            tables.add(made.asset_key.to_user_string())
            for column in made.metadata["dagster/column_schema"].schema.columns:
                assert len(column.description or "") > 20, (made.asset_key, column.name)
        if made.asset_key.to_user_string() in tables:
            assert made.metadata["dagster/row_count"].value > 0
    assert tables >= {"raw_images", "image_table", "dinov2_embeddings", "dct_embeddings"}
    assert tables >= {"validation_report", "submission", "species_histogram"}


def test_the_event_log_stays_small(finished_run):
    _, result = finished_run
    made = [
        event.step_materialization_data.materialization for event in result.get_asset_materialization_events()
    ]
    said, checked = (
        sum(len(str(value.value)) for one in told for value in one.metadata.values())
        for told in (made, result.get_asset_check_evaluations())
    )
    # It is kept two to three times; all of the log of such a run is to be below 2 MB.
    assert said < 450_000 and checked < 40_000


def test_the_report_remembers_the_scores_of_the_reports_before_it(own_store: Path, own_graph: dg.Definitions):
    (first,) = read_history(own_store / "validation_report")
    other = {"ops": {"species_classifier": {"config": QUICK_CONFIG | {"rule": "track2", "folds": 2}}}}
    result = run_job(own_graph, "train", run_config=other)
    history = read_history(own_store / "validation_report")
    assert len(history) == 2
    assert history[0] == first
    assert history[1].classifier != first.classifier
    assert history[1].track1 == metadata(result, "validation_report")["track1"]
    assert metadata(result, "species_classifier")["decision_rule"] == "track2"


def test_the_summary_of_a_run(finished_run):
    store, _ = finished_run
    lines = summary(Store(root=str(store))).splitlines()
    scores = json.loads((store / "validation_report" / "scores.json").read_text())
    assert f"{scores['track1']}" in next(line for line in lines if "Track 1" in line)
    for split in SPLITS:
        manifest = open_table(store / "image_table" / split).manifest
        told = next(line.split() for line in lines if line.strip().startswith(split))
        assert told[1:3] == [str(manifest.rows_out), str(len(manifest.rejects))]
    assert any(line.endswith("submission.csv") for line in lines)
    assert sum(line.endswith(".png") for line in lines) == 6
    assert "make dev" in lines[-1]


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and path.name != "_lock"
    }


def test_a_second_run_changes_nothing(finished_run, small_set: Path, demo_backbone: Path):
    store, _ = finished_run
    before = snapshot(store)
    again = run_job(definitions(small_set, store, demo_backbone), run_config=QUICK)
    assert again.success
    assert snapshot(store) == before
    assert metadata(again, "dinov2_embeddings", "train")["photos_computed"] == 0


def test_answers_are_stale_when_one_is_gone_or_its_features_are_others(
    own_store: Path, own_graph: dg.Definitions
):
    store = Store(root=str(own_store))
    assert stale_answers(store, Crops()) is None
    shutil.rmtree(own_store / "submission")
    assert "submission" in stale_answers(store, Crops()).why
    assert run_job(own_graph, run_config=QUICK).success
    assert stale_answers(store, Crops()) is None
    shutil.rmtree(own_store / "dct_embeddings" / "val")
    shutil.copytree(own_store / "dct_embeddings" / "test", own_store / "dct_embeddings" / "val")
    assert "validation_report was made of other features" in stale_answers(store, Crops()).why


@pytest.mark.parametrize(
    ("lacking", "left_out", "made"),
    [("val", "validation_report", "submission"), ("test", "submission", "validation_report")],
)
def test_a_split_that_the_raw_data_lacks_is_left_out_by_name(
    finished_run, small_set: Path, demo_backbone: Path, tmp_path: Path, lacking: str, left_out: str, made: str
):
    data, store = tmp_path / "data", tmp_path / "store"
    shutil.copytree(small_set, data, ignore=shutil.ignore_patterns(f"*{lacking.title()}Metadata*"))
    shutil.rmtree(data / lacking)
    shutil.copytree(finished_run[0], store, ignore=shutil.ignore_patterns(lacking, left_out, made))
    result = run_job(definitions(data, store, demo_backbone), run_config=QUICK)
    assert result.success
    assert (store / made / "_manifest.json").exists()
    assert not (store / left_out).exists()
    assert not list(store.glob(f"*/{lacking}/_manifest.json"))
    for asset, split in (("raw_images", lacking), ("dct_embeddings", lacking), (left_out, None)):
        reason = metadata(result, asset, split)["left_out"]
        assert f"no {lacking} split" in reason and left_out in reason
    there = [split for split in SPLITS if split != lacking]
    assert stale_answers(Store(root=str(store)), Crops(), there) is None
    told = summary(Store(root=str(store)))
    assert (f"  {lacking} " not in told) and ("scores on val" in told) is ("submission.csv" not in told)


def test_a_submission_says_what_it_was_made_from(own_store: Path, own_graph: dg.Definitions):
    origin = json.loads((own_store / "submission" / "origin.json").read_text())["made_from"]
    assert origin["tables"] == {
        name: open_table(own_store / name / "test").manifest.digest
        for name in ("image_table", "dinov2_embeddings", "dct_embeddings")
    }
    final = open_bundle(own_store / "final_classifier")
    assert origin["classifier"] == final.digest
    assert set(final.recipe["embeddings"]) == {"train", "val"}
    assert final.recipe["classifier"] == open_bundle(own_store / "species_classifier").digest
    config = {"ops": {"final_classifier": {"config": {"refit_on_train_and_val": False}}}}
    assert run_job(own_graph, ["final_classifier"], run_config=config).success
    judged, answers = (
        open_bundle(own_store / name).files for name in ("species_classifier", "final_classifier")
    )
    assert judged == answers != final.files


def test_a_classifier_answers_with_nothing_but_itself(
    finished_run, small_set: Path, demo_backbone: Path, tmp_path: Path
):
    store, data = tmp_path / "store", tmp_path / "data"
    shutil.copytree(finished_run[0] / "final_classifier", store / "final_classifier")
    shutil.copytree(small_set / "test", data / "test")
    (data / "metadata").mkdir()
    for name in ("SnakeCLEF2024-TestMetadata.csv", "venomous_status_list.csv"):
        shutil.copy(small_set / "metadata" / name, data / "metadata" / name)
    assert run_job(definitions(data, store, demo_backbone), "predict").success
    answers = (store / "submission" / "submission.csv").read_bytes()
    assert answers == (finished_run[0] / "submission" / "submission.csv").read_bytes()


def test_before_any_photo_is_embedded_predict_says_what_stands_in_its_way(
    finished_run, small_set: Path, demo_backbone: Path, tmp_path: Path
):
    store = tmp_path / "store"
    graph = definitions(small_set, store, demo_backbone)
    with pytest.raises(Exception, match="materialize final_classifier first"):
        run_job(graph, "predict")
    shutil.copytree(finished_run[0] / "final_classifier", store / "final_classifier")
    larger = {"ops": {"embeddings": {"config": {"scale": 2}}}}
    with pytest.raises(Exception, match=r"trained on features of (\S+) .* pixels.* set now is \1 .* pixels"):
        run_job(graph, "predict", run_config=larger)
    cropped = definitions(small_set, store, demo_backbone, {"crops": Crops(mode="owlvit")})
    with pytest.raises(Exception, match="trained without crops, and SNAKE_CROPS is owlvit"):
        run_job(cropped, "predict")
    assert not (store / "dinov2_embeddings").exists()


def test_a_folder_of_a_backbone_may_have_any_name(small_set: Path, demo_backbone: Path, tmp_path: Path):
    folder = tmp_path / "snakes and lizards"
    shutil.copytree(demo_backbone, folder)
    graph = definitions(small_set, tmp_path / "store", folder)
    assert run_job(graph, run_config=QUICK).success
    assert run_job(graph, "predict").success


def test_photos_of_which_a_copy_has_another_species_may_be_left_out(
    finished_run, small_set: Path, demo_backbone: Path, tmp_path: Path
):
    data, store = tmp_path / "data", tmp_path / "store"
    shutil.copytree(small_set, data)
    with (data / "metadata" / "SnakeCLEF2023-TrainMetadata-iNat.csv").open() as file:
        rows = list(csv.DictReader(file))
    other = next(row for row in rows if row["class_id"] != rows[0]["class_id"])
    photos = data / "train" / "SnakeCLEF2023-small_size"
    shutil.copy(photos / rows[0]["image_path"], photos / other["image_path"])
    config = {"ops": {"species_classifier": {"config": QUICK_CONFIG | {"leave_out_copies": True}}}}
    result = run_job(definitions(data, store, demo_backbone), run_config=config)
    told = metadata(result, "species_classifier")["photos_left_out"]
    assert rows[0]["image_path"] in told and other["image_path"] in told
    train, val = (
        open_table(store / "dinov2_embeddings" / split).manifest.rows_out for split in ("train", "val")
    )
    trained, final = (
        len(SpeciesClassifier.load(store / name).neighbours.vectors)
        for name in ("species_classifier", "final_classifier")
    )
    assert (trained, final) == (train - 2, train + val - 2)


@pytest.mark.daemon
@pytest.mark.parametrize("name", LAYOUTS)
def test_the_same_photos_in_another_layout_have_the_same_embeddings_and_scores(
    finished_run, small_set: Path, demo_backbone: Path, tmp_path: Path, name: str
):
    found = compare(name, small_set, finished_run[0], demo_backbone, tmp_path / "work", QUICK)
    assert found["embeddings_equal"] and found["scores_equal"], found
    assert found["photos"].keys() == ({"train", "val"} if name == "dwca" else set(SPLITS))
    if name == "table":
        stores = (tmp_path / "work" / "store", finished_run[0])
        ours, theirs = ((root / "submission" / "submission.csv").read_bytes() for root in stores)
        assert ours == theirs


def test_the_ablation_ends_at_the_classifier_of_the_report(own_store: Path, own_graph: dg.Definitions):
    few = {"ops": {"ablation_study": {"config": {"paper_runs": 2}}}}
    result = run_job(own_graph, "ablation", run_config=few)
    told = json.loads((own_store / "ablation_study" / "ablation.json").read_text())
    report = json.loads((own_store / "validation_report" / "scores.json").read_text())
    assert told["observations"] == report["observations"]
    for name in ("track1", "track2", "f1", "accuracy"):
        assert told["steps"][-1][name] == report[name]
        assert told["steps"][-1]["intervals"][name] == report["intervals"][name]
    assert told["chance"]["species of train"] == report["chance"]
    shown = metadata(result, "ablation_study")
    assert "data:image/webp;base64," in shown["ablation"]
    assert all(step["step"] in shown["table"] for step in told["steps"])
    assert {"ablation.json", "ablation.csv", "ablation.png"} <= {
        path.name for path in (own_store / "ablation_study").iterdir()
    }
    before = snapshot(own_store)
    assert run_job(own_graph, "ablation", run_config=few).success
    assert snapshot(own_store) == before
    larger = {"ops": {"ablation_study": {"config": {"scale": 1.5}}}}
    with pytest.raises(Exception, match="resolution was"):
        run_job(own_graph, "ablation", run_config=larger)


def failing(asset: str, definitions: dg.Definitions, split: str | None = "val") -> str:
    """The message with which an asset fails when it is materialized alone."""
    with pytest.raises(Exception) as caught:
        run_job(definitions, [asset], partition_key=split)
    return str(caught.value)


@pytest.mark.parametrize("root", ["gs://", "ftp://x", "nowhere"])
def test_roots_that_are_no_folder_are_refused_by_name(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SNAKE_DATA", root)
    graph = build_definitions(resources={"store": Store(root=str(tmp_path))})
    message = failing("raw_images", graph)
    assert "SNAKE_DATA" in message and root in message


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SNAKE_BACKBONE", "./no/such/model"),
        ("SNAKE_DEVICE", "toaster"),
        ("SNAKE_PRECISION", "fp1"),
        ("SNAKE_CROPS", "scissors"),
        ("SNAKE_ENGINE", "steam"),
    ],
)
def test_nonsense_settings_fail_at_the_first_asset_that_needs_them(
    finished_run,
    small_set: Path,
    demo_backbone: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
):
    monkeypatch.setenv("SNAKE_BACKBONE", str(demo_backbone))
    monkeypatch.setenv(variable, value)
    broken = definitions(small_set, finished_run[0], demo_backbone, {"backbone": BackboneSetting()})
    assert variable in failing("yolo_crops" if variable == "SNAKE_CROPS" else "dinov2_embeddings", broken)


def test_settings_come_from_the_environment_when_a_run_needs_them(
    small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    graph = build_definitions()
    monkeypatch.setenv("SNAKE_DATA", str(small_set))
    monkeypatch.setenv("SNAKE_STORE", str(tmp_path / "von außen"))
    run_job(graph, ["raw_images"], partition_key="test")
    assert (tmp_path / "von außen" / "raw_images" / "test" / "_manifest.json").exists()


def test_metadata_that_is_gone_or_changed_after_ingest_is_noticed(
    own_store: Path, small_set: Path, demo_backbone: Path, tmp_path: Path
):
    data = shutil.copytree(small_set, tmp_path / "data")
    graph, path = (
        definitions(data, own_store, demo_backbone),
        data / "metadata" / "SnakeCLEF2024-TestMetadata.csv",
    )
    path.write_text(path.read_text() + "999999,new.jpg\n")
    message = failing("submission", graph, None)
    assert "new.jpg" in message and "materialize" in message
    (data / "metadata" / "venomous_status_list.csv").unlink()
    assert "venomous_status_list.csv" in failing("image_table", graph)
