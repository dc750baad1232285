"""The inbox: how soon a photo has its row, and how fast many are answered, beside `snake-assets predict`.

`arrival_to_row_s` is what comes on top of the sensor's looks: from the look that finds a photo settled to its
row, under a daemon and a code server as people run them. `rate_over_predict` holds whole commands against
each other: predict against two looks and the job identify, process starts included.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dagster as dg

from benchmarks.common import Ratio, finish, in_turn, lay_out, middle, photo_sources, significant
from benchmarks.predict import command
from snake_assets.defs.lib.partitions import batches
from snake_assets.identification.inbox import batches_of, list_inbox, new_files, read_arrivals, record
from snake_assets.storage.tables.table import open_table
from snake_assets_tests.serving import headless, until


def arrivals_to_rows(model: Path, photo: Path, root: Path, times: int) -> list[tuple[float, float]]:
    """Seconds to the row of photos that come one after the other: beyond the looks, and altogether."""
    inbox, store, took = root / "inbox", root / "store", []
    inbox.mkdir()
    shutil.copytree(model, store / "model_package")
    settings = {"SNAKE_INBOX": str(inbox), "SNAKE_STORE": str(store), "SNAKE_DEVICE": "cpu"}
    with headless(root / "home", settings, "snake_assets_tests.kills.quick_inbox"):
        for number in range(times):
            (inbox / f"{number}{photo.suffix}").write_bytes(photo.read_bytes() + bytes([number]))
            arrived = time.time()

            def answered(so_many: int = number + 1) -> list[Path]:
                found = sorted(store.glob("identifications/*/_manifest.json"))
                return found if len(found) == so_many else []

            answers = until(answered, f"answers (see {root}/home/*.log)")[-1]
            # The look that found it settled wrote this just before it asked for the run.
            found = (store / "arrivals" / "_manifest.json").stat().st_mtime
            row = answers.stat().st_mtime
            took.append((row - found, row - arrived))
    return took


def predict_s(model: Path, photos: Path, root: Path) -> float:
    """Seconds that predict takes, from process start."""
    began = time.perf_counter()
    out = root / "answers.csv"
    subprocess.run(command(model, photos, "-o", out, "--device", "cpu"), check=True, capture_output=True)
    took = time.perf_counter() - began
    for file in root.glob("answers.csv*"):
        file.unlink()
    return took


def identify_s(model: Path, photos: Path, root: Path) -> float:
    """Seconds that two looks and the job identify take for all photos in one go."""
    store, home = root / "job-store", root / "job-home"
    shutil.copytree(model, store / "model_package")
    home.mkdir()
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "SNAKE_INBOX": str(photos),
        "SNAKE_STORE": str(store),
        "SNAKE_DEVICE": "cpu",
    }
    began = time.perf_counter()
    before = {file.mark for file in new_files(list_inbox(photos), read_arrivals(store / "arrivals"))}
    settled = [
        file
        for file in new_files(list_inbox(photos), read_arrivals(store / "arrivals"))
        if file.mark in before
    ]
    record(store / "arrivals", photos, settled)
    (batch,) = batches_of(read_arrivals(store / "arrivals"))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.add_dynamic_partitions(str(batches.name), [batch])
    called = ("job", "execute", "-m", "snake_assets.definitions", "-j", "identify")
    subprocess.run(
        [
            Path(sys.executable).with_name("dagster"),
            *called,
            "--tags",
            json.dumps({"dagster/partition": batch}),
        ],
        env=environment,
        check=True,
        capture_output=True,
    )
    took = time.perf_counter() - began
    assert open_table(store / "identifications" / batch).manifest.rows_out == len(settled)
    shutil.rmtree(store)
    shutil.rmtree(home)
    return took


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    stored = Path(os.environ.get("SNAKE_STORE", ".snake/store")) / "model_package"
    parser.add_argument("--model", type=Path, default=stored)
    parser.add_argument("--photos", type=int, default=5_000, help="in one go, made of the demo's")
    parser.add_argument("--arrivals", type=int, default=5, help="photos that come one after the other")
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    result: dict[str, object] = {"photos": asked.photos}
    with tempfile.TemporaryDirectory() as folder:
        root, model = Path(folder), asked.model.absolute()
        drawn = photo_sources(None, (), root).files
        if asked.arrivals:
            took = arrivals_to_rows(model, drawn[0], root, asked.arrivals)
            result["arrival_to_row_s"] = middle([beyond for beyond, _ in took])
            result["arrival_to_row_s_max"] = significant(max(beyond for beyond, _ in took))
            result["with_looks_s"] = middle([altogether for _, altogether in took])
        if asked.rounds:
            lay_out(drawn, asked.photos, root / "many")
            photos = root / "many" / "train"
            arms = {
                "predict": lambda: predict_s(model, photos, root),
                "identify": lambda: identify_s(model, photos, root),
            }
            seconds = in_turn(arms, asked.rounds, "s")
            result |= {
                f"{name}_photos_per_s": middle([asked.photos / one for one in seconds[name]]) for name in arms
            }
            result |= Ratio.of(seconds["predict"], seconds["identify"]).named("rate_over_predict")
    finish(result)


if __name__ == "__main__":
    main()
