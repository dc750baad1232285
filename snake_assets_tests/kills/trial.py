"""Kill, look, run on: a store is carried through two versions of its data by runs that are killed."""

import os
import random
import shutil
import signal
import tarfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

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
    first, second = (root / version for version in VERSIONS)
    shutil.copytree(root / "drawn", first)
    shutil.copytree(root / "drawn", second)
    for split in ("train", "val", "test"):
        photos = [path for path in sorted((second / split).rglob("*.jpg")) if path.stat().st_size > 1000]
        for photo, other in zip(photos[:CHANGED], photos[CHANGED:], strict=False):
            shutil.copyfile(other, photo)
            os.utime(photo, ns=(1, 1))
    for version in (first, second):
        with tarfile.open(version / "private_testset.tar", "w") as archive:
            archive.add(version / "test", "private_testset")
        shutil.rmtree(version / "test")


def choose(root: Path, version: str) -> Path:
    """Make `root/data` the data of a version; the path is the same for both, as after a change in place."""
    link = root / "data"
    link.unlink(missing_ok=True)
    link.symlink_to(root / version, target_is_directory=True)
    return link


@dataclass(frozen=True)
class Undisturbed:
    """What a run without a kill comes to: seconds in all and of each step, and what the store then holds."""

    seconds: float
    steps: Mapping[str, float]
    versions: Mapping[str, str]
    units: Mapping[str, set[str]]
    plain_files: Mapping[str, str]


@dataclass
class Tally:
    """What came of the kills.

    Attributes:
        by_asset: kills by the step that was running.
        lost: what was neither old nor new, was gone, or was made again although it was finished.
        wrong_ends: what was wrong after a run to the end; each is told in words, like what was lost.
    """

    by_asset: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    wrong_ends: list[str] = field(default_factory=list)
    ended_right: int = 0

    @property
    def kills(self) -> int:
        """All kills."""
        return self.by_asset.total()


class Trial:
    """Runs of the job on one store, most of which are killed."""

    def __init__(self, root: Path, runner: Runner, seed: int) -> None:
        """Draw the data, and run the job once on each version without a kill."""
        self.tally = Tally()
        self._root, self._runner, self._draw = root, runner, random.Random(seed)
        self._store, self._running = root / "store", root / "running"
        build_demo_backbone(root / "backbone")
        draw_versions(root)
        data = choose(root, VERSIONS[0])
        runner.prepare(data, self._store, root / "backbone", self._running)
        self._undisturbed = {version: self._run_undisturbed(version) for version in VERSIONS}

    def go_on(self, kills: int) -> None:
        """Kill runs until there were so many kills, and let the last one end."""
        while self.tally.kills < kills:
            shutil.rmtree(self._store)
            before: Mapping[str, str] = {}
            for version in VERSIONS:
                if self.tally.kills < kills:
                    choose(self._root, version)
                    self._lap(self._undisturbed[version], before, kills)
                    before = self._undisturbed[version].versions

    def _run_undisturbed(self, version: str) -> Undisturbed:
        choose(self._root, version)
        ended = self._runner.run()
        assert ended.exitcode == 0, f"the job fails on the {version} version of the data, without a kill"
        held = [look(self._store) for look in (stores.versions, stores.units, stores.plain_files)]
        return Undisturbed(ended.seconds, ended.returned, *held)

    def _lap(self, wanted: Undisturbed, before: Mapping[str, str], kills: int) -> None:
        """From one version of the data to the next: runs, killed until one ends before it is killed."""
        faults, killed, finished = [], 0, self._finished()
        old = {key for key in finished if key[1] not in wanted.units.get(key[0], ())}
        while True:
            moment = self._moment(wanted) if self.tally.kills < kills else None
            ended = self._runner.run(moment)
            if ended.exitcode not in (0, -signal.SIGKILL):
                faults.append(f"a run after a kill ended with exit code {ended.exitcode}")
                break
            kept = {key: stamp for key, stamp in finished.items() if key not in old}
            faults += self._look(wanted, before, kept)
            finished = self._finished()
            if ended.exitcode == 0:
                break
            killed += 1
            self.tally.by_asset[self._running.read_text().splitlines()[-1]] += 1
        self.tally.lost += faults
        wrong = [] if faults else self._look_at_the_end(wanted)
        self.tally.wrong_ends += wrong
        self.tally.ended_right += 0 if faults or wrong else killed

    def _moment(self, wanted: Undisturbed) -> Moment:
        """Every other kill falls anywhere in a run, and the others in the assets that had the fewest."""
        if self.tally.kills % 2:
            assets = sorted(step for step in wanted.steps if not step.endswith(ONLY_LOOK))
            fewest = min(self.tally.by_asset[step] for step in assets)
            step = self._draw.choice([step for step in assets if self.tally.by_asset[step] == fewest])
            return Moment(step, self._draw.uniform(0, wanted.steps[step]))
        return Moment(None, self._draw.uniform(0, wanted.seconds))

    def _finished(self) -> dict[tuple[str, str], stores.Stamp]:
        return stores.finished(self._store) if self._store.is_dir() else {}

    def _look(
        self,
        wanted: Undisturbed,
        before: Mapping[str, str],
        kept: Mapping[tuple[str, str], stores.Stamp],
    ) -> Iterator[str]:
        """What is neither old nor new, and what is gone or made again although it was finished."""
        found = stores.versions(self._store)
        for name in sorted(before.keys() | found.keys()):
            if name not in found:
                yield f"{name} is gone"
            elif found[name] not in (before.get(name), wanted.versions.get(name)):
                yield f"{name} is neither the old nor the new one"
        now = self._finished()
        for (name, unit), stamp in kept.items():
            if now.get((name, unit)) != stamp:
                yield f"{stamp[0]} of {name} was finished, and is gone or was made again"

    def _look_at_the_end(self, wanted: Undisturbed) -> list[str]:
        wrong = [
            f"{name} is another than without a kill"
            for found, expected in (
                (stores.versions(self._store), wanted.versions),
                (stores.plain_files(self._store), wanted.plain_files),
            )
            for name in sorted(expected.keys() | found.keys())
            if found.get(name) != expected.get(name)
        ]
        return wrong + [f"{name} was left behind" for name in stores.strays(self._store)]


def kill_and_tell(root: Path, kills: int, seed: int) -> dict[str, object]:
    """A whole trial in an empty folder, as it is told; two runs of it have no kill."""
    began = time.perf_counter()
    with interruptible(whole_job, PRELOAD) as runner:
        trial = Trial(root, runner, seed)
        trial.go_on(kills)
    tally = trial.tally
    return {
        "kills": tally.kills,
        "ended_right": tally.ended_right,
        "lost": len(tally.lost),
        "by_asset": dict(tally.by_asset.most_common()),
        "seconds": round(time.perf_counter() - began, 1),
        "seed": seed,
        "faults": [*tally.lost, *tally.wrong_ends],
    }
