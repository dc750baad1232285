"""What a classifier is worth on observations that it has never seen."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from snake_assets.learning.chance import chance_level
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.feature_table import FeatureTable
from snake_assets.learning.predictions import Predictions
from snake_assets.snakeclef.metric import Scores, score

# Counts as an input: raise it when the same classifier and features would give another report.
REPORT_VERSION = 1
PREDICTIONS_FILE, SCORES_FILE = "predictions.parquet", "scores.json"
# (truth is venomous, prediction is venomous) -> observations.
VenomCounts = dict[tuple[bool, bool], int]


@dataclass(frozen=True)
class Judgement:
    """Predictions held against the truth, one entry per observation.

    `truth` is int32 [O]; `chance` holds mean track1, track2, f1 and accuracy of guessing among the
    classifier's species; `unreadable` are the observations without a readable photo; `unseen` the
    class_ids of the truth that the classifier does not know.
    """

    predictions: Predictions
    truth: npt.NDArray[np.int32]
    scores: Scores
    chance: Mapping[str, float]
    unreadable: Sequence[str]
    unseen: Sequence[int]
    venom_counts: VenomCounts
    venom_errors: VenomCounts


def judge(
    classifier: SpeciesClassifier,
    features: FeatureTable,
    order: Sequence[str],
    truth: Mapping[str, int],
    venomous: Mapping[int, bool],
) -> Judgement:
    """Identify the observations of `order` and score them officially.

    Args:
        classifier: trained without these observations.
        features: of their readable photos.
        order: every observation of the split, with or without a readable photo.
        truth: observation_id -> class_id.
        venomous: class_id -> is venomous.

    Raises:
        LearningError: the features are not of the classifier's backbone.
    """
    predictions = classifier.identify(features, order)
    labels = np.array([truth[observation] for observation in order], dtype=np.int32)
    known = set(classifier.class_ids.tolist())
    return Judgement(
        predictions=predictions,
        truth=labels,
        scores=score(labels, predictions.class_id, venomous),
        chance=chance_level(labels, venomous, classifier.class_ids),
        unreadable=[name for name, photos in zip(order, predictions.photos, strict=True) if photos == 0],
        unseen=sorted(set(labels.tolist()) - known),
        venom_counts=_by_venom(labels, predictions.class_id, venomous, np.ones(len(labels), dtype=bool)),
        venom_errors=_by_venom(labels, predictions.class_id, venomous, labels != predictions.class_id),
    )


def write_report(judgement: Judgement, folder: Path) -> None:
    """Write predictions.parquet and scores.json into an existing folder."""
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
    content = {
        **asdict(judgement.scores),
        "chance": {name: round(value, 2) for name, value in judgement.chance.items()},
        "observations": len(found),
        "photos": int(found.photos.sum()),
        "unreadable_observations": list(judgement.unreadable),
        "unknown_class_ids": list(judgement.unseen),
        "venomous_taken_for_harmless": judgement.venom_counts[True, False],
        "harmless_taken_for_venomous": judgement.venom_counts[False, True],
    }
    (folder / SCORES_FILE).write_text(json.dumps(content, indent=1))


def _by_venom(
    truth: npt.NDArray[np.int32],
    predicted: npt.NDArray[np.int32],
    venomous: Mapping[int, bool],
    counted: npt.NDArray[np.bool_],
) -> VenomCounts:
    pairs = [
        (venomous[int(true)], venomous[int(guess)])
        for true, guess, included in zip(truth, predicted, counted, strict=True)
        if included
    ]
    return {(true, guess): pairs.count((true, guess)) for true in (False, True) for guess in (False, True)}
