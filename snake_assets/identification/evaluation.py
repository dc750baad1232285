"""What answers are worth: on photos of train that the models behind the figures have not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from snake_assets.identification.gallery import Nearness, fit_nearness, observe
from snake_assets.identification.thresholds import (
    LEAST_ANSWERED,
    Columns,
    Observations,
    Promises,
    Species,
    fit_familiarity,
    fit_thresholds,
)
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.cross_validation.folds import grouped_folds
from snake_assets.learning.cross_validation.near_duplicates import duplicate_groups
from snake_assets.learning.decision.pooling import observation_rows
from snake_assets.learning.feature_table import CLS, FeatureTable
from snake_assets.learning.train import HELD_OUT_OF_MANY, MANY, refit
from snake_assets.storage.bundles import Bundle

FOLDS, SPLITS, RESAMPLES = 5, 10, 2000
# What the report looks at: more photos, or more groups of species left out, would take it hours.
REPORT_PHOTOS, STRANGER_PHOTOS, STRANGER_GROUPS = 20_000, 5_000, 13
RISK_STEPS = 20
OPERATION_FILE = "operation.json"


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Observations, what models say that have not seen them, and the column of each one's species, [O]."""

    seen: Observations
    truth: Columns


class Kept(BaseModel):
    """A promise, and what came of it over 10 splits of the held-out observations.

    Attributes:
        promise: in words.
        promised: share.
        achieved: mean share over the splits; None where there was nothing to measure.
        standard_error: of that mean.
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
    progress: Callable[[str], None] = lambda line: None,
) -> HeldOut:
    """Train the classifier's recipe on folds of a table and observe what each fold holds out.

    Args:
        classifier: whose recipe and choices are used, and whose columns the answer has.
        table: labelled photos of species that the classifier knows.
        venomous: class_id -> is venomous.
        progress: told of each fold.

    Raises:
        LearningError: nothing can be held out.
    """
    folds = _folds(classifier, table)
    parts: list[HeldOut] = []
    for fold in range(int(folds.max()) + 1):
        parts.append(_held_out_by(classifier, table, folds != fold, folds == fold, venomous))
        progress(f"fold {fold + 1} of {int(folds.max()) + 1}")
    return _joined(parts)


def judge_operation(
    classifier: SpeciesClassifier,
    table: FeatureTable,
    species: Species,
    venomous: Mapping[int, bool],
    promises: Promises | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Operation | None:
    """Measure promises, risk, sets and refusal; None where there are too few observations to split.

    Args:
        classifier: as for `held_out`.
        table: as for `held_out`.
        species: of the classifier's columns.
        venomous: class_id -> is venomous.
        promises: that are held against what is achieved.
        progress: told of what is being done.
    """
    promises = promises or Promises()
    held = held_out(classifier, table, venomous, progress)
    if len(held.truth) < 2 * LEAST_ANSWERED:
        return None
    few = drawn_photos(table, STRANGER_PHOTOS)
    strangers = _strangers(classifier, few, held, species, venomous, promises, progress)
    kept, set_size = _promises_kept(held, species, promises)
    return Operation(
        photos=len(table),
        observations=len(held.truth),
        kept=kept,
        set_size=set_size,
        risk_coverage=_risk_coverage(held),
        strangers=tuple(strangers),
        auroc=_mean_over_species([one.auroc for one in strangers]),
        refused=_mean_over_species([one.refused for one in strangers]),
    )


def _promises_kept(held: HeldOut, species: Species, promises: Promises) -> tuple[tuple[Kept, ...], float]:
    """Thresholds fitted on one half of the observations, and what they come to on the other."""
    draw, found, sizes = np.random.default_rng(0), [], []
    for _ in range(SPLITS):
        order = draw.permutation(len(held.truth))
        fitting, other = order[: len(order) // 2], order[len(order) // 2 :]
        thresholds = fit_thresholds(held.seen[fitting], held.truth[fitting], species, promises)
        seen, truth = held.seen[other], held.truth[other]
        levels, inside = thresholds.levels(seen, species), thresholds.sets(seen)
        is_in, venomous = inside[np.arange(len(truth)), truth], species.venomous[truth]
        sizes.append(inside.sum(axis=1).mean())
        found.append(
            {
                "known observations answered, not refused": ~levels.refused,
                "answers by species are right": (seen.answered == truth)[levels.species],
                "answers by genus are right": (levels.genus_column == species.genus[truth])[levels.genus],
                "answers of venomous, species unsure, are right": venomous[levels.venomous],
                "sets hold the species of harmless snakes": is_in[~venomous],
                "sets hold the species of venomous snakes": is_in[venomous],
            }
        )
    promised = [
        promises.known_answered,
        *[promises.accuracy] * 3,
        promises.coverage,
        promises.venomous_coverage,
    ]
    rows = []
    for name, share in zip(found[0], promised, strict=True):
        each = [float(one[name].mean()) for one in found if len(one[name])]
        rows.append(
            Kept(
                promise=name,
                promised=share,
                achieved=float(np.mean(each)) if each else None,
                standard_error=float(np.std(each, ddof=1) / np.sqrt(len(each))) if len(each) > 1 else None,
                observations=float(np.mean([len(one[name]) for one in found])),
            )
        )
    return tuple(rows), float(np.mean(sizes))


def _risk_coverage(held: HeldOut) -> tuple[tuple[float, float], ...]:
    wrong = (held.seen.answered != held.truth)[np.argsort(-held.seen.probability, kind="stable")]
    answered = [max(1, round(len(wrong) * step / RISK_STEPS)) for step in range(1, RISK_STEPS + 1)]
    return tuple((count / len(wrong), float(wrong[:count].mean())) for count in answered)


def _strangers(
    classifier: SpeciesClassifier,
    table: FeatureTable,
    held: HeldOut,
    species: Species,
    venomous: Mapping[int, bool],
    promises: Promises,
    progress: Callable[[str], None],
) -> list[Stranger]:
    """Each species left out once, alone or with others: its observations among held-out known ones.

    What is familiar, and what is to be refused, is learned from held-out observations of the others.
    """
    from sklearn.metrics import roc_auc_score

    assert table.class_id is not None
    class_ids, folds = np.unique(table.class_id), _folds(classifier, table)
    groups = np.random.default_rng(0).permutation(len(class_ids)) % STRANGER_GROUPS
    found: list[Stranger] = []
    for group in range(min(STRANGER_GROUPS, len(class_ids))):
        strange = class_ids[groups == group]
        left_out, fold = np.isin(table.class_id, strange), group % (int(folds.max()) + 1)
        if len(class_ids) - len(strange) < 2 or not ((folds == fold) & ~left_out).any():
            continue
        model, nearness = _trained(classifier, table, (folds != fold) & ~left_out, venomous)
        known = observe(model, nearness, table.rows(np.flatnonzero((folds == fold) & ~left_out)))[1]
        strangers = table.rows(np.flatnonzero(left_out))
        unknown, labels = observe(model, nearness, strangers)[1], _first_labels(strangers)
        others = held.seen[np.flatnonzero(~np.isin(classifier.class_ids[held.truth], strange))]
        familiarity = fit_familiarity(others.probability, others.nearness, promises.known_answered)
        for class_id in np.unique(labels).tolist():
            scores = familiarity.of(known), familiarity.of(unknown[np.flatnonzero(labels == class_id)])
            is_known = np.repeat([True, False], [len(scores[0]), len(scores[1])])
            found.append(
                Stranger(
                    species=species.names[int(np.searchsorted(classifier.class_ids, class_id))],
                    observations=len(scores[1]),
                    auroc=float(roc_auc_score(is_known, np.concatenate(scores))),
                    refused=float((scores[1] < familiarity.least).mean()),
                )
            )
        progress(f"{group + 1} of {STRANGER_GROUPS} groups of species left out")
    return found


def _mean_over_species(values: Sequence[float]) -> tuple[float, float, float] | None:
    """Mean, and its 95 % interval as species are drawn again."""
    if not values:
        return None
    drawn = np.random.default_rng(0).choice(np.array(values), (RESAMPLES, len(values))).mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
    return float(np.mean(values)), low, high


def _folds(classifier: SpeciesClassifier, table: FeatureTable) -> Columns:
    """As in training, five; of many photos one part is held out once."""
    assert table.class_id is not None
    cls, near = table.blocks[CLS], classifier.recipe.near_duplicates
    alike = duplicate_groups(cls, near, cls.mean(axis=0)) if near else None
    many = len(table) > MANY
    folds = grouped_folds(
        table.observation_id,
        table.class_id,
        table.sha256,
        FOLDS,
        classifier.recipe.seed,
        HELD_OUT_OF_MANY if many else None,
        alike if isinstance(alike, np.ndarray) else None,
    )
    return np.minimum(folds, 0) if many else folds


def _trained(
    classifier: SpeciesClassifier,
    table: FeatureTable,
    rows: npt.NDArray[np.bool_],
    venomous: Mapping[int, bool],
) -> tuple[SpeciesClassifier, Nearness]:
    photos = table.rows(np.flatnonzero(rows))
    model = refit(classifier, photos, venomous)
    return model, fit_nearness(model.neighbours, photos.observation_id)


def _held_out_by(
    classifier: SpeciesClassifier,
    table: FeatureTable,
    seen: npt.NDArray[np.bool_],
    unseen: npt.NDArray[np.bool_],
    venomous: Mapping[int, bool],
) -> HeldOut:
    model, nearness = _trained(classifier, table, seen, venomous)
    photos = table.rows(np.flatnonzero(unseen))
    said = observe(model, nearness, photos)[1]
    # Its species are some of the classifier's.
    columns = np.searchsorted(classifier.class_ids, model.class_ids)
    probabilities = np.zeros((len(said), len(classifier.class_ids)))
    probabilities[:, columns] = said.probabilities
    truth = np.searchsorted(classifier.class_ids, _first_labels(photos))
    return HeldOut(replace(said, probabilities=probabilities, answered=columns[said.answered]), truth)


def _joined(parts: Sequence[HeldOut]) -> HeldOut:
    return HeldOut(
        Observations(
            np.concatenate([part.seen.probabilities for part in parts]),
            np.concatenate([part.seen.answered for part in parts]),
            np.concatenate([part.seen.nearness for part in parts]),
        ),
        np.concatenate([part.truth for part in parts]),
    )


def _first_labels(table: FeatureTable) -> npt.NDArray[np.int32]:
    """class_id of each observation, first seen first, [O]: an observation's is that of its first photo."""
    assert table.class_id is not None
    _, places = observation_rows(table.observation_id)
    return table.class_id[np.unique(places, return_index=True)[1]]


def drawn_photos(table: FeatureTable, most: int) -> FeatureTable:
    """Photos of whole observations, drawn at random, so many at most; the table itself if it has no more."""
    if len(table) <= most:
        return table
    names, places = observation_rows(table.observation_id)
    order = np.random.default_rng(0).permutation(len(names))
    photos = np.bincount(places)[order].cumsum()
    return table.rows(np.flatnonzero(np.isin(places, order[photos <= most])))
