"""What answers are worth: on photos of train that the models behind the figures have not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from snake_assets.identification.gallery import fit_nearness, observe
from snake_assets.identification.thresholds import (
    LEAST_ANSWERED,
    AnswerLevel,
    Columns,
    Flags,
    Observations,
    Promises,
    Species,
    fit_familiarity,
    fit_thresholds,
    joined,
    truths,
)
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.decision.pooling import observation_rows
from snake_assets.learning.feature_table import FeatureTable
from snake_assets.learning.train import folds_of, refit
from snake_assets.storage.bundles import Bundle

SPLITS, RESAMPLES = 10, 2000
# What the report looks at: with more photos, or more species to train on over and over, it would take hours.
# So many species or fewer are left out one by one; more, in a few groups.
REPORT_PHOTOS, STRANGER_SPECIES, ONE_BY_ONE, STRANGER_GROUPS = 20_000, 65, 30, 5
RISK_STEPS = 20
LEVELS_IN_WORDS: Mapping[AnswerLevel, str] = {
    "species": "by species",
    "genus": "by genus",
    "venomous_unsure": "of venomous, species unsure,",
}
OPERATION_FILE = "operation.json"
Progress = Callable[[str], None]


class Kept(BaseModel):
    """A promise, and what came of it over 10 splits of the held-out observations.

    Attributes:
        promise: in words.
        promised: share.
        achieved: mean share over the splits; None where there was nothing to measure.
        standard_error: of that mean. The splits share their observations, which is allowed for after Nadeau
            and Bengio, "Inference for the Generalization Error" (2003).
        observations: mean number per split that the share is of.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    promise: str
    promised: float
    achieved: float | None
    standard_error: float | None
    observations: float


class Stranger(BaseModel):
    """A species that a model was trained without: how well it is told apart, and how often it is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    species: str
    observations: int
    auroc: float
    refused: float


class Operation(BaseModel):
    """What answers are worth, as the report tells it.

    Attributes:
        photos: of train that were looked at.
        observations: held out.
        kept: promises.
        set_size: mean number of species in a prediction set.
        risk_coverage: share of observations answered, the surest first, and share of these that are wrong.
        strangers: species left out.
        auroc: mean over them, with its 95 % interval over species; None where none could be left out.
        refused: likewise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    photos: int
    observations: int
    kept: tuple[Kept, ...]
    set_size: float
    risk_coverage: tuple[tuple[float, float], ...]
    strangers: tuple[Stranger, ...]
    auroc: tuple[float, float, float] | None
    refused: tuple[float, float, float] | None


def read_operation(report: Bundle) -> Operation | None:
    """What a validation report says of it; None where there was too little to tell."""
    if OPERATION_FILE not in report.files:
        return None
    return Operation.model_validate_json(report.path(OPERATION_FILE).read_bytes())


def held_out(
    classifier: SpeciesClassifier,
    table: FeatureTable,
    venomous: Mapping[int, bool],
    progress: Progress = lambda line: None,
) -> tuple[Observations, Columns]:
    """Train the classifier's recipe on folds of a table and observe what each fold holds out.

    Args:
        classifier: whose recipe and choices are used, and whose columns the answer has.
        table: labelled photos of species that the classifier knows.
        venomous: class_id -> is venomous.
        progress: told of each fold.

    Returns:
        The observations, and the column of each one's species.

    Raises:
        LearningError: nothing can be held out.
    """
    folds, parts = folds_of(table, classifier.recipe), []
    for fold in range(int(folds.max()) + 1):
        parts.append(_observed(classifier, table, folds != fold, folds == fold, venomous))
        progress(f"fold {fold + 1} of {int(folds.max()) + 1}")
    return joined([seen for seen, _ in parts]), np.concatenate([truth for _, truth in parts])


def judge_operation(
    classifier: SpeciesClassifier,
    table: FeatureTable,
    species: Species,
    venomous: Mapping[int, bool],
    progress: Progress = lambda line: None,
) -> Operation | None:
    """Measure the default promises, risk, sets and refusal; None with too few observations to split.

    Args:
        classifier: as for `held_out`.
        table: as for `held_out`.
        species: of the classifier's columns.
        venomous: class_id -> is venomous.
        progress: told of what is being done.
    """
    seen, truth = held_out(classifier, table, venomous, progress)
    if len(truth) < 2 * LEAST_ANSWERED:
        return None
    strangers = _strangers(classifier, table, species, venomous, progress)
    kept, set_size = _promises_kept(seen, truth, species)
    wrong = (seen.answered != truth)[np.argsort(-seen.probability, kind="stable")]
    answered = [max(1, round(len(wrong) * step / RISK_STEPS)) for step in range(1, RISK_STEPS + 1)]
    return Operation(
        photos=len(table),
        observations=len(truth),
        kept=kept,
        set_size=set_size,
        risk_coverage=tuple((count / len(wrong), float(wrong[:count].mean())) for count in answered),
        strangers=tuple(strangers),
        auroc=_mean_over_species([one.auroc for one in strangers]),
        refused=_mean_over_species([one.refused for one in strangers]),
    )


def _promises_kept(seen: Observations, truth: Columns, species: Species) -> tuple[tuple[Kept, ...], float]:
    """Thresholds fitted on one half of the observations, and what they come to on the other."""
    draw, promises = np.random.default_rng(0), Promises()
    found: list[dict[str, Flags]] = []
    sizes: list[float] = []
    for _ in range(SPLITS):
        fitting, other = np.array_split(draw.permutation(len(truth)), 2)
        thresholds, new, own = (
            fit_thresholds(seen[fitting], truth[fitting], species),
            seen[other],
            truth[other],
        )
        said, right = new.said(species), truths(own, species)
        correct = {
            LEVELS_IN_WORDS[level]: (said[level][1] == right[level])[here]
            for level, here in thresholds.levels(new, species).items()
        }
        inside = thresholds.sets(new)
        holds = inside[np.arange(len(own)), own]
        sizes.append(float(inside.sum(axis=1).mean()))
        found.append(
            {
                "known observations answered, not refused": ~thresholds.refused(new),
                **{f"answers {of_level} are right": flags for of_level, flags in correct.items()},
                **{
                    f"sets hold the species of {group}": holds[columns[own]]
                    for group, columns, _ in species.covered(promises)
                },
            }
        )
    covered = [coverage for _, _, coverage in species.covered(promises)]
    accuracy = [promises.accuracy] * (len(found[0]) - 1 - len(covered))
    kept = []
    for promise, share in zip(found[0], [promises.known_answered, *accuracy, *covered], strict=True):
        splits = [one[promise] for one in found]
        each = [float(flags.mean()) for flags in splits if len(flags)]
        # Each half is as large as the one that thresholds were fitted on, hence the 1.
        error = float(np.std(each, ddof=1) * np.sqrt(1 / len(each) + 1)) if len(each) > 1 else None
        kept.append(
            Kept(
                promise=promise,
                promised=share,
                achieved=float(np.mean(each)) if each else None,
                standard_error=error,
                observations=float(np.mean([len(flags) for flags in splits])),
            )
        )
    return tuple(kept), float(np.mean(sizes))


def _strangers(
    classifier: SpeciesClassifier,
    table: FeatureTable,
    species: Species,
    venomous: Mapping[int, bool],
    progress: Progress,
) -> list[Stranger]:
    """Each species left out once, alone or with others: its observations among held-out known ones.

    What is familiar, and what is to be refused, is learned from known observations of other folds.
    """
    from sklearn.metrics import roc_auc_score

    assert table.class_id is not None
    class_ids = np.random.default_rng(0).permutation(np.unique(table.class_id))[:STRANGER_SPECIES]
    table = table.rows(np.flatnonzero(np.isin(table.class_id, class_ids)))
    assert table.class_id is not None
    folds = folds_of(table, classifier.recipe)
    # A species that the backbone was tuned on is no full stranger; at least these photos of it are.
    unseen = folds >= 0 if table.seen is not None else np.ones(len(table), bool)
    told: list[tuple[int, Observations, Columns, Flags]] = []
    groups = len(class_ids) if len(class_ids) <= ONE_BY_ONE else STRANGER_GROUPS
    for group in range(groups):
        strange = class_ids[group::groups]
        left_out, fold = np.isin(table.class_id, strange), group % (int(folds.max()) + 1)
        held = folds == fold
        if len(class_ids) - len(strange) < 2 or not (held & ~left_out).any():
            continue
        asked = held | (left_out & unseen)
        seen, truth = _observed(classifier, table, ~held & ~left_out, asked, venomous)
        told.append((fold, seen, truth, ~np.isin(classifier.class_ids[truth], strange)))
        progress(f"{group + 1} of {groups} groups of species left out")
    found: list[Stranger] = []
    for fold, seen, truth, is_known in told:
        strange = np.unique(truth[~is_known])
        others = [
            one[known & ~np.isin(columns, strange)] for other, one, columns, known in told if other != fold
        ]
        if not any(len(one.answered) for one in others):
            continue
        familiarity = fit_familiarity(joined(others), Promises().known_answered)
        scores = familiarity.of(seen)
        for column in strange.tolist():
            own = truth == column
            judged = is_known | own
            found.append(
                Stranger(
                    species=species.names[column],
                    observations=int(own.sum()),
                    auroc=float(roc_auc_score(is_known[judged], scores[judged])),
                    refused=float((scores[own] < familiarity.least).mean()),
                )
            )
    return found


def _mean_over_species(values: Sequence[float]) -> tuple[float, float, float] | None:
    """Mean, and its 95 % interval as species are drawn again."""
    if not values:
        return None
    drawn = np.random.default_rng(0).choice(np.array(values), (RESAMPLES, len(values))).mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
    return float(np.mean(values)), low, high


def _observed(
    classifier: SpeciesClassifier,
    table: FeatureTable,
    seen: npt.NDArray[np.bool_],
    unseen: npt.NDArray[np.bool_],
    venomous: Mapping[int, bool],
) -> tuple[Observations, Columns]:
    """What a model trained on some photos says of others, and their species: in `classifier`'s columns."""
    training, photos = (table.rows(np.flatnonzero(part)) for part in (seen, unseen))
    model = refit(classifier, training, venomous)
    _, said = observe(model, fit_nearness(model.neighbours, training.observation_id), photos)
    # Its species are some of the classifier's.
    columns = np.searchsorted(classifier.class_ids, model.class_ids)
    probabilities = np.zeros((len(said.answered), len(classifier.class_ids)))
    probabilities[:, columns] = said.probabilities
    # An observation's species is that of its first photo.
    assert photos.class_id is not None
    _, places = observation_rows(photos.observation_id)
    first = np.unique(places, return_index=True)[1]
    truth = np.searchsorted(classifier.class_ids, photos.class_id[first])
    return replace(said, probabilities=probabilities, answered=columns[said.answered]), truth
