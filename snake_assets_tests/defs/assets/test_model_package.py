"""The package of a run: it answers as the run did, and is made once."""

import shutil
from pathlib import Path

import pytest

from snake_assets.identification import load_package
from snake_assets.snakeclef.submission import read_submission
from snake_assets.storage.tables.table import open_table
from snake_assets_tests.defs.assets.test_run import definitions, metadata, run_job


def test_a_package_answers_as_the_submission_and_is_made_once(
    finished_run, small_set: Path, demo_backbone: Path, tmp_path: Path
) -> None:
    store, folder = tmp_path / "store", tmp_path / "store" / "model_package"
    shutil.copytree(finished_run[0], store)
    ready = definitions(small_set, store, demo_backbone)
    made = metadata(run_job(ready, "package"), "model_package")
    assert made["thresholds"]["promises"]["accuracy"] == 0.9 and "must not be used for" in made["model_card"]
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    run_job(ready, "package")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before

    package = load_package(folder, "cpu")
    photos = open_table(store / "image_table" / "test").read(["image", "observation_id"])
    found = package.identify(*(column.to_pylist() for column in photos.columns))
    handed_in = read_submission(store / "submission" / "submission.csv")
    class_ids = dict(zip(package.species.names, package.classifier.class_ids.tolist(), strict=True))
    named = found.filter(level="species")
    for observation_id, answer in named.select("observation_id", "answer").iter_rows():
        assert handed_in[observation_id] == class_ids[answer]
    # The demo's backbone has learned nothing: of most observations it may not name a species.
    assert set(found["level"]) <= {"species", "genus", "venomous_unsure", "unknown"}
    likeliest = {row["observation_id"]: row["top_k"][0]["species"] for row in found.iter_rows(named=True)}
    assert all(handed_in[name] == class_ids[species] for name, species in likeliest.items())


@pytest.mark.parametrize("promise", ["accuracy", "coverage"])
def test_a_promise_out_of_range_is_refused_by_name(
    small_set: Path, demo_backbone: Path, tmp_path: Path, promise: str
) -> None:
    config = {"ops": {"model_package": {"config": {promise: 1.5}}}}
    with pytest.raises(Exception, match=f"{promise}=1.5"):
        run_job(definitions(small_set, tmp_path / "store", demo_backbone), "package", run_config=config)
