"""A training: what it writes, that it learns, and that killed it ends in the same weights."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from snake_assets.defs.lib.retries import is_transient
from snake_assets.vision.backbone.backbone import Backbone, open_backbone
from snake_assets.vision.errors import FinetuningError
from snake_assets.vision.finetuning.model import Start
from snake_assets.vision.finetuning.photos import LabelledPhotos
from snake_assets.vision.finetuning.settings import FinetuneSettings
from snake_assets.vision.finetuning.training import Moment, Report, finetune, steps_of
from snake_assets_tests.vision.finetuning.conftest import CLASSES, learned_in, learner_of

Photos = tuple[LabelledPhotos, LabelledPhotos]
SEEN = ["c3", "a1", "b2"]


def trained(
    root: Path,
    backbone: Backbone,
    start: Start,
    photos: Photos,
    report: Report = lambda moment: None,
    every: float = 1e9,
    **settings: object,
) -> Sequence[Mapping[str, float]]:
    """Train into `out` under a root, with checkpoints beside it; returns the curve."""
    for name in ("out", "checkpoints"):
        (root / name).mkdir(parents=True, exist_ok=True)
    given = {"batch": 3, "epochs": 2, **settings}
    return finetune(
        backbone,
        learner_of(backbone, start, **given),
        *photos,
        SEEN,
        FinetuneSettings.model_validate(given),
        root / "out",
        root / "checkpoints",
        lambda logits: {"f1": float((logits.argmax(1) == photos[1].labels).mean() * 100)},
        report,
        every,
    )


def difference(one: Path, other: Path) -> float:
    """The largest between two trainings' weights."""
    first, second = (load_file(root / "out" / "model.safetensors") for root in (one, other))
    assert first.keys() == second.keys()
    return max(float((first[name] - second[name]).abs().max()) for name in first)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_it_learns_and_leaves_a_backbone_that_says_what_it_has_seen(
    method: str, tmp_path: Path, backbone: Backbone, start: Start, photos: Photos
) -> None:
    told: list[Moment] = []
    rates = {"learning_rate": 0.01, "head_learning_rate": 0.05, "weight_decay": 0}
    curve = trained(tmp_path, backbone, start, photos, told.append, method=method, epochs=5, rank=4, **rates)
    losses = [row["loss"] for row in curve[1:]]
    assert "loss" not in curve[0], "before the first step it is scored, too"
    assert losses[-1] < 0.7 * losses[0]
    assert curve[-1]["held_out_loss"] < curve[0]["held_out_loss"]
    assert (curve[-1]["step"], curve[-1]["f1"]) == (15, 100)
    assert [moment.step for moment in told] == sorted(moment.step for moment in told)
    assert told[-1].steps == 15

    out = tmp_path / "out"
    files = {"config.json", "model.safetensors", "preprocessor_config.json", "seen_photos.txt"}
    assert {path.name for path in out.iterdir()} == files
    assert (out / "seen_photos.txt").read_text().split() == sorted(SEEN)
    tuned = open_backbone(str(out), device="cpu", precision="fp32")
    assert tuned.preprocessing == backbone.preprocessing
    assert tuned.seen == set(SEEN) and not backbone.seen
    assert tuned.digest != backbone.digest
    assert json.loads((out / "config.json").read_text())["model_type"] == "dinov2"
    pixels = torch.zeros(1, 3, 56, 56)
    assert not torch.allclose(tuned.see(pixels).embedding, backbone.see(pixels).embedding, atol=1e-2)

    # What is tuned once more tells of both times.
    again = tmp_path / "again"
    trained(again, tuned, start, photos, epochs=1)
    assert open_backbone(str(again / "out"), device="cpu").seen == set(SEEN)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, backbone: Backbone, start: Start, photos: Photos) -> Path:
    root = tmp_path_factory.mktemp("plain")
    trained(root, backbone, start, photos, epochs=1)
    return root


@pytest.mark.parametrize(
    "settings",
    [{"venom_weight": 1.0}, {"mixup": 1.0, "erasing": 1.0}, {"logit_adjustment": 0.0, "accumulation": 2}],
    ids=str,
)
def test_each_setting_gives_other_weights(
    settings: dict[str, object], plain: Path, tmp_path: Path, backbone: Backbone, start: Start, photos: Photos
) -> None:
    trained(tmp_path, backbone, start, photos, epochs=1, **settings)
    assert difference(plain, tmp_path) > 1e-6


def test_activations_that_are_computed_twice_give_the_same_weights(
    plain: Path, tmp_path: Path, backbone: Backbone, start: Start, photos: Photos
) -> None:
    trained(tmp_path, backbone, start, photos, epochs=1, checkpointing=True)
    assert difference(plain, tmp_path) < 1e-5


class Killed(Exception):
    """As a signal would."""


@pytest.mark.parametrize(
    "settings", [{"ema": 0.5, "mixup": 1.0}, {"method": "lora", "rank": 2, "cutmix": 1.0}], ids=str
)
def test_killed_it_goes_on_and_ends_in_the_same_weights(
    settings: dict[str, object], tmp_path: Path, backbone: Backbone, start: Start, photos: Photos
) -> None:
    settings = {**settings, "epochs": 7}  # scored at every other step
    whole = trained(tmp_path / "whole", backbone, start, photos, **settings)

    def dying(moment: Moment) -> None:
        if moment.step >= 4:
            raise Killed

    killed, steps = tmp_path / "killed", list[int]()
    with pytest.raises(Killed):
        trained(killed, backbone, start, photos, dying, every=0, **settings)
    kept = killed / "checkpoints"
    assert sorted(path.name for path in kept.iterdir()) == ["checkpoint-2", "checkpoint-3"]
    # A part of one, as a kill leaves it.
    (kept / "checkpoint-5").mkdir()
    (kept / "checkpoint-5" / "model.safetensors").write_bytes(b"half")
    curve = trained(killed, backbone, start, photos, lambda moment: steps.append(moment.step), **settings)
    assert min(steps) == 4
    assert learned_in(killed / "out") == learned_in(tmp_path / "whole" / "out")
    # The mean loss since it was last told is one of fewer steps after a kill.
    assert [{**row, "loss": 0} for row in curve] == [{**row, "loss": 0} for row in whole]


def test_what_ends_a_training_is_told_in_a_sentence(
    tmp_path: Path, backbone: Backbone, start: Start, photos: Photos
) -> None:
    def lacking(moment: Moment) -> None:
        raise MemoryError

    with pytest.raises(FinetuningError, match=r"too little memory for batches of 3 photos.* halve `batch`"):
        trained(tmp_path / "memory", backbone, start, photos, lacking)

    def faulty(moment: Moment) -> None:
        raise RuntimeError("another fault")

    with pytest.raises(RuntimeError, match="another fault") as raised:
        trained(tmp_path / "faulty", backbone, start, photos, faulty)
    assert not is_transient(raised.value), "and whoever follows its causes comes to an end"
    endless = Start(start.weight, np.full(CLASSES, np.nan, np.float32), start.prior)
    with pytest.raises(FinetuningError, match="not finite: set a lower learning_rate"):
        trained(tmp_path / "endless", backbone, endless, photos, epochs=1)
    assert not any((tmp_path / "endless" / "out").iterdir())


def test_steps_are_of_whole_batches_and_one_at_least() -> None:
    assert steps_of(9, FinetuneSettings(batch=4, accumulation=2, epochs=3)) == 3
    assert steps_of(9, FinetuneSettings(batch=64, epochs=1)) == 1
