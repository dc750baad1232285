"""Kill, look, run on: a store is carried through two versions of its data by runs that are killed."""

import os
import random
import shutil
import signal
import tarfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snake_assets.demo.backbone import build_demo_backbone
from snake_assets.demo.dataset import draw_demo_set
from snake_assets_tests.interrupting import Runner, interruptible
from snake_assets_tests.kills import stores
from snake_assets_tests.kills.whole_job import PRELOAD, Moment, whole_job

SHARE = 0.01  # a photo or two of every observation that the demo set must have
VERSIONS, CHANGED = ("first", "second"), 2
# Steps that check what others wrote, and write nothing.
ONLY_LOOK = ("_checks", "comparison_of_splits")


def draw_versions(root: Path) -> None:
    """Make the folders `first` and `second` of raw data, the second with a few photos changed in every split.

    The test split is in an archive.
    """
    draw_demo_set(root / "drawn", share=SHARE)
    first, second = (Path(shutil.copytree(root / "drawn", root / version)) for version in VERSIONS)
    for split in ("train", "val", "test"):
        photos = [path for path in sorted((second / split).rglob("*.jpg")) if path.stat().st_size > 1000]
        for photo, other in zip(photos[:CHANGED], photos[CHANGED:], strict=False):
            shutil.copyfile(other, photo)
            os.utime(photo, ns=(1, 1))
    for version in (first, second):
        with tarfile.open(version / "private_testset.tar", "w") as archive:
            archive.add(version / "test", "private_testset")
        shutil.rmtree(version / "test")


@dataclass(frozen=True)
class Undisturbed:
    """What a run without a kill comes to: seconds in all and of each step, and what the store then holds."""

    seconds: float
    steps: Mapping[str, float]
    versions: Mapping[str, str]
    at_rest: Mapping[str, str]
    finished: Mapping[tuple[str, str], stores.Stamp]


class Trial:
    """Runs of the job on one store, most of which are killed.

    Attributes:
        by_asset: kills by the step that was running.
        ended_right: kills after which the next run to the end left what an undisturbed one leaves.
        lost: in words, what was neither old nor new, was gone, or was made again although it was finished.
        wrong_ends: in words, what was wrong after a run to the end.
    """

    def __init__(self, root: Path, runner: Runner, seed: int) -> None:
        """Draw the data, and run the job once on each version without a kill."""
        self.by_asset: Counter[str] = Counter()
        self.ended_right, self.lost, self.wrong_ends = 0, list[str](), list[str]()
        self._root, self._runner, self._draw = root, runner, random.Random(seed)
        self._store, self._running = root / "store", root / "running"
        build_demo_backbone(root / "backbone")
        draw_versions(root)
        runner.prepare(root / "data", self._store, root / "backbone", self._running)
        self._undisturbed = {version: self._run_undisturbed(version) for version in VERSIONS}

    def go_on(self, kills: int) -> None:
        """Kill runs until there were so many kills, and let the last one end."""
        while self.by_asset.total() < kills:
            shutil.rmtree(self._store)
            before: Mapping[str, str] = {}
            for version in VERSIONS:
                if self.by_asset.total() < kills:
                    self._choose(version)
                    self._lap(self._undisturbed[version], before, kills)
                    before = self._undisturbed[version].versions

    def _choose(self, version: str) -> None:
        """Make `data` that of a version; the path is the same for both, as after a change in place."""
        (self._root / "data").unlink(missing_ok=True)
        (self._root / "data").symlink_to(self._root / version, target_is_directory=True)

    def _run_undisturbed(self, version: str) -> Undisturbed:
        self._choose(version)
        ended = self._runner.run()
        assert ended.exitcode == 0, f"the job fails on the {version} version of the data, without a kill"
        held = [look(self._store) for look in (stores.versions, stores.at_rest, stores.finished)]
        return Undisturbed(ended.seconds, ended.returned, *held)

    def _lap(self, wanted: Undisturbed, before: Mapping[str, str], kills: int) -> None:
        """From one version of the data to the next: runs, killed until one ends before it is killed."""
        faults, killed, finished = [], 0, self._finished()
        old = finished.keys() - wanted.finished.keys()
        while True:
            ended = self._runner.run(self._moment(wanted) if self.by_asset.total() < kills else None)
            if ended.exitcode not in (0, -signal.SIGKILL):
                faults.append(f"a run after a kill ended with exit code {ended.exitcode}")
                break
            kept = {key: stamp for key, stamp in finished.items() if key not in old}
            finished = self._finished()
            faults += self._faults(wanted, before, kept, finished)
            if ended.exitcode == 0:
                break
            killed += 1
            self.by_asset[self._running.read_text().splitlines()[-1]] += 1
        wrong = [] if faults else self._wrong_ends(wanted)
        self.lost += faults
        self.wrong_ends += wrong
        self.ended_right += 0 if faults or wrong else killed

    def _moment(self, wanted: Undisturbed) -> Moment:
        """Every other kill falls anywhere in a run, and the others in the assets that had the fewest."""
        if self.by_asset.total() % 2:
            assets = sorted(step for step in wanted.steps if not step.endswith(ONLY_LOOK))
            fewest = min(self.by_asset[step] for step in assets)
            step = self._draw.choice([step for step in assets if self.by_asset[step] == fewest])
            return Moment(step, self._draw.uniform(0, wanted.steps[step]))
        return Moment(None, self._draw.uniform(0, wanted.seconds))

    def _wrong_ends(self, wanted: Undisturbed) -> list[str]:
        found = stores.at_rest(self._store)
        names = sorted(name for name, _ in found.items() ^ wanted.at_rest.items())
        return [f"{name} is another than without a kill" for name in dict.fromkeys(names)]

    def _finished(self) -> dict[tuple[str, str], stores.Stamp]:
        return stores.finished(self._store) if self._store.is_dir() else {}

    def _faults(
        self,
        wanted: Undisturbed,
        before: Mapping[str, str],
        kept: Mapping[tuple[str, str], stores.Stamp],
        finished: Mapping[tuple[str, str], stores.Stamp],
    ) -> Iterator[str]:
        """What is neither old nor new, and what is gone or made again although it was finished."""
        found = stores.versions(self._store)
        for name in sorted(before.keys() | found.keys()):
            if name not in found:
                yield f"{name} is gone"
            elif found[name] not in (before.get(name), wanted.versions.get(name)):
                yield f"{name} is neither the old nor the new one"
        for (name, unit), stamp in kept.items():
            if finished.get((name, unit)) != stamp:
                yield f"{stamp[0]} of {name} was finished, and is gone or was made again"


def kill_and_tell(root: Path, kills: int, seed: int) -> dict[str, Any]:
    """A whole trial in an empty folder, as it is told; two runs of it have no kill."""
    began = time.perf_counter()
    with interruptible(whole_job, PRELOAD) as runner:
        trial = Trial(root, runner, seed)
        trial.go_on(kills)
    return {
        "kills": trial.by_asset.total(),
        "ended_right": trial.ended_right,
        "lost": len(trial.lost),
        "by_asset": dict(trial.by_asset.most_common()),
        "seconds": round(time.perf_counter() - began, 1),
        "seed": seed,
        "faults": [*trial.lost, *trial.wrong_ends],
    }
