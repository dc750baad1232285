"""What fine-tuning the backbone is worth, and what it costs.

On real photos: train and val of `philippine-snakes` beside the checkout together, ViT-Tiny, on a processor.
In each split three in ten observations of every species are held out for good, less those photos of which a
copy is trained on. Of the others a part is kept from the tuning, as the asset `finetuned_backbone` does it.
The arms answer the same observations with the same classifier, which is trained on all photos that are not
held out for good:

- `frozen`: the backbone as it is;
- `tuned`: fine-tuned;
- `both`: the two beside each other, as SNAKE_BACKBONE=a,b has them.

`tuned_over_frozen` and `both_over_frozen` are mean differences in points of Track 1 (`_f1`: of macro F1) on
the same splits, with 95 % intervals (Student's t over splits, which share photos: rather too narrow). Two
splits run at a time, a thread each; `minutes` is the processor time of a tuning over two, the median: what it
would take on two cores that share it well. `peak_mb` is the most memory of one such process.

`--set` changes the settings of the tuning, such as '{"method": "lora", "rank": 8}'. `--plan` only tells what
ViT-B/14 would take on 168,144 photos, by the cost model.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.classifier import halves, t_interval, truth_of
from benchmarks.common import (
    PHILIPPINE_SNAKES,
    SHARED_DATA,
    finish,
    middle,
    options,
    peak_rss_mb,
    significant,
)
from snake_assets.defs.assets.dependencies import FEATURE_TABLES
from snake_assets.learning.feature_table import FeatureTable
from snake_assets.learning.reading import read_splits
from snake_assets.learning.settings import Recipe
from snake_assets.learning.train import train_classifier
from snake_assets.learning.tuning import tuning_task
from snake_assets.snakeclef.metadata import VENOM_LIST, read_venom_list
from snake_assets.snakeclef.metric import score
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.vision.backbone.backbone import Backbone, open_backbone
from snake_assets.vision.backbone.features import launch
from snake_assets.vision.decoding.decode import decode
from snake_assets.vision.finetuning.model import build_learner
from snake_assets.vision.finetuning.plan import estimated
from snake_assets.vision.finetuning.settings import FinetuneSettings
from snake_assets.vision.finetuning.training import Moment, finetune
from snake_assets.vision.preprocessing.transforms import View

VIT_TINY = SHARED_DATA / "weights" / "vit-tiny-imagenet"
LOOK = View(scale=1.15)
METADATA = {"train": "SnakeCLEF2023-TrainMetadata-iNat.csv", "val": "SnakeCLEF2023-ValMetadata.csv"}
ARMS = ("frozen", "tuned", "both")


def train_with_val(folder: Path) -> Path:
    """The real photos with val's among those of train."""
    shutil.copytree(PHILIPPINE_SNAKES / "train", folder / "train")
    shutil.copytree(PHILIPPINE_SNAKES / "val", folder / "train", dirs_exist_ok=True)
    shutil.copytree(PHILIPPINE_SNAKES / "metadata", folder / "metadata")
    of_train = folder / "metadata" / METADATA["train"]
    with of_train.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (folder / "metadata" / METADATA["val"]).open(newline="") as file:
        more = [{name: row[name] for name in rows[0]} for row in csv.DictReader(file)]
    with of_train.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows([*rows, *more])
    return folder


def fill(store: Path) -> None:
    """Make the tables of all labelled photos as one train split, unless they are there."""
    if (store / FEATURE_TABLES[0] / "train").is_dir():
        return
    with tempfile.TemporaryDirectory() as name:
        settings = {
            "SNAKE_DATA": str(train_with_val(Path(name) / "data")),
            "SNAKE_STORE": str(store),
            "SNAKE_BACKBONE": str(VIT_TINY),
        }
        command = [sys.executable, "-m", "dagster", "job", "execute", "-m", "snake_assets.definitions"]
        command += ["-j", "features", "--tags", '{"dagster/partition": "train"}']
        subprocess.run(command, env={**os.environ, **settings}, check=True, capture_output=True)


def seen_by(backbone: Backbone, images: Table, table: FeatureTable) -> FeatureTable:
    """The same photos as another backbone sees them."""
    import torch

    bytes_of = dict(
        zip(*(column.to_pylist() for column in images.read(["image_id", "image"]).columns), strict=True)
    )
    own, found = backbone.preprocessing, []
    for start in range(0, len(table), 16):
        photos = [bytes_of[name] for name in table.image_id[start : start + 16]]
        pixels = [own.resized(decode(data, at_least=own.needed_side)) for data in photos]
        found.append(launch(backbone, torch.from_numpy(np.stack(pixels))).features())
    names = ("cls", "patch_mean", "earlier_cls", "middle_mean")
    blocks = {name: np.concatenate([getattr(one, name) for one in found]) for name in names}
    seen = np.isin(np.array(table.sha256), list(backbone.seen))
    return replace(table, blocks=blocks, seen=seen, fingerprint=None)


def beside(one: FeatureTable, other: FeatureTable) -> FeatureTable:
    """Two backbones' vectors side by side."""
    blocks = {
        name: np.hstack([values, other.blocks[name]])
        for name, values in one.blocks.items()
        if name in other.blocks
    }
    return replace(other, blocks=blocks)


def judged(train: FeatureTable, test: FeatureTable, venomous: Mapping[int, bool]) -> tuple[float, float]:
    """Track 1 and macro F1 of the package's own classifier, percent."""
    classifier = train_classifier(train, venomous, Recipe(), train.fingerprint or "")
    found = score(truth_of(test), classifier.identify(test).class_id, venomous)
    return float(found.track1 or 0), found.f1


def one_split(store: Path, seed: int, settings: FinetuneSettings, held_out: float) -> dict[str, Any]:
    """All arms on a split, in a process of one thread."""
    import torch

    torch.set_num_threads(1)
    images = open_table(store / "image_table" / "train")
    table = read_splits([open_table(store / name / "train") for name in FEATURE_TABLES])
    venomous = read_venom_list(PHILIPPINE_SNAKES / "metadata" / VENOM_LIST)
    train, test = halves(table, seed)
    backbone = open_backbone(str(VIT_TINY), device="cpu", precision="fp32", view=LOOK)
    cpu = time.process_time()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "tuned"
        folder.mkdir()
        task = tuning_task(images, train, venomous, held_out, seed)
        learner = build_learner(backbone, task.start, settings)
        last: list[Moment] = []
        curve = finetune(
            backbone,
            learner,
            task.photos,
            task.scored,
            task.seen,
            settings,
            folder,
            Path(name),
            task.judge,
            last.append,
        )
        minutes, memory = (time.process_time() - cpu) / 60 / 2, peak_rss_mb()
        tuned = open_backbone(str(folder), device="cpu", precision="fp32", view=LOOK)
        of_tuned = (seen_by(tuned, images, train), seen_by(tuned, images, test))
    arms: dict[str, tuple[FeatureTable, FeatureTable]] = {
        "frozen": (train, test),
        "tuned": of_tuned,
        "both": (beside(train, of_tuned[0]), beside(test, of_tuned[1])),
    }
    scores = {arm: judged(*parts, venomous) for arm, parts in arms.items()}
    told = ", ".join(f"{arm} {track1:.2f} / {f1:.2f}" for arm, (track1, f1) in scores.items())
    print(f"split {seed}: {told}; {minutes:.1f} min; held out {dict(curve[-1])}", flush=True)
    return {"scores": scores, "minutes": minutes, "peak_mb": memory}


def main(arguments: Sequence[str] | None = None) -> dict[str, object]:
    """Measure and print."""
    parser = options(__doc__, rounds=1)
    parser.add_argument("--splits", type=int, default=5, help="splits of the real photos")
    parser.add_argument("--first", type=int, default=0, help="number of the first split")
    parser.add_argument("--set", type=json.loads, default={}, dest="settings", help="of the tuning, as JSON")
    parser.add_argument("--held-out", type=float, default=0.2, help="share that is kept from the tuning")
    parser.add_argument("--store", type=Path, default=None, help="store with the real photos' embeddings")
    parser.add_argument("--plan", action="store_true", help="tell what ViT-B/14 takes, and nothing else")
    given = parser.parse_args(arguments)
    settings = FinetuneSettings(**given.settings)
    if given.plan:
        return finish(plan_of_vit_base(settings))
    with (
        tempfile.TemporaryDirectory() as name,
        ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool,
    ):
        store = given.store or Path(name)
        fill(store)
        seeds = range(given.first, given.first + given.splits)
        runs = [pool.submit(one_split, store, seed, settings, given.held_out) for seed in seeds]
        found = [run.result() for run in runs]
    result: dict[str, object] = {"splits": given.splits, "settings": given.settings}
    scores = {arm: np.array([run["scores"][arm] for run in found]) for arm in ARMS}
    for place, of in enumerate(("track1", "f1")):
        for arm in ARMS:
            result[f"{arm}_{of}"] = round(float(scores[arm][:, place].mean()), 2)
        for arm in ARMS[1:]:
            difference = scores[arm][:, place] - scores["frozen"][:, place]
            result[f"{arm}_over_frozen_{of}"] = round(float(difference.mean()), 2)
            result[f"{arm}_over_frozen_{of}_interval"] = t_interval(difference)
    result["minutes"] = middle([run["minutes"] for run in found])
    result["peak_mb"] = significant(max(run["peak_mb"] for run in found))
    return finish(result)


def plan_of_vit_base(settings: FinetuneSettings) -> dict[str, object]:
    """What the cost model says of DINOv2-base on the photos of SnakeCLEF 2024."""
    from transformers import Dinov2Config, Dinov2Model

    with tempfile.TemporaryDirectory() as name:
        Dinov2Model(Dinov2Config()).save_pretrained(name)
        shutil.copy(VIT_TINY / "preprocessor_config.json", name)
        backbone = open_backbone(name, device="cpu", precision="fp32")
        costs = estimated(backbone, 168_144, settings)
    return {
        cost.device: {
            key: significant(value) if isinstance(value, float) else value
            for key, value in asdict(cost).items()
        }
        for cost in costs
    }


if __name__ == "__main__":
    main()
