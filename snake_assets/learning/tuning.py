"""What a backbone is fine-tuned on, and what is kept from it.

A classifier's two numbers, its temperature and all thresholds are chosen on folds of train. Vectors of photos
that the backbone has been trained on flatter those folds: so a part of the observations is kept from the
tuning, with their copies and near copies, and on it alone everything is chosen afterwards (`folds_of`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snake_assets.learning.cross_validation.folds import grouped_folds
from snake_assets.learning.cross_validation.near_duplicates import duplicate_groups
from snake_assets.learning.decision.pooling import observation_rows, pool_observations, softmax
from snake_assets.learning.decision.rules import argmax, known_venom, venom_flags
from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import CLS, PATCH_MEAN, FeatureTable
from snake_assets.learning.linear_head import fit_heads
from snake_assets.learning.settings import Recipe
from snake_assets.snakeclef.metric import COSTS, score
from snake_assets.storage.tables.table import Table
from snake_assets.vision.finetuning.model import Start
from snake_assets.vision.finetuning.photos import LabelledPhotos
from snake_assets.vision.finetuning.training import Judge

DEFAULT = Recipe()
# Scores on the way are taken on no more photos.
MOST_SCORED = 2000


@dataclass(frozen=True, eq=False)
class TuningTask:
    """Photos to learn from and photos kept from it, of a labelled split.

    Attributes:
        photos: to learn from.
        scored: of those that are kept from it, all or `MOST_SCORED`, by whole observations.
        seen: SHA-256 of the former.
        start: of the head: a linear probe on frozen vectors of `photos`.
        judge: from logits of `scored` to Track 1 and macro F1 of its observations, percent.
        held_out: photos that are kept from it.
        never_held_out: class_ids without any of these.
    """

    photos: LabelledPhotos
    scored: LabelledPhotos
    seen: Sequence[str]
    start: Start
    judge: Judge
    held_out: int
    never_held_out: Sequence[int]


def tuning_task(
    images: Table, table: FeatureTable, venomous: Mapping[int, bool], share: float, seed: int
) -> TuningTask:
    """Hold a share of the observations out, and train the probe on the others.

    Args:
        images: `image_table` of train.
        table: photos of it that may be learned from, with vectors of the backbone as it is.
        venomous: class_id -> is venomous, as far as that is known.
        share: of the observations that is held out, above 0, 0.5 at most.
        seed: of what is drawn.

    Raises:
        LearningError: a single species, or too few observations to hold any out.
    """
    class_ids, labels = np.unique(np.asarray(table.class_id), return_inverse=True)
    if len(class_ids) < 2:
        raise LearningError("All photos are of one species: tuning needs two species or more.")
    cls = table.blocks[CLS]
    alike = duplicate_groups(cls, DEFAULT.near_duplicates or 1.0, cls.mean(axis=0))
    folds = grouped_folds(
        table.observation_id, labels, table.sha256, max(2, round(1 / share)), seed, alike=alike
    )
    learned = np.flatnonzero(folds != 0)
    counts = np.bincount(labels[learned], minlength=len(class_ids))
    prior = counts / counts.sum()
    blocks = [cls, table.blocks[PATCH_MEAN]]
    (head,) = fit_heads(blocks, labels, len(class_ids), DEFAULT.strengths[:1], DEFAULT.epochs, seed, learned)
    weight = head.weight / head.scale[:, None]
    row_of = {name: row for row, name in enumerate(images.read(["image_id"])["image_id"].to_pylist())}
    rows = np.array([row_of[name] for name in table.image_id], np.int64)
    kept = np.flatnonzero(folds == 0)
    observations = np.array(table.observation_id)
    order = np.random.default_rng(seed).permutation(np.unique(observations[kept]))
    photos = np.cumsum([np.sum(observations[kept] == one) for one in order[:MOST_SCORED]])
    scored = kept[np.isin(observations[kept], order[: max(1, int(np.sum(photos <= MOST_SCORED)))])]
    known, names = known_venom(class_ids, venomous), observations[scored].tolist()
    truth = class_ids[labels[scored[np.unique(observation_rows(names)[1], return_index=True)[1]]]]

    def judge(logits: npt.NDArray[np.float32]) -> dict[str, float]:
        _, pooled = pool_observations(softmax(logits), names)
        scores = score(truth, argmax(pooled, class_ids), known)
        return {"f1": scores.f1} if scores.track1 is None else {"track1": scores.track1, "f1": scores.f1}

    assert table.sha256 is not None
    return TuningTask(
        photos=LabelledPhotos(images, rows[learned], labels[learned]),
        scored=LabelledPhotos(images, rows[scored], labels[scored]),
        seen=[table.sha256[row] for row in learned.tolist()],
        start=Start(
            weight.astype(np.float32),
            (head.bias - head.mean @ weight).astype(np.float32),
            prior.astype(np.float32),
            _costs(venom_flags(class_ids, venomous)),
        ),
        judge=judge,
        held_out=len(kept),
        never_held_out=sorted(set(class_ids.tolist()) - set(class_ids[labels[kept]].tolist())),
    )


def _costs(venomous: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.float32] | None:
    """What SnakeCLEF's Track 2 charges for answering a species, by the true one: float32 [C, C]."""
    if venomous is None:
        return None
    table = np.array([[COSTS[true, said] for said in (False, True)] for true in (False, True)], np.float32)
    kinds = venomous.astype(int)
    costs: npt.NDArray[np.float32] = table[np.ix_(kinds, kinds)]
    np.fill_diagonal(costs, 0)
    return costs
