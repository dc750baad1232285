"""The rungs: the paper's recipe, then one fault mended at a time, then one addition at a time."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

from snake_assets.ladder.settings import PaperTrainer, Rung, RungSettings
from snake_assets.learning.feature_table import WHOLE_BLOCKS
from snake_assets.learning.settings import FeatureSet, TrainingSettings

PAPER = "the paper's recipe"
OWN = "the package's classifier"


def rungs(own: TrainingSettings, paper_runs: int) -> list[Rung]:
    """All rungs, each with one change to the one before.

    A step that would change nothing, because `own` does without it, is left out.

    Args:
        own: the settings of the package's classifier, which is the last rung.
        paper_runs: how often each rung with the paper's trainer is run.
    """
    faults = RungSettings(trainer=PaperTrainer(runs=paper_runs))
    ladder = [Rung(name=PAPER, change="DCT features, trained and submitted with all faults", settings=faults)]
    for name, change, updates in [*_REPAIRS, *_additions(own)]:
        before = ladder[-1].settings
        trainer = updates.get("trainer", {})
        if isinstance(trainer, Mapping):
            trainer = _updated(before.trainer, trainer)
        settings = _updated(before, {**updates, "trainer": trainer})
        if settings != before:
            ladder.append(Rung(name=name, change=change, settings=settings))
    return ladder


Settings = TypeVar("Settings", bound=BaseModel)
_Step = tuple[str, str, Mapping[str, Any]]
# "trainer" holds changes to the trainer, or another one.
_REPAIRS: list[_Step] = [
    (
        "class_id submitted",
        "species are submitted by their class_id, not by their place in the order of frequency",
        {"numbering": "class_id"},
    ),
    (
        "pixels rescaled once",
        "at inference pixels are divided by 255 once, as for training, not twice",
        {"rescaled_twice": False},
    ),
    (
        "all training photos read",
        "extensions in any case and HerpMapper's photos are read, not *.jpg of iNaturalist alone",
        {"photos_read": "all"},
    ),
    (
        "all photos of an observation",
        "the probabilities of all its photos are averaged, instead of the first photo deciding",
        {"one_photo": False},
    ),
    (
        "split by observation",
        "no observation lies on both sides of the trainer's own split",
        {"trainer": {"split_by": "observation"}},
    ),
    ("orthonormal DCT", "the DCT is scaled to an orthonormal one", {"trainer": {"orthonormal_dct": True}}),
    (
        "best checkpoint",
        "the epoch of least held-out loss is submitted, not the last one",
        {"trainer": {"checkpoint": "best"}},
    ),
]


def _additions(own: TrainingSettings) -> list[_Step]:
    plain = {
        "feature_sets": [("cls",)],
        "standardise": [True],
        "shrinkages": [1.0],
        "weight_decays": own.weight_decays[:1],
        "class_weightings": own.class_weightings[:1],
        "learning_rates": own.learning_rates[:1],
        "label_smoothings": own.label_smoothings[:1],
        "average": 1,
        "near_duplicates": None,
        "poolings": own.poolings[:1],
        "neighbours": [],
    }
    return [
        ("CLS token", "the CLS token takes the place of the DCT", {"trainer": {"features": ("cls",)}}),
        (
            "standardised features",
            "columns are brought to mean 0 and variance 1",
            {"trainer": {"standardised": True}},
        ),
        (
            "trained to convergence on all of train",
            "nothing is held back: large batches, a falling learning rate and a weight decay",
            {"trainer": _updated(own, plain)},
        ),
        (
            "weight decay chosen on folds",
            f"out of {len(own.weight_decays)}, by held-out Track 1 and log-loss",
            {"trainer": {"weight_decays": own.weight_decays}},
        ),
        (
            "near copies kept together",
            "folds part no two photos that are nearly the same",
            {"trainer": {"near_duplicates": own.near_duplicates}},
        ),
        (
            "mean patch token",
            "the folds may choose it beside the CLS token",
            {"trainer": {"feature_sets": _made_of(own, "cls", "patch_mean")}},
        ),
        (
            "DCT beside them",
            "the folds may choose it beside both",
            {"trainer": {"feature_sets": _made_of(own, "cls", "patch_mean", "dct")}},
        ),
        (
            "earlier layers",
            "the folds may choose their tokens beside these, where the embeddings hold them",
            {"trainer": {"feature_sets": _made_of(own, *WHOLE_BLOCKS)}},
        ),
        (
            "crops",
            "the folds may choose what the backbone sees of the crop, beside the whole photo or instead",
            {"trainer": {"feature_sets": own.feature_sets}},
        ),
        (
            "columns not standardised",
            "the folds may leave the columns their own variances",
            {"trainer": {"standardise": own.standardise}},
        ),
        (
            "whitened within species",
            f"by one of {len(own.shrinkages)} shrinkages, chosen on folds",
            {"trainer": {"shrinkages": own.shrinkages}},
        ),
        (
            "rare species weighed",
            f"by {' or '.join(own.class_weightings)}, chosen on folds",
            {"trainer": {"class_weightings": own.class_weightings}},
        ),
        (
            "learning rate chosen on folds",
            f"out of {len(own.learning_rates)}",
            {"trainer": {"learning_rates": own.learning_rates}},
        ),
        (
            "labels smoothed",
            f"by one of {len(own.label_smoothings)} shares, chosen on folds",
            {"trainer": {"label_smoothings": own.label_smoothings}},
        ),
        ("heads averaged", f"the best {own.average} at most", {"trainer": {"average": own.average}}),
        (
            "photos pooled by the best way",
            f"out of {', '.join(own.poolings)}, chosen on folds",
            {"trainer": {"poolings": own.poolings}},
        ),
        (
            "votes of nearest and mean photos",
            "blended in where the folds say that it is clearly better",
            {"trainer": {"neighbours": own.neighbours}},
        ),
        (
            OWN,
            "decided by argmax, unless track1 or track2 is clearly better on the folds",
            {"trainer": own, "rule": None},
        ),
    ]


def _made_of(own: TrainingSettings, *blocks: str) -> list[FeatureSet]:
    # A feature set that needs other blocks has a step of its own.
    return [names for names in own.feature_sets if set(names) <= set(blocks)] or [("cls",)]


def _updated(settings: Settings, updates: Mapping[str, Any]) -> Settings:
    # Validated anew, so that a setting that is no more is an error here and not a rung without effect.
    return type(settings).model_validate({**dict(settings), **updates})
