"""The package of a run: it answers as the run did, and is made once."""

from pathlib import Path

import dagster as dg

from snake_assets.identification import load_package
from snake_assets.snakeclef.submission import read_submission
from snake_assets.storage.tables.table import open_table
from snake_assets_tests.defs.assets.test_run import metadata, run_job


def test_a_package_answers_as_the_submission_and_is_made_once(
    own_store: Path, own_graph: dg.Definitions
) -> None:
    folder = own_store / "model_package"
    made = metadata(run_job(own_graph, "package"), "model_package")
    assert made["thresholds"]["promises"]["accuracy"] == 0.9 and "must not be used for" in made["model_card"]
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    run_job(own_graph, "package")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before

    package = load_package(folder, "cpu")
    photos = open_table(own_store / "image_table" / "test").read(["image", "observation_id"])
    found = package.identify(*(column.to_pylist() for column in photos.columns))
    handed_in = read_submission(own_store / "submission" / "submission.csv")
    class_ids = dict(zip(package.species.names, package.classifier.class_ids.tolist(), strict=True))
    named = found.filter(level="species")
    for observation_id, answer in named.select("observation_id", "answer").iter_rows():
        assert handed_in[observation_id] == class_ids[answer]
    # The demo's backbone has learned nothing: of most observations it may not name a species.
    assert set(found["level"]) <= {"species", "genus", "venomous_unsure", "unknown"}
    likeliest = {row["observation_id"]: row["top_k"][0]["species"] for row in found.iter_rows(named=True)}
    assert all(handed_in[name] == class_ids[species] for name, species in likeliest.items())
