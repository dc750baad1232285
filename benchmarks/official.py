"""The job `snakeclef` at the official size, as a user runs it: seconds and memory of every step and check.

The set is made up, of the official shape: 182,261 labelled photos, 14,117 of them in val, of 103,404
observations and 1,784 species, by the official counts where ../shared/data has them, else by a long tail; and
twice val's photos in test, whose size the official files do not tell. A photo is a JPEG of 42 x 42 pixels, a
tile of colours that tells its species as far as `benchmarks/synthetic.py` lets it; no two are alike. The
backbone is that of `benchmarks.scale`, 768 wide, so that vectors are as wide as the real ones. `--share`
takes that share of the species, with all of their photos.

Steps run as the executor has them, several at once: `seconds` are by the clock, from a step's start to its
end, `cpu_seconds` those of its processes. `peak_mb` is the most memory that these had resident together,
looked at four times a second; what they share is counted in each. The seconds of an asset check are those
between its result and the one before it in its step.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import numpy as np
import numpy.typing as npt
import polars as pl
import psutil
import simplejpeg

from benchmarks.common import SHARED_DATA, finish, in_fresh_process, significant
from benchmarks.scale import write_stub_backbone
from benchmarks.synthetic import GENUS_SIZE, draw_features, official_counts, power_law_counts

OFFICIAL_FILES = SHARED_DATA / "snakeclef-2024-metadata"
PHOTOS, VAL_PHOTOS, HERP_MAPPER_PHOTOS, OBSERVATIONS, SPECIES = 182_261, 14_117, 13_843, 103_404, 1_784
VENOMOUS_EVERY = 6
# A photo is 3 x 3 times a tile of 7 x 7 colours, each of 2 x 2 pixels: 42 x 42.
TILE, REPEATS, PIXELS = 7, 3, 2
MIDDLE, CONTRAST, JPEG_QUALITY = 128, 40, 90
BETWEEN_LOOKS_S = 0.25
PROJECT = Path(__file__).resolve().parents[1]
MODULE = "snake_assets.definitions"
LABELLED = ["observation_id", "endemic", "binomial_name", "code", "image_path", "class_id", "subset"]
SIZE_FOLDER = "SnakeCLEF2023-small_size"
# Subset -> its metadata file, the columns of that, and where its photos lie (DESIGN.md, section 4).
SUBSETS = {
    "train": ("SnakeCLEF2023-TrainMetadata-iNat.csv", LABELLED, f"train/{SIZE_FOLDER}"),
    "train-hm": ("SnakeCLEF2023-TrainMetadata-HM.csv", LABELLED, "train"),
    "val": ("SnakeCLEF2023-ValMetadata.csv", LABELLED, f"val/{SIZE_FOLDER}"),
    "test": ("SnakeCLEF2024-TestMetadata.csv", ["observation_id", "filename"], "test"),
}

Numbers = npt.NDArray[np.int64]


def plan_set(share: float, seed: int = 0) -> pl.DataFrame:
    """The photos of a made-up set as their metadata have them, those of one observation side by side.

    Args:
        share: of the species, above 0 and at most 1.
        seed: the same seed gives the same set.
    """
    rng = np.random.default_rng(seed)
    labels = _labels(share)
    first = np.flatnonzero(np.diff(labels, prepend=-1))
    more = max(0, round(OBSERVATIONS / PHOTOS * len(labels)) - len(first))
    # An observation begins with each species, and at photos between.
    begins = np.union1d(first, rng.choice(np.setdiff1d(np.arange(len(labels)), first), more, replace=False))
    sizes = np.diff(np.append(begins, len(labels)))
    subset = np.full(len(begins), "train", dtype=object)
    # A species' first observation stays in train.
    left = rng.permutation(np.setdiff1d(np.arange(len(begins)), np.searchsorted(begins, first)))
    for name, official in (("val", VAL_PHOTOS), ("train-hm", HERP_MAPPER_PHOTOS)):
        taken = _of_photos(sizes[left], round(official / PHOTOS * len(labels)))
        subset[left[taken]] = name
        left = left[~taken]
    again = rng.permutation(len(begins))
    again = again[_of_photos(sizes[again], 2 * int(sizes[subset == "val"].sum()))]
    observations = pl.DataFrame(
        {
            "class_id": labels[begins[np.concatenate([np.arange(len(begins)), again])]],
            "subset": [*subset, *["test"] * len(again)],
            "photos": np.concatenate([sizes, sizes[again]]),
            "endemic": False,
            "year": rng.integers(2000, 2020, len(begins) + len(again)),
            "code": rng.integers(10, 90, len(begins) + len(again)),
        }
    ).with_row_index("observation_id", 1)
    folder = pl.format("Genus{}_species{}", pl.col("class_id") // GENUS_SIZE, "class_id")
    return (
        observations.sample(fraction=1, shuffle=True, seed=seed)
        .with_columns(pl.int_ranges("photos").alias("number"))
        .explode("number")
        .with_row_index("row")
        .with_columns(
            binomial_name=folder.str.replace("_", " "),
            code=pl.format("P{}", "code"),
            filename=pl.format("{}.jpg", "row"),
            image_path=pl.when(subset="train-hm")
            .then(pl.format("HMP/{}/{}.jpg", folder, "row"))
            .otherwise(pl.format("{}/{}/{}.jpg", "year", folder, "row")),
        )
    )


def _labels(share: float) -> Numbers:
    """class_id of each photo of train and val, ascending, of a share of the species: small and large ones."""
    official = OFFICIAL_FILES / "class_count.csv"
    counts = official_counts(official) if official.is_file() else power_law_counts(SPECIES, PHOTOS)
    kept = max(1, round(share * len(counts)))
    ranks = ((np.arange(kept) + 0.5) / kept * len(counts)).astype(int)
    chosen = np.sort(np.argsort(-counts, kind="stable")[ranks])
    return np.repeat(chosen, counts[chosen])


def _of_photos(sizes: Numbers, wanted: int) -> npt.NDArray[np.bool_]:
    """Which observations to take: the first, and single photos, until there are as many as are wanted."""
    taken = np.cumsum(sizes) <= wanted
    single = np.flatnonzero((sizes == 1) & ~taken)
    taken[single[: wanted - int(sizes[taken].sum())]] = True
    return taken


def write_set(photos: pl.DataFrame, root: Path, seed: int = 0) -> None:
    """Write a set that was planned in the official layout, into a new folder."""
    metadata = root / "metadata"
    metadata.mkdir(parents=True)
    for subset, (name, columns, _) in SUBSETS.items():
        photos.filter(subset=subset).select(columns).write_csv(metadata / name)
    venom_list = OFFICIAL_FILES / "venomous_status_list.csv"
    if venom_list.is_file():
        shutil.copyfile(venom_list, metadata / venom_list.name)
    else:
        class_ids = pl.DataFrame({"class_id": range(SPECIES)})
        listed = class_ids.with_columns(MIVS=(pl.col("class_id") % VENOMOUS_EVERY == 0).cast(int))
        listed.write_csv(metadata / venom_list.name)
    counts = np.unique(photos["class_id"], return_counts=True)[1]
    drawn = draw_features(counts, 3 * TILE**2, seed)
    # Any feature of a species does for any photo of it.
    tiles = np.empty((len(photos), TILE, TILE, 3), dtype=np.float32)
    tiles[photos["class_id"].arg_sort()] = drawn.features[np.argsort(drawn.labels)].reshape(tiles.shape)
    path = pl.when(subset="test").then("filename").otherwise("image_path").alias("path")
    for (subset, name), tile in zip(photos.select("subset", path).iter_rows(), tiles, strict=True):
        file = root / SUBSETS[subset][2] / name
        file.parent.mkdir(parents=True, exist_ok=True)
        colours = np.clip(MIDDLE + CONTRAST * tile, 0, 255).astype(np.uint8)
        pixels = np.tile(colours, (REPEATS, REPEATS, 1)).repeat(PIXELS, axis=0).repeat(PIXELS, axis=1)
        file.write_bytes(simplejpeg.encode_jpeg(pixels, JPEG_QUALITY, colorsubsampling="444"))


@dataclass
class Use:
    """What a process and all its descendants took: most MB resident at once, seconds of processors."""

    peak_mb: float = 0.0
    cpu_seconds: float = 0.0


def run_job(folder: Path) -> tuple[float, Use, dict[int, Use]]:
    """Run the job on a folder's `data` and `backbone`: its seconds, its use, and that of each process by pid.

    Raises:
        RuntimeError: the run failed.
    """
    home, log = folder / "dagster", folder / "run.log"
    home.mkdir()
    shutil.copyfile(PROJECT / "deploy" / "dev" / "dagster.yaml", home / "dagster.yaml")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SNAKE_")} | {
        "DAGSTER_HOME": str(home),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "SNAKE_DATA": str(folder / "data"),
        "SNAKE_STORE": str(folder / "store"),
        "SNAKE_BACKBONE": str(folder / "backbone"),
    }
    command = ["-m", "dagster", "job", "execute", "-m", MODULE, "-j", "snakeclef"]
    began = time.perf_counter()
    with log.open("w") as output:
        job = psutil.Popen(
            [sys.executable, *command], cwd=PROJECT, env=environment, stdout=output, stderr=output
        )
        uses: dict[int, Use] = defaultdict(Use)
        while job.poll() is None:
            _look(job, uses)
            time.sleep(BETWEEN_LOOKS_S)
    if job.returncode:
        raise RuntimeError(f"python {' '.join(command)} failed, and said at last:\n{log.read_text()[-4000:]}")
    return time.perf_counter() - began, uses[job.pid], uses


def _look(job: psutil.Process, uses: dict[int, Use]) -> None:
    """Note what each process of a tree and its descendants have now, where that is the most so far."""
    parents: dict[int, int] = {}
    own: dict[int, Use] = {}
    # Processes may end while they are looked at.
    with suppress(psutil.NoSuchProcess):
        for process in (job, *job.children(recursive=True)):
            with suppress(psutil.NoSuchProcess), process.oneshot():
                own[process.pid] = Use(process.memory_info().rss / 1e6, sum(process.cpu_times()[:4]))
                parents[process.pid] = process.ppid()
    total: dict[int, Use] = defaultdict(Use)
    for pid, use in own.items():
        while pid in parents:
            total[pid].peak_mb += use.peak_mb
            total[pid].cpu_seconds += use.cpu_seconds
            pid = parents[pid]
    for pid, use in total.items():
        uses[pid] = Use(max(uses[pid].peak_mb, use.peak_mb), max(uses[pid].cpu_seconds, use.cpu_seconds))


def told(home: Path, uses: dict[int, Use]) -> dict[str, object]:
    """What the event log of the only run in `home` tells of its steps and asset checks."""
    began: dict[str, float] = {}
    last: dict[str, float] = {}
    steps: dict[str, dict[str, float]] = {}
    checks: dict[str, float] = {}
    not_passed: list[str] = []
    with dg.DagsterInstance.from_config(str(home)) as instance:
        (run,) = instance.get_runs()
        for entry in instance.all_logs(run.run_id):
            event, step = entry.dagster_event, entry.step_key
            if event is None or step is None:
                continue
            if event.event_type == dg.DagsterEventType.STEP_START:
                began[step] = last[step] = entry.timestamp
            elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                result = event.asset_check_evaluation_data
                check = f"{result.asset_key.to_user_string()}.{result.check_name}"
                checks[check] = significant(entry.timestamp - last[step], 3)
                last[step] = entry.timestamp
                not_passed += [] if result.passed else [check]
            elif event.event_type == dg.DagsterEventType.STEP_SUCCESS:
                used = uses[event.pid or 0]
                steps[step] = {
                    "seconds": significant(entry.timestamp - began[step], 3),
                    "cpu_seconds": significant(used.cpu_seconds, 3),
                    "peak_mb": significant(used.peak_mb, 3),
                }
                print(", ".join([step, *(f"{name} {value:g}" for name, value in steps[step].items())]))
    slowest = max(checks, key=lambda check: checks[check])
    print(f"slowest asset check: {slowest}, seconds {checks[slowest]:g}")
    return {
        "steps": steps,
        "checks": checks,
        "slowest_check_s": checks[slowest],
        "checks_not_passed": not_passed,
    }


def main(arguments: Sequence[str] | None = None) -> dict[str, object]:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--share", type=float, default=1.0, help="of the species")
    parser.add_argument("--keep", type=Path, help="new folder that keeps set, store and event log")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        began = time.perf_counter()
        photos = plan_set(given.share)
        write_set(photos, folder / "data")
        in_fresh_process(write_stub_backbone, folder / "backbone")
        print(f"{photos.height:,} photos written in {time.perf_counter() - began:.0f} s", flush=True)
        seconds, use, uses = run_job(folder)
        found = told(folder / "dagster", uses)
        scores = json.loads((folder / "store" / "validation_report" / "scores.json").read_text())
        stored = sum(file.stat().st_size for file in (folder / "store").rglob("*") if file.is_file())
    return finish(
        {
            "photos": dict(photos["subset"].value_counts(sort=True).iter_rows()),
            "observations": photos["observation_id"].n_unique(),
            "species": photos["class_id"].n_unique(),
            "seconds": significant(seconds),
            "cpu_seconds": significant(use.cpu_seconds),
            "peak_mb": significant(use.peak_mb),
            "store_mb": significant(stored / 1e6),
            **found,
            "track1": scores["track1"],
            "f1": scores["f1"],
        }
    )


if __name__ == "__main__":
    main()
