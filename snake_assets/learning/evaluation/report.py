"""The validation report: predictions held against the truth, as values and as tables."""

import json
from collections import Counter
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
from snake_assets.learning.decision.rules import RULES
from snake_assets.learning.evaluation.comparison import Variant, chance_level, compare
from snake_assets.learning.evaluation.leakage import Leak, Leakage, find_leakage
from snake_assets.learning.evaluation.mistakes import Mistake, find_mistakes
from snake_assets.learning.evaluation.per_species import species_table
from snake_assets.learning.feature_table import FeatureTable
from snake_assets.snakeclef.metric import Scores

# Counts as an input: raise it when the same classifier and features would give another report.
REPORT_VERSION = 7
OWN = "the classifier"
PREDICTIONS_FILE, SCORES_FILE = "predictions.parquet", "scores.json"
SPECIES_FILE, LEAKAGE_FILE = "species.csv", "leakage.csv"
# (truth is venomous, prediction is venomous) -> observations.
VenomCounts = dict[tuple[bool, bool], int]


@dataclass(frozen=True, eq=False)
class Judgement:
    """Predictions held against the truth, int32 [O].

    Attributes:
        variants: scores with intervals: the classifier's own answer, each decision rule, the head alone, the
            neighbours alone, and the own answer without observations that have a copy in train.
        chance: mean track1, track2, f1 and accuracy of guessing among the classifier's species.
        unreadable: observations without a readable photo.
        unseen: class_ids of the truth that the classifier does not know.
        venom_counts: observations by venom status, right species or not.
        venom_errors: the same, of those whose species is wrong.
        confidence: of the most probable species, how often it is right at which probability.
        venom_confidence: how often a snake is venomous at which p_venomous.
    """

    predictions: Predictions
    truth: npt.NDArray[np.int32]
    names: Mapping[int, str]
    venomous: Mapping[int, bool]
    variants: Sequence[Variant]
    chance: Mapping[str, float]
    unreadable: Sequence[str]
    unseen: Sequence[int]
    venom_counts: VenomCounts
    venom_errors: VenomCounts
    species: pl.DataFrame
    mistakes: Sequence[Mistake]
    leakage: Leakage
    confidence: Reliability
    venom_confidence: Reliability

    @property
    def scores(self) -> Scores:
        """The official scores of the classifier's own answer."""
        return self.variants[0].scores

    @property
    def dangerous(self) -> list[Mistake]:
        """The mistakes that matter most: venomous taken for harmless."""
        return [one for one in self.mistakes if self.venomous[one.truth] and not self.venomous[one.predicted]]


def judge(
    classifier: SpeciesClassifier,
    train: FeatureTable,
    val: FeatureTable,
    order: Sequence[str],
    truth: Mapping[str, int],
    venomous: Mapping[int, bool],
    names: Mapping[int, str],
) -> Judgement:
    """Identify the observations of `order`, score them officially, and look at where it goes wrong.

    Of `train`, the photos that the classifier was trained on, in that order, the CLS tokens are enough. `val`
    holds the observations' readable photos; `order` also names those without one. `truth` is observation_id
    -> class_id.

    Raises:
        LearningError: the features are not of the classifier's backbone, or train's photos not those that it
            was trained on.
        DataError: no observation, or a class without a venom status.
    """
    labels = np.array([truth[observation] for observation in order], dtype=np.int32)
    heads, votes = classifier.head_probabilities(val), classifier.votes(val)
    own, alone, near = (
        classifier.observe(photos, val.observation_id, order)
        for photos in (classifier.blended(heads, votes), heads, votes)
    )
    predictions = classifier.predictions(own)
    guessed = predictions.class_id
    answers = {
        OWN: guessed,
        **{f"decided by {rule}": classifier.answers(own, rule) for rule in RULES},
        "the head alone": classifier.answers(alone, classifier.rule),
        "the nearest photos alone": classifier.answers(near, classifier.rule),
    }
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
            *compare(answers, labels, venomous),
            *(compare({clean: guessed[kept]}, labels[kept], venomous) if left_out and kept.any() else ()),
        ],
        chance=chance_level(labels, venomous, classifier.class_ids),
        unreadable=[name for name, photos in zip(order, predictions.photos, strict=True) if photos == 0],
        unseen=sorted(set(labels.tolist()) - set(classifier.class_ids.tolist())),
        venom_counts=_by_venom(labels, guessed, venomous),
        venom_errors=_by_venom(labels[labels != guessed], guessed[labels != guessed], venomous),
        species=species_table(labels, guessed, np.asarray(train.class_id), names, venomous),
        mistakes=find_mistakes(predictions, labels, venomous, val, train, classifier.neighbours),
        leakage=leakage,
        confidence=reliability(predictions.top5_probability[:, 0], predictions.top5_class_id[:, 0] == labels),
        venom_confidence=reliability(
            predictions.p_venomous, np.array([venomous[label] for label in labels.tolist()])
        ),
    )


def _by_venom(
    truth: npt.NDArray[np.int32], predicted: npt.NDArray[np.int32], venomous: Mapping[int, bool]
) -> VenomCounts:
    flags = [[venomous[one] for one in ids.tolist()] for ids in (truth, predicted)]
    pairs = Counter(zip(*flags, strict=True))
    return {(true, guess): pairs[true, guess] for true in (False, True) for guess in (False, True)}


def write_report(judgement: Judgement, folder: Path) -> None:
    """Write predictions.parquet, scores.json, species.csv and leakage.csv into an existing folder."""
    found = judgement.predictions
    table = pa.table(
        {
            "observation_id": pa.array(found.observation_id, pa.string()),
            "class_id": pa.array(judgement.truth, pa.int32()),
            "predicted": pa.array(found.class_id, pa.int32()),
            "probability": pa.array(found.probability, pa.float32()),
            "p_venomous": pa.array(found.p_venomous, pa.float32()),
            "top5_class_id": pa.array(list(found.top5_class_id), pa.list_(pa.int32())),
            "top5_probability": pa.array(list(found.top5_probability), pa.list_(pa.float32())),
        }
    )
    pq.write_table(table, folder / PREDICTIONS_FILE)
    own, leakage = judgement.variants[0], judgement.leakage
    stated = {"probability": judgement.confidence, "p_venomous": judgement.venom_confidence}
    scores = {
        **asdict(own.scores),
        "intervals": own.intervals,
        "chance": {name: round(value, 2) for name, value in judgement.chance.items()},
        "observations": len(found),
        "photos": int(found.photos.sum()),
        "unreadable_observations": list(judgement.unreadable),
        "unknown_class_ids": list(judgement.unseen),
        "venomous_taken_for_harmless": judgement.venom_counts[True, False],
        "harmless_taken_for_venomous": judgement.venom_counts[False, True],
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
