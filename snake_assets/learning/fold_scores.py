"""Out-of-fold scores: what a candidate says about photos that it has not seen."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from snake_assets.learning.calibration import fit_temperature, log_loss
from snake_assets.learning.decisions import RULES, DecisionRule, argmax, decide, venom_flags
from snake_assets.learning.fitting import fit_models
from snake_assets.learning.folds import ALWAYS_TRAINING
from snake_assets.learning.heads import Optimisation
from snake_assets.learning.observations import Pooling, pool_observations
from snake_assets.learning.probabilities import softmax
from snake_assets.learning.settings import Recipe
from snake_assets.snakeclef.metric import score

# Share of photos that are never held out from which on they alone train the models of all folds.
ENOUGH_FOR_ALL = 0.9


class FoldScores(BaseModel):
    """Out-of-fold scores per observation, decided by argmax: percentages, log-loss in nats.

    `track1` to `log_loss` are of all held-out observations together, at the fitted temperature; the
    `fold_` ones of each fold. `rules` holds Track 1 of the whole under each decision rule, `fold_rules` of
    each fold.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float
    log_loss: float
    track1: float
    track2: int
    f1: float
    accuracy: float
    fold_track1: tuple[float, ...]
    fold_f1: tuple[float, ...]
    fold_accuracy: tuple[float, ...]
    fold_log_loss: tuple[float, ...]
    rules: dict[DecisionRule, float]
    fold_rules: dict[DecisionRule, tuple[float, ...]]

    def row(self, name: str) -> dict[str, float | str]:
        """A row of a table under this name: whole scores, then means over folds."""
        return {
            "recipe": name,
            "temperature": round(self.temperature, 3),
            "log_loss": round(self.log_loss, 4),
            "track1": self.track1,
            "f1": self.f1,
            "accuracy": self.accuracy,
            "fold_log_loss": round(float(np.mean(self.fold_log_loss)), 4),
            "fold_track1": round(float(np.mean(self.fold_track1)), 2),
            "fold_f1": round(float(np.mean(self.fold_f1)), 2),
            "fold_accuracy": round(float(np.mean(self.fold_accuracy)), 2),
        }


def out_of_fold_logits(
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.integer],
    classes: int,
    folds: npt.NDArray[np.int64],
    recipes: Sequence[Recipe],
    optimisation: Optimisation,
    report: Callable[[str], None],
) -> npt.NDArray[np.float32]:
    """Logits of the H held-out photos by models that have not seen their fold: float32 [recipes, H, C].

    The photos keep their order. Where photos that are never held out make up nine tenths of all and show
    every species, as in a large set, models are trained on them once for all folds. Arguments as in
    `fit_models`; folds as from `grouped_folds`.
    """
    fold_of_row = folds[folds != ALWAYS_TRAINING]
    logits = np.empty((len(recipes), len(fold_of_row), classes), dtype=np.float32)
    name = "+".join(recipes[0].features)
    count = int(folds.max()) + 1
    always = labels[folds == ALWAYS_TRAINING]
    at_once = len(always) >= ENOUGH_FOR_ALL * len(labels) and np.unique(always).size == classes
    for group in [range(count)] if at_once else [range(fold, fold + 1) for fold in range(count)]:
        held_out = np.isin(folds, group)
        models = fit_models(features, labels, classes, recipes, optimisation, np.flatnonzero(~held_out))
        unseen, own = features[held_out], np.isin(fold_of_row, group)
        for number, model in enumerate(models):
            logits[number, own] = model.logits(unseen)
        told = f"all {count} folds" if at_once else f"fold {group.start + 1} of {count}"
        report(f"{name}: {told}, {len(recipes)} recipes")
    return logits


class FoldJudge:
    """Scores out-of-fold logits, observation by observation."""

    def __init__(
        self,
        observation_id: Sequence[str],
        labels: npt.NDArray[np.integer],
        class_ids: npt.NDArray[np.int32],
        folds: npt.NDArray[np.int64],
        venomous: Mapping[int, bool],
    ) -> None:
        """Judge N photos: labels [N] are columns of class_ids [C], folds [N] as from `grouped_folds`.

        Raises:
            LearningError: the venom list lacks a species.
        """
        held_out = np.flatnonzero(folds != ALWAYS_TRAINING)
        self._observations = [observation_id[row] for row in held_out.tolist()]
        # An observation's truth is its first row's; sorted, these rows are in first-seen order.
        first_rows = np.sort(held_out[np.unique(self._observations, return_index=True)[1]])
        self._truth, self._fold = labels[first_rows], folds[first_rows]
        self._class_ids, self._venomous = class_ids, venomous
        self._flags = venom_flags(class_ids, venomous)
        first_photos = np.unique(list(observation_id), return_index=True)[1]
        observations = np.bincount(labels[first_photos], minlength=len(class_ids))
        self._prior = observations / observations.sum()

    @property
    def observations(self) -> int:
        """How many observations are held out in some fold."""
        return len(self._truth)

    def judge(self, logits: npt.NDArray[np.float32], pooling: Pooling = "mean") -> FoldScores:
        """Scores of the held-out photos' logits, float32 [H, C], at the temperature that fits them best."""
        temperature = fit_temperature(logits, self._observations, self._truth, pooling)
        return self.judge_probabilities(softmax(logits, temperature), pooling, temperature)

    def judge_probabilities(
        self, photos: npt.NDArray[np.floating], pooling: Pooling = "mean", temperature: float = 1.0
    ) -> FoldScores:
        """Scores of the held-out photos' probabilities, [H, C]; the temperature is noted, not applied."""
        return self.judge_observations(self.pooled(photos, pooling), temperature)

    def pooled(self, photos: npt.NDArray[np.floating], pooling: Pooling) -> npt.NDArray[np.float64]:
        """Probabilities of the held-out observations, first seen first, from their photos', [H, C]."""
        return pool_observations(photos, self._observations, pooling=pooling)[1]

    def judge_observations(
        self, probabilities: npt.NDArray[np.floating], temperature: float = 1.0
    ) -> FoldScores:
        """Scores of the held-out observations' probabilities, first seen first; the temperature is noted."""
        predicted, truth = argmax(probabilities, self._class_ids), self._class_ids[self._truth]
        whole = score(truth, predicted, self._venomous)
        members = [np.flatnonzero(self._fold == fold) for fold in range(self._fold.max() + 1)]
        by_fold = [score(truth[rows], predicted[rows], self._venomous) for rows in members]
        decided = {
            rule: decide(rule, probabilities, self._class_ids, self._flags, self._prior) for rule in RULES
        }
        return FoldScores(
            temperature=temperature,
            log_loss=log_loss(probabilities, self._truth),
            track1=whole.track1,
            track2=whole.track2,
            f1=whole.f1,
            accuracy=whole.accuracy,
            fold_track1=tuple(one.track1 for one in by_fold),
            fold_f1=tuple(one.f1 for one in by_fold),
            fold_accuracy=tuple(one.accuracy for one in by_fold),
            fold_log_loss=tuple(log_loss(probabilities[rows], self._truth[rows]) for rows in members),
            rules={rule: score(truth, answers, self._venomous).track1 for rule, answers in decided.items()},
            fold_rules={
                rule: tuple(score(truth[rows], answers[rows], self._venomous).track1 for rows in members)
                for rule, answers in decided.items()
            },
        )
