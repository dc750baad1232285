"""The job `snakeclef` with data and store in a bucket whose answers fail now and then: the same comes out."""

from functools import partial
from pathlib import Path

import dagster as dg
import pytest

from snake_assets.storage import paths as places
from snake_assets.storage.bundles import open_bundle
from snake_assets.storage.io import sizes
from snake_assets.storage.objectstore.gcs import Bucket
from snake_assets.storage.tables.table import open_table
from snake_assets_tests.defs.assets.test_run import QUICK, definitions, run_job
from snake_assets_tests.gcs.faults import NothingHalf, now_and_then
from snake_assets_tests.gcs.server import BUCKET, PATIENCE, Cloud

BUNDLES = ("species_classifier", "final_classifier", "submission", "species_histogram", "embedding_map")
# Made of what is not in the store, or dated.
REPORTED = ("predictions.parquet", "scores.json", "species.csv", "leakage.csv")


def put_in_bucket(gcs: Cloud, data: Path) -> None:
    """The files as objects that were written when the files were."""
    bucket = gcs.folder("").bucket.connect().bucket(BUCKET)
    for path in data.rglob("*"):
        if path.is_file():
            name = f"raw/{path.relative_to(data).as_posix()}"
            bucket.blob(name).upload_from_string(path.read_bytes())
            gcs.objects.objects[BUCKET][name]["generation"] = str(path.stat().st_mtime_ns // 1000)


@pytest.mark.daemon
def test_tables_and_submission_are_those_of_a_run_on_folders(
    gcs: Cloud,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    small_set: Path,
    demo_backbone: Path,
    finished_run: tuple[Path, dg.ExecuteInProcessResult],
):
    local, _ = finished_run
    monkeypatch.setattr(places, "Bucket", partial(Bucket, patience=PATIENCE))
    monkeypatch.setenv("SNAKE_CACHE", str(tmp_path / "cache"))
    put_in_bucket(gcs, small_set)
    gcs.fault = now_and_then(every=5)
    gcs.objects.watch = seen = NothingHalf()
    job = definitions(f"gs://{BUCKET}/raw", f"gs://{BUCKET}/runs/first", demo_backbone)
    assert run_job(job, run_config=QUICK).success
    root = gcs.folder("runs/first")

    tables = [folder.parent for folder in local.glob("*/*/_manifest.json")]
    assert len(tables) == 3 * 4
    for folder in tables:
        ours = open_table(root / folder.parent.name / folder.name).manifest
        assert ours.digest == open_table(folder).manifest.digest
    for name in BUNDLES:
        ours, theirs = open_bundle(root / name), open_bundle(local / name)
        assert ours.files == theirs.files
        assert all((root / name / file).read_bytes() == theirs.path(file).read_bytes() for file in ours.files)
    report = open_bundle(root / "validation_report").files
    assert {name: report[name] for name in REPORTED} == {
        name: open_bundle(local / "validation_report").files[name] for name in REPORTED
    }
    assert (seen.faults, seen.looks > 100) == ([], True)
    assert not [name for name in gcs.objects.names() if "_progress" in name]

    gcs.fault = lambda asked: None
    before = len(gcs.asked)
    assert run_job(job, run_config=QUICK).success
    assert any("/raw/" in asked.path for asked in gcs.asked[:before])
    assert not [asked for asked in gcs.asked[before:] if asked.writes or "/raw/" in asked.path]
    assert set(sizes(root / "submission")) == {*open_bundle(root / "submission").files, "_manifest.json"}
