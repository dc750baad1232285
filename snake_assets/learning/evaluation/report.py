"""The validation report: predictions held against the truth, as values and as tables."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from snake_assets.learning.classifier import Predictions, SpeciesClassifier
from snake_assets.learning.decision.calibration import Reliability, reliability
from snake_assets.learning.decision.rules import known_venom, venom_gap
from snake_assets.learning.errors import LearningError
from snake_assets.learning.evaluation.comparison import Variant, chance_level, compare
from snake_assets.learning.evaluation.leakage import Leak, Leakage, find_leakage
from snake_assets.learning.evaluation.mistakes import Mistake, find_mistakes
from snake_assets.learning.evaluation.per_species import species_table
from snake_assets.learning.feature_table import FeatureTable
from snake_assets.snakeclef.metadata import REVIEWED_FOLDER
from snake_assets.snakeclef.metric import Scores

# Counts as an input: raise it when the same classifier and features would give another report.
REPORT_VERSION = 8
OWN = "the classifier"
PREDICTIONS_FILE, SCORES_FILE = "predictions.parquet", "scores.json"
SPECIES_FILE, LEAKAGE_FILE = "species.csv", "leakage.csv"
# (truth is venomous, prediction is venomous) -> observations.
VenomCounts = dict[tuple[bool, bool], int]


@dataclass(frozen=True, eq=False)
class JudgedVenom:
    """How venomous snakes are told from harmless ones.

    Attributes:
        counts: observations by venom status, right species or not.
        errors: the same, of those whose species is wrong.
        confidence: how often a snake is venomous at which p_venomous.
    """

    counts: VenomCounts
    errors: VenomCounts
    confidence: Reliability


@dataclass(frozen=True, eq=False)
class Judgement:
    """Predictions held against the truth, int32 [O].

    Attributes:
        venomous: class_id -> is venomous, of the species of which it is known.
        venom: None where it is not known of every species that is true or can be answered; the scores are
            without Track 1 and Track 2 then.
        venom_gap: which species that is for, in a sentence; None where there is none.
        variants: scores with intervals: the classifier's own answer, each decision rule, the head alone, the
            neighbours alone, other classifiers, and the own answer without observations that have a copy in
            train.
        chance: mean scores of guessing among the classifier's species, by name.
        train_photos: how many photos the classifier was trained on.
        reviewed_photos: those of them that people named in a review.
        unreadable: observations without a readable photo.
        unseen: class_ids of the truth that the classifier does not know.
        confidence: of the most probable species, how often it is right at which probability.
    """

    predictions: Predictions
    truth: npt.NDArray[np.int32]
    names: Mapping[int, str]
    venomous: Mapping[int, bool]
    venom: JudgedVenom | None
    venom_gap: str | None
    variants: Sequence[Variant]
    chance: Mapping[str, float]
    train_photos: int
    reviewed_photos: int
    unreadable: Sequence[str]
    unseen: Sequence[int]
    species: pl.DataFrame
    mistakes: Sequence[Mistake]
    leakage: Leakage
    confidence: Reliability

    @property
    def scores(self) -> Scores:
        """The official scores of the classifier's own answer."""
        return self.variants[0].scores

    @property
    def dangerous(self) -> list[Mistake]:
        """The mistakes that matter most: venomous taken for harmless; none where venom is not known."""
        if self.venom is None:
            return []
        return [one for one in self.mistakes if self.venomous[one.truth] and not self.venomous[one.predicted]]


def judge(
    classifier: SpeciesClassifier,
    train: FeatureTable,
    val: FeatureTable,
    order: Sequence[str],
    truth: Mapping[str, int],
    venomous: Mapping[int, bool],
    names: Mapping[int, str],
    others: Mapping[str, Mapping[str, int]] | None = None,
) -> Judgement:
    """Identify the observations of `order`, score them officially, and look at where it goes wrong.

    Of `train`, the photos that the classifier was trained on, in that order, the CLS tokens are enough. `val`
    holds the observations' readable photos; `order` also names those without one. `truth` is observation_id
    -> class_id, `venomous` class_id -> is venomous as far as that is known. `others` are answers of other
    classifiers, to be held against its own: name -> observation_id -> class_id.

    Raises:
        LearningError: the features are not of the classifier's backbone, or train's photos not those that it
            was trained on, or it was trained before venom was known.
        DataError: no observation.
    """
    labels = np.array([truth[observation] for observation in order], dtype=np.int32)
    heads, votes = classifier.head_probabilities(val), classifier.votes(val)
    own, alone, near = (
        classifier.observe(photos, val.observation_id, order)
        for photos in (classifier.blended(heads, votes), heads, votes)
    )
    predictions = classifier.predictions(own)
    guessed = predictions.class_id
    to_be_known = [*labels.tolist(), *classifier.class_ids.tolist()]
    known = known_venom(to_be_known, venomous)
    if known and predictions.p_venomous is None:
        raise LearningError(
            "Every species has a venom status now, and had not when the classifier was trained: materialize "
            "species_classifier again."
        )
    answers = {
        OWN: guessed,
        **{f"decided by {rule}": classifier.answers(own, rule) for rule in classifier.rules},
        "the head alone": classifier.answers(alone, classifier.rule),
        "the nearest photos alone": classifier.answers(near, classifier.rule),
    }
    for name, answered in (others or {}).items():
        answers[name] = np.array([answered[observation] for observation in order], np.int32)
    leakage = find_leakage(train, val)
    kept = ~np.isin(np.array(order, dtype=object), leakage.observations)
    left_out = len(kept) - int(kept.sum())
    some = f"{left_out:,} observation{'s' if left_out > 1 else ''}"
    clean = f"{OWN}, without {some} with a copy or near copy in train"
    return Judgement(
        predictions=predictions,
        truth=labels,
        names=names,
        venomous=venomous,
        variants=[
            *compare(answers, labels, known),
            *(compare({clean: guessed[kept]}, labels[kept], known) if left_out and kept.any() else ()),
        ],
        chance=chance_level(labels, known, classifier.class_ids),
        venom=_judged_venom(predictions, labels, known),
        venom_gap=venom_gap(to_be_known, venomous, names),
        train_photos=len(train),
        reviewed_photos=sum(name.startswith(f"{REVIEWED_FOLDER}/") for name in train.image_id),
        unreadable=[name for name, photos in zip(order, predictions.photos, strict=True) if photos == 0],
        unseen=sorted(set(labels.tolist()) - set(classifier.class_ids.tolist())),
        species=species_table(labels, guessed, np.asarray(train.class_id), names, venomous),
        mistakes=find_mistakes(predictions, labels, known, val, train, classifier.neighbours),
        leakage=leakage,
        confidence=reliability(predictions.top5_probability[:, 0], predictions.top5_class_id[:, 0] == labels),
    )


def _judged_venom(
    predictions: Predictions, truth: npt.NDArray[np.int32], venomous: Mapping[int, bool] | None
) -> JudgedVenom | None:
    if venomous is None or predictions.p_venomous is None:
        return None
    true, guess = (
        np.array([venomous[one] for one in ids.tolist()], bool) for ids in (truth, predictions.class_id)
    )
    pairs = [(of_truth, of_guess) for of_truth in (False, True) for of_guess in (False, True)]
    counts, errors = (
        {pair: int(np.sum(of & (true == pair[0]) & (guess == pair[1]))) for pair in pairs}
        for of in (np.ones_like(true), truth != predictions.class_id)
    )
    return JudgedVenom(counts, errors, reliability(predictions.p_venomous, true))


def write_report(judgement: Judgement, folder: Path) -> None:
    """Write predictions.parquet, scores.json, species.csv and leakage.csv into an existing folder."""
    found = judgement.predictions
    table = pa.table(
        {
            "observation_id": pa.array(found.observation_id, pa.string()),
            "class_id": pa.array(judgement.truth, pa.int32()),
            "predicted": pa.array(found.class_id, pa.int32()),
            "probability": pa.array(found.probability, pa.float32()),
            "p_venomous": pa.nulls(len(found), pa.float32())
            if found.p_venomous is None
            else pa.array(found.p_venomous, pa.float32()),
            "top5_class_id": pa.array(list(found.top5_class_id), pa.list_(pa.int32())),
            "top5_probability": pa.array(list(found.top5_probability), pa.list_(pa.float32())),
        }
    )
    pq.write_table(table, folder / PREDICTIONS_FILE)
    own, leakage, venom = judgement.variants[0], judgement.leakage, judgement.venom
    stated = {"probability": judgement.confidence}
    if venom:
        stated["p_venomous"] = venom.confidence
    scores = {
        **asdict(own.scores),
        "intervals": own.intervals,
        "chance": {name: round(value, 2) for name, value in judgement.chance.items()},
        "observations": len(found),
        "photos": int(found.photos.sum()),
        "train_photos": {
            "metadata": judgement.train_photos - judgement.reviewed_photos,
            "review": judgement.reviewed_photos,
        },
        "unreadable_observations": list(judgement.unreadable),
        "unknown_class_ids": list(judgement.unseen),
        **({"venom_not_known": judgement.venom_gap} if judgement.venom_gap else {}),
        "venomous_taken_for_harmless": venom.counts[True, False] if venom else None,
        "harmless_taken_for_venomous": venom.counts[False, True] if venom else None,
        "calibration": {
            name: {
                "expected_calibration_error": round(one.error, 4),
                "by_luck_alone": round(one.error_by_luck, 4),
            }
            for name, one in stated.items()
        },
        "leakage": {
            "photos": len(leakage.leaks),
            "same_file": leakage.exact,
            "observations": leakage.observations,
            "unfinished": leakage.unfinished,
        },
        "variants": [
            {
                "name": one.name,
                "observations": one.observations,
                **asdict(one.scores),
                "intervals": one.intervals,
                "track1_gain": one.gain,
            }
            for one in judgement.variants
        ],
    }
    (folder / SCORES_FILE).write_text(json.dumps(scores, indent=1))
    judgement.species.write_csv(folder / SPECIES_FILE, float_precision=2)
    leaks = {field.name: [getattr(leak, field.name) for leak in leakage.leaks] for field in fields(Leak)}
    pl.DataFrame(leaks).write_csv(folder / LEAKAGE_FILE, float_precision=5)
