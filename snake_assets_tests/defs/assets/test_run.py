"""The whole graph on a small drawn set, and what users meet when a setting or a file is wrong."""

import csv
import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest

from snake_assets.definitions import build_definitions
from snake_assets.defs.automation.staleness import stale_answers
from snake_assets.defs.resources.backbone import BackboneSetting
from snake_assets.defs.resources.finder import Crops
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.errors import LearningError
from snake_assets.learning.evaluation.history import read_history
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
    job: str = "snakeclef",
    tags: Mapping[str, str] | None = None,
    **kwargs: object,
) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        return definitions.resolve_job_def(job).execute_in_process(instance=instance, tags=tags, **kwargs)


@pytest.fixture(scope="module")
def finished(finished_run) -> tuple[Path, dg.ExecuteInProcessResult]:
    """The store after one run of `snakeclef`, and the run; not to be changed."""
    return finished_run


def metadata(result: dg.ExecuteInProcessResult, asset: str, split: str | None = None) -> dict[str, object]:
    for event in result.get_asset_materialization_events():
        found = event.step_materialization_data.materialization
        if found.asset_key == dg.AssetKey(asset) and found.partition == split:
            return {key: value.value for key, value in found.metadata.items()}
    raise AssertionError(f"{asset} of {split} was not materialized")


def observations(data: Path) -> list[str]:
    with (data / "metadata" / "SnakeCLEF2024-TestMetadata.csv").open() as file:
        return list(dict.fromkeys(row["observation_id"] for row in csv.DictReader(file)))


def test_every_split_is_materialized_by_one_run(finished):
    _, result = finished
    assert result.success
    made = {
        (event.asset_key.to_user_string(), event.partition)
        for event in result.get_asset_materialization_events()
    }
    by_split = {
        "raw_images",
        "image_table",
        "yolo_crops",
        "dinov2_embeddings",
        "dct_embeddings",
        "crop_embeddings",
    }
    whole = {
        "species_classifier", "final_classifier", "validation_report", "submission", "embedding_map",
        "species_histogram",
    }  # fmt: skip
    assert made == {(a, s) for a in by_split for s in SPLITS} | {(a, None) for a in whole}


def test_rows_in_are_rows_out_and_rejects(finished):
    store, _ = finished
    for split in SPLITS:
        images = open_table(store / "image_table" / split)
        assert len(images.manifest.rejects) >= 4
        for name in ("dinov2_embeddings", "dct_embeddings"):
            table = open_table(store / name / split)
            assert table.manifest.rows_in == images.manifest.rows_out
            assert table.read(["image_id"]).equals(images.read(["image_id"]))


def test_submission_has_every_observation_in_order(finished, small_set: Path):
    store, result = finished
    rows = list(csv.DictReader((store / "submission" / "submission.csv").open()))
    assert [row["observation_id"] for row in rows] == observations(small_set)
    with (small_set / "metadata" / "venomous_status_list.csv").open() as file:
        known = {row["class_id"] for row in csv.DictReader(file)}
    assert {row["class_id"] for row in rows} <= known
    (unreadable,) = json.loads((store / "submission" / "origin.json").read_text())["unreadable_observations"]
    assert unreadable in metadata(result, "submission")["unreadable_observations"]
    answer = next(row["class_id"] for row in rows if row["observation_id"] == unreadable)
    classifier = SpeciesClassifier.load(store / "final_classifier")
    costs = {
        int(guess): sum(
            share * (0 if true == guess else 1 if not (bad or poison) else 5 if bad and not poison else 2)
            for true, share, bad in zip(
                classifier.class_ids, classifier.prior, classifier.venomous, strict=True
            )
        )
        for guess, poison in zip(classifier.class_ids, classifier.venomous, strict=True)
    }
    assert costs[int(answer)] == pytest.approx(min(costs.values()))


def test_report_scores_every_observation_of_val(finished):
    store, result = finished
    scores = json.loads((store / "validation_report" / "scores.json").read_text())
    rows = pq.read_table(store / "validation_report" / "predictions.parquet").to_pylist()
    assert len(rows) == scores["observations"]
    right = sum(row["class_id"] == row["predicted"] for row in rows)
    assert scores["accuracy"] == round(100 * right / len(rows), 2)
    assert scores["accuracy"] > 2 * scores["chance"]["accuracy"]
    assert scores["track1"] > scores["chance"]["track1"]
    for row in rows:
        assert 0 <= row["p_venomous"] <= 1
        assert row["top5_probability"] == sorted(row["top5_probability"], reverse=True)
    for name in ("track1", "track2", "f1", "accuracy"):
        low, high = scores["intervals"][name]
        assert low <= scores[name] <= high
    assert metadata(result, "validation_report")["track1"] == scores["track1"]


def test_the_report_is_a_page_with_photos_and_charts(finished):
    store, result = finished
    page = (store / "validation_report" / "report.html").read_text()
    predictions = pq.read_table(store / "validation_report" / "predictions.parquet").to_pylist()
    mistakes = sum(row["class_id"] != row["predicted"] for row in predictions)
    # A photo and its nearest training photos for each of the ten mistakes that are explained.
    assert page.count("data:image/jpeg;base64,") >= 5 * min(mistakes, 10)
    assert page.count("data:image/png;base64,") == 3
    assert len(page) < 3_000_000
    shown = metadata(result, "validation_report")
    for name in ("scores_with_intervals", "venomous_against_harmless", "reliability"):
        assert "data:image/webp;base64," in shown[name]
    assert "data:image/webp;base64," in shown["most_costly_mistakes"]
    assert "data:image/webp;base64," in shown["scores_over_reports"]
    assert shown["report"].endswith("report.html")


def test_every_way_of_answering_has_its_row(finished):
    store, result = finished
    scores = json.loads((store / "validation_report" / "scores.json").read_text())
    names = [row["name"] for row in scores["variants"]]
    assert names[0] == "the classifier"
    for rule in ("argmax", "track1", "track2"):
        assert f"decided by {rule}" in names
    assert {"the head alone", "the nearest photos alone"} <= set(names)
    assert all(set(row) >= {"track1", "track2", "f1", "accuracy", "rates"} for row in scores["variants"])
    page = (store / "validation_report" / "report.html").read_text()
    shown = metadata(result, "validation_report")["variants"]
    assert all(name in page and name in shown for name in names)


def test_the_notebook_page_runs_as_it_stands(finished, monkeypatch: pytest.MonkeyPatch):
    store, _ = finished
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


def test_metadata_that_a_person_wants_to_see(finished):
    _, result = finished
    images = metadata(result, "image_table", "val")
    assert images["dagster/row_count"] + images["rejects"] == images["metadata_rows"]
    assert "data:image/webp;base64," in images["thumbnails"]
    assert "class_id" in images["class_balance"]
    assert "empty" in images["rejected"]
    vectors = metadata(result, "dinov2_embeddings", "train")
    assert vectors["images_per_second"] > 0
    assert vectors["bytes"] > 0
    assert "data:image/webp;base64," in metadata(result, "validation_report")["venomous_against_harmless"]


def test_every_column_of_every_table_is_explained(finished):
    _, result = finished
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


def test_the_event_log_stays_small(finished):
    _, result = finished
    said = sum(
        len(str(value.value))
        for event in result.get_asset_materialization_events()
        for value in event.step_materialization_data.materialization.metadata.values()
    )
    # It is kept two to three times; all of the log of such a run is to be below 2 MB.
    assert said < 450_000


def test_the_report_remembers_the_scores_of_the_reports_before_it(
    finished, small_set: Path, demo_backbone: Path, tmp_path: Path
):
    store = tmp_path / "store"
    shutil.copytree(finished[0], store)
    (first,) = read_history(store / "validation_report")
    other = {"ops": {"species_classifier": {"config": QUICK_CONFIG | {"rule": "track2", "folds": 2}}}}
    result = run_job(definitions(small_set, store, demo_backbone), "train", run_config=other)
    history = read_history(store / "validation_report")
    assert len(history) == 2
    assert history[0] == first
    assert history[1].classifier != first.classifier
    assert history[1].track1 == metadata(result, "validation_report")["track1"]
    assert metadata(result, "species_classifier")["decision_rule"] == "track2"


def test_the_summary_of_a_run(finished):
    store, _ = finished
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


def test_a_second_run_changes_nothing(finished, small_set: Path, demo_backbone: Path):
    store, _ = finished
    before = snapshot(store)
    again = run_job(definitions(small_set, store, demo_backbone), run_config=QUICK)
    assert again.success
    assert snapshot(store) == before
    assert metadata(again, "dinov2_embeddings", "train")["photos_computed"] == 0


def test_the_same_photos_give_the_same_files_elsewhere(
    finished, small_set: Path, demo_backbone: Path, tmp_path: Path
):
    store, _ = finished
    run_job(definitions(small_set, tmp_path / "other", demo_backbone), run_config=QUICK)
    for asset in ("dinov2_embeddings/train", "dct_embeddings/val", "species_classifier", "submission"):
        ours = {name: data for name, (_, data) in snapshot(store / asset).items()}
        theirs = {name: data for name, (_, data) in snapshot(tmp_path / "other" / asset).items()}
        assert ours == theirs


def test_answers_are_stale_when_one_is_gone_or_its_features_are_others(
    finished, small_set: Path, demo_backbone: Path, tmp_path: Path
):
    root = tmp_path / "store"
    shutil.copytree(finished[0], root)
    store, graph = Store(root=str(root)), definitions(small_set, root, demo_backbone)
    assert stale_answers(store, Crops()) is None
    shutil.rmtree(root / "submission")
    assert "submission" in stale_answers(store, Crops()).why
    assert run_job(graph, run_config=QUICK).success
    assert stale_answers(store, Crops()) is None
    shutil.rmtree(root / "dct_embeddings" / "val")
    shutil.copytree(root / "dct_embeddings" / "test", root / "dct_embeddings" / "val")
    assert "validation_report was made of other features" in stale_answers(store, Crops()).why


@pytest.mark.parametrize(
    ("lacking", "left_out", "made"),
    [("val", "validation_report", "submission"), ("test", "submission", "validation_report")],
)
def test_a_split_that_the_raw_data_lacks_is_left_out_by_name(
    finished, small_set: Path, demo_backbone: Path, tmp_path: Path, lacking: str, left_out: str, made: str
):
    data, store = tmp_path / "data", tmp_path / "store"
    shutil.copytree(small_set, data, ignore=shutil.ignore_patterns(f"*{lacking.title()}Metadata*"))
    shutil.rmtree(data / lacking)
    shutil.copytree(finished[0], store, ignore=shutil.ignore_patterns(lacking, left_out, made))
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


def test_one_split_at_a_time(small_set: Path, demo_backbone: Path, tmp_path: Path):
    result = run_job(definitions(small_set, tmp_path, demo_backbone), "features", partition_key="val")
    assert result.success
    assert (tmp_path / "dct_embeddings" / "val" / "_manifest.json").exists()
    assert not (tmp_path / "dct_embeddings" / "train").exists()


def test_a_submission_says_what_it_was_made_from(
    finished, small_set: Path, demo_backbone: Path, tmp_path: Path
):
    store = tmp_path / "store"
    shutil.copytree(finished[0], store)
    origin = json.loads((store / "submission" / "origin.json").read_text())["made_from"]
    assert origin["tables"] == {
        name: open_table(store / name / "test").manifest.digest
        for name in ("image_table", "dinov2_embeddings", "dct_embeddings")
    }
    final = open_bundle(store / "final_classifier")
    assert origin["classifier"] == final.digest
    assert set(final.recipe["embeddings"]) == {"train", "val"}
    assert final.recipe["classifier"] == open_bundle(store / "species_classifier").digest
    config = {"ops": {"final_classifier": {"config": {"refit_on_train_and_val": False}}}}
    job = dg.define_asset_job("plain", ["final_classifier"])
    graph = dg.Definitions.merge(definitions(small_set, store, demo_backbone), dg.Definitions(jobs=[job]))
    assert run_job(graph, "plain", run_config=config).success
    judged, answers = (open_bundle(store / name).files for name in ("species_classifier", "final_classifier"))
    assert judged == answers != final.files


def test_a_classifier_answers_with_nothing_but_itself(
    finished, small_set: Path, demo_backbone: Path, tmp_path: Path
):
    store, data = tmp_path / "store", tmp_path / "data"
    shutil.copytree(finished[0] / "final_classifier", store / "final_classifier")
    shutil.copytree(small_set / "test", data / "test")
    (data / "metadata").mkdir()
    for name in ("SnakeCLEF2024-TestMetadata.csv", "venomous_status_list.csv"):
        shutil.copy(small_set / "metadata" / name, data / "metadata" / name)
    assert run_job(definitions(data, store, demo_backbone), "predict").success
    answers = (store / "submission" / "submission.csv").read_bytes()
    assert answers == (finished[0] / "submission" / "submission.csv").read_bytes()


def test_before_any_photo_is_embedded_predict_says_what_stands_in_its_way(
    finished, small_set: Path, demo_backbone: Path, tmp_path: Path
):
    store = tmp_path / "store"
    graph = definitions(small_set, store, demo_backbone)
    with pytest.raises(Exception, match="materialize final_classifier first"):
        run_job(graph, "predict")
    shutil.copytree(finished[0] / "final_classifier", store / "final_classifier")
    larger = {"ops": {"embeddings": {"config": {"scale": 2}}}}
    with pytest.raises(Exception, match=r"trained on features of (\S+) .* pixels.* set now is \1 .* pixels"):
        run_job(graph, "predict", run_config=larger)
    cropped = definitions(small_set, store, demo_backbone, {"crops": Crops(mode="owlvit")})
    with pytest.raises(Exception, match="trained without crops, and SNAKE_CROPS is owlvit"):
        run_job(cropped, "predict")
    assert not (store / "dinov2_embeddings").exists()


def test_photos_of_which_a_copy_has_another_species_may_be_left_out(
    finished, small_set: Path, demo_backbone: Path, tmp_path: Path
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


def test_the_ablation_ends_at_the_classifier_of_the_report(
    finished, small_set: Path, demo_backbone: Path, tmp_path: Path
):
    store = tmp_path / "store"
    shutil.copytree(finished[0], store)
    few = {"ops": {"ablation_study": {"config": {"paper_runs": 2}}}}
    result = run_job(definitions(small_set, store, demo_backbone), "ablation", run_config=few)
    told = json.loads((store / "ablation_study" / "ablation.json").read_text())
    report = json.loads((store / "validation_report" / "scores.json").read_text())
    assert told["observations"] == report["observations"]
    for name in ("track1", "track2", "f1", "accuracy"):
        assert told["steps"][-1][name] == report[name]
        assert told["steps"][-1]["intervals"][name] == report["intervals"][name]
    assert told["chance"]["species of train"] == report["chance"]
    shown = metadata(result, "ablation_study")
    assert "data:image/webp;base64," in shown["ablation"]
    assert all(step["step"] in shown["table"] for step in told["steps"])
    assert {"ablation.json", "ablation.csv", "ablation.png"} <= {
        path.name for path in (store / "ablation_study").iterdir()
    }
    before = snapshot(store)
    assert run_job(definitions(small_set, store, demo_backbone), "ablation", run_config=few).success
    assert snapshot(store) == before


def test_the_ablation_refuses_embeddings_of_another_view(
    finished, small_set: Path, demo_backbone: Path, tmp_path: Path
):
    store = tmp_path / "store"
    shutil.copytree(finished[0], store)
    larger = {"ops": {"ablation_study": {"config": {"scale": 1.5}}}}
    with pytest.raises(Exception, match="resolution was"):
        run_job(definitions(small_set, store, demo_backbone), "ablation", run_config=larger)


def failing(asset: str, definitions: dg.Definitions, split: str | None = "val") -> str:
    """The message with which an asset fails when it is materialized alone."""
    job = dg.define_asset_job("alone", selection=[asset])
    with_job = dg.Definitions.merge(definitions, dg.Definitions(jobs=[job]))
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(Exception) as caught:
        with_job.resolve_job_def("alone").execute_in_process(instance=instance, partition_key=split)
    return str(caught.value)


def test_data_folder_that_is_not_there(tmp_path: Path, demo_backbone: Path):
    message = failing("raw_images", definitions(tmp_path / "none", tmp_path / "s", demo_backbone))
    assert "SNAKE_DATA" in message
    assert str(tmp_path / "none") in message


def test_empty_split(small_set: Path, tmp_path: Path, demo_backbone: Path):
    shutil.copytree(small_set / "metadata", tmp_path / "data" / "metadata")
    message = failing("raw_images", definitions(tmp_path / "data", tmp_path / "s", demo_backbone))
    assert "'val'" in message
    assert str(tmp_path / "data" / "val") in message


@pytest.mark.parametrize("root", ["gs://", "ftp://x"])
def test_urls_are_refused_by_name(root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SNAKE_DATA", root)
    assert "SNAKE_DATA" in failing(
        "raw_images", build_definitions(resources={"store": Store(root=str(tmp_path))})
    )


def test_nonsense_settings_fail_at_the_first_asset_that_needs_them(
    finished, small_set: Path, demo_backbone: Path, monkeypatch: pytest.MonkeyPatch
):
    store, _ = finished
    backbone = BackboneSetting(name=str(demo_backbone))
    nonsense = {
        "SNAKE_BACKBONE": ("./no/such/model", {"backbone": BackboneSetting()}),
        "SNAKE_DEVICE": ("toaster", {"backbone": backbone}),
        "SNAKE_PRECISION": ("fp1", {"backbone": backbone}),
        "SNAKE_CROPS": ("scissors", {}),
        "SNAKE_ENGINE": ("steam", {}),
    }
    for variable, (value, resources) in nonsense.items():
        with monkeypatch.context() as environment:
            environment.setenv(variable, value)
            broken = definitions(small_set, store, demo_backbone, resources)
            assert variable in failing(
                "yolo_crops" if variable == "SNAKE_CROPS" else "dinov2_embeddings", broken
            )


def test_settings_come_from_the_environment_when_a_run_needs_them(
    small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    graph = build_definitions()
    monkeypatch.setenv("SNAKE_DATA", str(small_set))
    monkeypatch.setenv("SNAKE_STORE", str(tmp_path / "von außen"))
    job = dg.define_asset_job("alone", selection=["raw_images"])
    with dg.DagsterInstance.ephemeral() as instance:
        merged = dg.Definitions.merge(graph, dg.Definitions(jobs=[job]))
        merged.resolve_job_def("alone").execute_in_process(instance=instance, partition_key="test")
    assert (tmp_path / "von außen" / "raw_images" / "test" / "_manifest.json").exists()


def test_missing_venom_list_names_the_file(small_set: Path, tmp_path: Path, demo_backbone: Path):
    data = tmp_path / "data"
    shutil.copytree(small_set, data)
    (data / "metadata" / "venomous_status_list.csv").unlink()
    graph = definitions(data, tmp_path / "s", demo_backbone)
    failing_at_start = failing("image_table", graph)
    assert "venomous_status_list.csv" in failing_at_start


def test_metadata_that_changed_after_ingest_is_noticed(
    finished, small_set: Path, demo_backbone: Path, tmp_path: Path
):
    store, data = tmp_path / "store", tmp_path / "data"
    shutil.copytree(finished[0], store)
    shutil.copytree(small_set, data)
    path = data / "metadata" / "SnakeCLEF2024-TestMetadata.csv"
    path.write_text(path.read_text() + "999999,new.jpg\n")
    message = failing("submission", definitions(data, store, demo_backbone), None)
    assert "new.jpg" in message
    assert "materialize" in message
