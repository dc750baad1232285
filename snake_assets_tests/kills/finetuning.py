"""The job `finetune`, killed again and again: it goes on from its checkpoints, to the same weights."""

import random
import shutil
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

from snake_assets.demo.backbone import build_demo_backbone
from snake_assets.demo.dataset import draw_demo_set
from snake_assets.storage.io import digest
from snake_assets_tests.interrupting import Job, Runner, interruptible
from snake_assets_tests.kills.whole_job import PRELOAD

SHARE, SECONDS_BETWEEN_CHECKPOINTS = 0.05, 1.0
# A kill falls within this share of an undisturbed run, so that several fall into one training.
LATEST = 0.5
SMALL = {"resolution": 56}


def tuning_job(data: Path, store: Path, backbone: Path, epochs: int) -> Job:
    """Runs the job `features` of train, or `finetune` with every method's own state in the checkpoints."""
    import dagster as dg
    import torch

    from snake_assets.definitions import build_definitions
    from snake_assets.defs.assets import finetuned_backbone
    from snake_assets.defs.resources.backbone import BackboneSetting
    from snake_assets.defs.resources.storage import RawData, Store

    torch.set_num_threads(1)  # the threads of a pool would not live on in what is forked
    finetuned_backbone.finetune = partial(finetuned_backbone.finetune, every=SECONDS_BETWEEN_CHECKPOINTS)
    graph = build_definitions(
        resources={
            "raw_data": RawData(root=str(data)),
            "store": Store(root=str(store)),
            "backbone": BackboneSetting(name=str(backbone), device="cpu"),
        }
    )
    tuning = {**SMALL, "epochs": epochs, "batch": 8, "mixup": 0.5, "ema": 0.9}
    ops = {
        "features": {"embeddings": {"config": SMALL}},
        "finetune": {"finetuned_backbone": {"config": tuning}},
    }

    def job(name: str) -> None:
        config = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}, "ops": ops[name]}
        split = "train" if name == "features" else None
        with dg.DagsterInstance.ephemeral() as instance:
            graph.resolve_job_def(name).execute_in_process(
                instance=instance, run_config=config, partition_key=split
            )

    return job


def kill_the_tuning(root: Path, kills: int, seed: int, epochs: int = 60) -> dict[str, Any]:
    """A whole trial in an empty folder, as it is told; one training of it has no kill."""
    began, draw = time.perf_counter(), random.Random(seed)
    store, faults = root / "store", list[str]()
    build_demo_backbone(root / "backbone")
    draw_demo_set(root / "data", share=SHARE)
    with interruptible(tuning_job, [*PRELOAD, "peft", "accelerate", "torchvision.transforms.v2"]) as runner:
        runner.prepare(root / "data", store, root / "backbone", epochs)
        assert runner.run("features").exitcode == 0, "the features cannot be made, without a kill"
        whole = runner.run("finetune")
        assert whole.exitcode == 0, "the tuning fails without a kill"
        wanted = digest(_weights(store))
        killed = ended_right = went_on = 0
        while killed < kills:
            shutil.rmtree(store / "finetuned_backbone")
            own, on = _one_training(runner, store, kills - killed, whole.seconds, draw)
            killed, went_on = killed + own, went_on + on
            if not _weights(store).is_file() or digest(_weights(store)) != wanted:
                faults.append(f"after {own} kills the weights are others than without")
            else:
                ended_right += own
    return {
        "kills": killed,
        "ended_right": ended_right,
        "lost": 0,
        "killed_with_a_checkpoint": went_on,
        "undisturbed_seconds": round(whole.seconds, 1),
        "seconds": round(time.perf_counter() - began, 1),
        "seed": seed,
        "faults": faults,
    }


def _weights(store: Path) -> Path:
    return store / "finetuned_backbone" / "model.safetensors"


def _one_training(
    runner: Runner, store: Path, kills: int, seconds: float, draw: random.Random
) -> tuple[int, int]:
    """Runs until one ends: how many were killed, and how many of these left a whole checkpoint."""
    killed = went_on = 0
    while True:
        moment = draw.uniform(0, LATEST * seconds) if killed < kills else None
        if runner.run("finetune", kill_after=moment).exitcode != -signal.SIGKILL:
            return killed, went_on
        killed += 1
        went_on += any((store / "finetuned_backbone.checkpoints").glob("*/checkpoint-*/whole"))
