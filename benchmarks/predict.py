"""A package at work: how soon, how fast, and whether kills cost a row.

- first_answer_s: from the start of a process of `snake-assets predict` to the first answer on its stdout.
- batch_over_forward: seconds a photo of `Package.answers` in batches of 64, over the forward pass alone on
  pixels that lie ready, in turn, several rounds.
- one_photo_ms: a photo in a process that has answered before.
- look_alikes_ms: five of 182,261 gallery rows x 768, without an index.
- lost, doubled, cut: rows after so many kills in the middle of predict, against a run that nobody disturbed.

The package is the one of --model (default: that of the store), photos are those of --photos.
"""

import argparse
import csv
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.common import PHILIPPINE_SNAKES, Ratio, finish, significant
from snake_assets.identification import Package, load_package
from snake_assets.identification.gallery import Gallery
from snake_assets.identification.photos import Photo, find_photos
from snake_assets.identification.thresholds import Species
from snake_assets.vision.backbone.features import launch
from snake_assets.vision.preprocessing.regions import WHOLE_FRAME
from snake_assets.vision.preprocessing.transforms import BackboneInput

BATCH, ROUNDS, ALONE, TOP_K = 64, 5, 20, 5
# How long after a call's first rows it is killed, at most.
LONGEST_S = 1.5
OFFICIAL_PHOTOS, OFFICIAL_WIDTH = 182_261, 768


def command(model: Path, *arguments: object) -> list[str]:
    """A call of predict in a process of its own."""
    return [sys.executable, "-m", "snake_assets.cli", "predict", "--model", str(model), *map(str, arguments)]


def first_answer_s(model: Path, photo: Path) -> float:
    """Seconds from process start to the first answer."""
    began = time.perf_counter()
    with subprocess.Popen(command(model, photo, "--format", "jsonl"), stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        while not child.stdout.readline().strip():
            pass
        return time.perf_counter() - began


def batch_over_forward(package: Package, photos: list[Photo]) -> Ratio:
    """How much longer a photo takes with all that is around the model."""
    seen = BackboneInput(package.backbone.preprocessing)
    ready = [seen.prepared(photo.read(), WHOLE_FRAME) for photo in photos]
    batches = [seen.together(ready[start : start + BATCH]) for start in range(0, len(ready), BATCH)]
    around, alone = [], []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for batch in batches:
            launch(package.backbone, batch).features()
        alone.append(time.perf_counter() - began)
        began = time.perf_counter()
        answered = sum(len(answers) for answers in package.answers(photos, None, TOP_K, BATCH))
        around.append(time.perf_counter() - began)
        assert answered == len(photos)
    return Ratio.of(around, alone)


def one_photo_ms(package: Package, photos: list[Photo]) -> float:
    """Median over photos that are asked about one at a time."""
    took = []
    for photo in photos[: ALONE + 1]:
        began = time.perf_counter()
        list(package.answers([photo], None, TOP_K, None))
        took.append(1000 * (time.perf_counter() - began))
    return statistics.median(took[1:])


def look_alikes_ms() -> float:
    """Median for one photo among as many gallery rows as there are official photos."""
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(OFFICIAL_PHOTOS, OFFICIAL_WIDTH)).astype(np.float32)
    species = Species.of(["Naja naja", "Ptyas mucosa"], [True, False])
    labels = draw.integers(0, 2, OFFICIAL_PHOTOS)
    gallery = Gallery(vectors, labels, ["photo.jpg"] * OFFICIAL_PHOTOS, species)
    took = []
    for row in range(ROUNDS + 1):
        began = time.perf_counter()
        gallery.look_alikes(vectors[row], harmless=True)
        took.append(1000 * (time.perf_counter() - began))
    return statistics.median(took[1:])


def paths_in(file: Path) -> list[str]:
    """Path of every row of a CSV of answers."""
    with file.open(newline="") as opened:
        return [row["path"] for row in csv.DictReader(opened)]


def rows_after_kills(model: Path, photos: Path, folder: Path, kills: int) -> dict[str, int]:
    """Rows lost and doubled after kills in the middle of a call, and how often a line was cut.

    Each kill falls at a random moment after the call's first rows have been written. A call that was quicker
    is begun anew.
    """
    draw, counts = random.Random(0), dict.fromkeys(("kills", "lost", "doubled", "cut"), 0)
    whole, out = folder / "whole.csv", folder / "out.csv"
    subprocess.run(command(model, photos, "-o", whole), check=True, capture_output=True)
    expected, call = paths_in(whole), command(model, photos, "-o", out, "--batch-size", 2)
    done = False
    while counts["kills"] < kills or not done:
        written = out.stat().st_mtime_ns if out.exists() else 0
        with subprocess.Popen(call, stderr=subprocess.DEVNULL) as child:
            if counts["kills"] < kills:
                while child.poll() is None and (out.stat().st_mtime_ns if out.exists() else 0) == written:
                    time.sleep(0.002)
                time.sleep(draw.uniform(0, LONGEST_S))
                if child.poll() is None:
                    child.send_signal(signal.SIGKILL)
            done = child.wait() == 0
        counts["kills"] += not done
        lines = out.read_text().split("\n")
        counts["cut"] += lines[-1] != "" or any(len(next(csv.reader([line]))) != 10 for line in lines[:-1])
        found = paths_in(out)
        counts["doubled"] += len(found) - len(set(found))
        if done:
            counts["lost"] += len(set(expected) - set(found))
            for file in (out, out.with_name(f"{out.name}.options.json")):
                file.unlink()
    return counts


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    store = Path(os.environ.get("SNAKE_STORE", ".snake/store"))
    parser.add_argument("--model", type=Path, default=store / "model_package")
    parser.add_argument("--photos", type=Path, default=PHILIPPINE_SNAKES / "test")
    parser.add_argument("--kills", type=int, default=50)
    asked = parser.parse_args()
    photos, _ = find_photos([asked.photos])
    assert isinstance(photos[0].content, Path)
    first = min(first_answer_s(asked.model, photos[0].content) for _ in range(3))
    package = load_package(asked.model, "cpu")
    list(package.answers(photos[:BATCH], None, TOP_K, None))
    result: dict[str, object] = {
        "photos": len(photos),
        "first_answer_s": significant(first),
        **batch_over_forward(package, photos[: 2 * BATCH]).named("batch_over_forward"),
        "one_photo_ms": significant(one_photo_ms(package, photos)),
        "look_alikes_ms": significant(look_alikes_ms()),
    }
    if asked.kills:
        with tempfile.TemporaryDirectory() as folder:
            result |= rows_after_kills(asked.model, asked.photos, Path(folder), asked.kills)
    finish(result)


if __name__ == "__main__":
    main()
