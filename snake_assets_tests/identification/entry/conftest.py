"""An entry with the demo's backbone, trained on coloured noise."""

import csv
import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import pytest

from snake_assets.identification.entry.build import METADATA, write_entry
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.decision.rules import DecisionRule
from snake_assets.vision.backbone.backbone import open_backbone
from snake_assets_tests.identification.conftest import Made

SAFEST_OF = "nothing is known of it"


def write_metadata(file: Path, rows: Sequence[tuple[str, str]]) -> None:
    """Rows of observation_id and filename."""
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows([("observation_id", "filename"), *rows])


@dataclass(frozen=True)
class Entry:
    """An entry's folder, the runner's data folder, and where the script writes."""

    folder: Path
    data: Path
    work: Path
    classifier: SpeciesClassifier

    @property
    def photos(self) -> Path:
        return self.data / "private_testset"

    def script(self, patch: pytest.MonkeyPatch) -> ModuleType:
        """script.py of the folder, imported as a module of its own."""
        patch.setenv("SNAKE_ENTRY_DATA", str(self.data))
        patch.chdir(self.work)
        spec = importlib.util.spec_from_file_location("entry_script", self.folder / "script.py")
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, "entry_script", module)
        spec.loader.exec_module(module)
        return module

    def answers(self, patch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
        """What the script answers, in its order."""
        self.script(patch).main()
        with (self.work / "submission.csv").open(newline="") as file:
            return [(row["observation_id"], int(row["class_id"])) for row in csv.DictReader(file)]


@pytest.fixture
def make(made: Made, demo_backbone: Path, tmp_path: Path) -> Callable[..., Entry]:
    """Builds an entry for the photos of `made` and one observation without any."""

    def built(rule: DecisionRule = "argmax") -> Entry:
        backbone = open_backbone(str(demo_backbone), precision="fp32")
        rows = [(observation, path.name) for path, observation in made.photos]
        write_metadata(tmp_path / METADATA, [*rows, (SAFEST_OF, "never seen.jpg")])
        entry = Entry(
            tmp_path / "entry", tmp_path / "data", tmp_path / "work", replace(made.classifier, rule=rule)
        )
        for folder in (entry.folder, entry.photos, entry.work):
            folder.mkdir(parents=True)
        for path, _ in made.photos:
            (entry.photos / path.name).write_bytes(path.read_bytes())
        write_entry(entry.classifier, backbone, tmp_path / METADATA, entry.folder)
        return entry

    return built
