"""The choice among candidates, on folds of train and nothing else."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from snake_assets.learning.calibration import fit_temperature, log_loss
from snake_assets.learning.decisions import RULES, DecisionRule, argmax, decide, venom_flags
from snake_assets.learning.feature_table import FeatureTable
from snake_assets.learning.fitting import fit_models
from snake_assets.learning.folds import ALWAYS_TRAINING
from snake_assets.learning.heads import Optimisation
from snake_assets.learning.observations import average_observations
from snake_assets.learning.probabilities import softmax
from snake_assets.learning.settings import Recipe
from snake_assets.snakeclef.metric import score


class Candidate(BaseModel):
    """A recipe's out-of-fold scores per observation, decided by argmax; percentages, log-loss in nats.

    `track1`, `track2`, `f1`, `accuracy` and `log_loss` are of all held-out observations taken together, the
    `fold_` ones of each fold. `rules` holds Track 1 of the whole under each decision rule.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: Recipe
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

    def row(self) -> dict[str, float | str]:
        """One row of a table: the recipe's name, whole scores and means over folds."""
        return {
            "recipe": self.recipe.name,
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


class Selection(BaseModel):
    """All candidates, the chosen one, its decision rule, and why.

    `held_out` is the number of observations that the scores are about.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidates: tuple[Candidate, ...]
    chosen: int
    rule: DecisionRule
    reason: str
    held_out: int

    @property
    def winner(self) -> Candidate:
        """The chosen candidate."""
        return self.candidates[self.chosen]

    def rows(self) -> list[dict[str, float | str]]:
        """The table of candidates, least log-loss first."""
        return [candidate.row() for candidate in sorted(self.candidates, key=lambda one: one.log_loss)]


def choose(candidates: Sequence[Candidate], held_out: int) -> Selection:
    """Choose a candidate and its decision rule.

    Track 1 is what counts, but one observation more or less right moves it by more than good recipes
    differ. So it only rules out: the candidate with the best Track 1 leads, and all those stay whose
    mean gap to the leader over the folds is within one standard error of that gap. Among them the
    least log-loss wins, which sees every probability and is far less a matter of luck. Equal ones go
    to the first. The rule with the higher Track 1 is then taken for the winner, argmax when equal.
    """
    leader = max(candidates, key=lambda one: one.track1)
    staying = [number for number, one in enumerate(candidates) if _indistinguishable(leader, one)]
    chosen = min(staying, key=lambda number: candidates[number].log_loss)
    winner = candidates[chosen]
    rule = max(RULES, key=lambda name: winner.rules[name])
    reason = (
        f"{len(staying)} of {len(candidates)} candidates are within one standard error of the best Track 1 "
        f"on the folds ({leader.track1:.2f}, {leader.recipe.name}); of these, {winner.recipe.name} has the "
        f"least log-loss ({winner.log_loss:.4f}, Track 1 {winner.track1:.2f}). It decides by {rule}: "
        + ", ".join(f"{name} reaches {winner.rules[name]:.2f}" for name in RULES)
        + "."
    )
    return Selection(candidates=tuple(candidates), chosen=chosen, rule=rule, reason=reason, held_out=held_out)


def _indistinguishable(leader: Candidate, other: Candidate) -> bool:
    gaps = np.subtract(leader.fold_track1, other.fold_track1)
    if gaps.size == 1:
        return bool(gaps[0] <= 0)
    return bool(gaps.mean() <= gaps.std(ddof=1) / np.sqrt(gaps.size))


def out_of_fold_logits(
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.integer],
    classes: int,
    folds: npt.NDArray[np.int64],
    recipes: Sequence[Recipe],
    optimisation: Optimisation,
    report: Callable[[str], None],
) -> npt.NDArray[np.float32]:
    """Logits of every photo by models that have not seen its fold: float32 [recipes, N, C].

    Photos that are never held out keep NaN. Arguments as in `fit_models`; folds as from `grouped_folds`.
    """
    logits = np.full((len(recipes), len(features), classes), np.nan, dtype=np.float32)
    for fold in range(folds.max() + 1):
        held_out = folds == fold
        models = fit_models(features[~held_out], labels[~held_out], classes, recipes, optimisation)
        for number, model in enumerate(models):
            logits[number, held_out] = model.logits(features[held_out])
        report(
            f"{'+'.join(recipes[0].features)}: fold {fold + 1} of {folds.max() + 1}, {len(recipes)} recipes"
        )
    return logits


class FoldJudge:
    """Scores out-of-fold logits, observation by observation."""

    def __init__(
        self,
        table: FeatureTable,
        labels: npt.NDArray[np.integer],
        class_ids: npt.NDArray[np.int32],
        folds: npt.NDArray[np.int64],
        venomous: Mapping[int, bool],
    ) -> None:
        """Judge photos of `table`: labels [N] are columns of class_ids [C], folds [N] as `grouped_folds`."""
        self._held_out = np.flatnonzero(folds != ALWAYS_TRAINING)
        self._observations = [table.observation_id[row] for row in self._held_out.tolist()]
        first_rows = self._held_out[np.unique(self._observations, return_index=True)[1]]
        first_rows.sort()
        # First rows in row order are the first-seen order of `average_observations`.
        self._truth, self._fold = labels[first_rows], folds[first_rows]
        self._class_ids, self._venomous = class_ids, venomous
        self._flags = venom_flags(class_ids, venomous)

    @property
    def observations(self) -> int:
        """How many observations are held out in some fold."""
        return len(self._truth)

    def candidate(self, recipe: Recipe, logits: npt.NDArray[np.float32]) -> Candidate:
        """Scores of one recipe from its out-of-fold logits, float32 [N, C]."""
        held_out = logits[self._held_out]
        temperature = fit_temperature(held_out, self._observations, self._truth)
        _, probabilities = average_observations(softmax(held_out, temperature), self._observations)
        predicted = argmax(probabilities, self._class_ids)
        true_ids = self._class_ids[self._truth]
        whole = score(true_ids, predicted, self._venomous)
        members = [np.flatnonzero(self._fold == fold) for fold in range(self._fold.max() + 1)]
        by_fold = [score(true_ids[rows], predicted[rows], self._venomous) for rows in members]
        decided = {rule: decide(rule, probabilities, self._class_ids, self._flags) for rule in RULES}
        return Candidate(
            recipe=recipe,
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
            rules={
                rule: score(true_ids, answers, self._venomous).track1 for rule, answers in decided.items()
            },
        )
