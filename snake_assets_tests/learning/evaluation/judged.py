"""Judgements to test with: of a classifier that answers what it is told, on well separated clouds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from snake_assets.learning.classifier import Observed, Predictions
from snake_assets.learning.decision.rules import RULES, known_venom
from snake_assets.learning.evaluation.report import Judgement, judge
from snake_assets.learning.feature_table import FeatureTable
from snake_assets.learning.neighbours import Neighbours, fit_neighbours
from snake_assets_tests.learning.tables import VENOMOUS, species_table

NAMES = {3: "Aus albus", 7: "Bus niger", 12: "Cus ruber", 30: "Dus viridis"}


def train_table(classes: tuple[int, ...] = tuple(NAMES)) -> FeatureTable:
    """Two photos each of six observations of a species, no two alike."""
    return species_table(classes, observations=6, photos=2, spread=1.2)


def val_table() -> FeatureTable:
    """Two photos each of three observations of a species; none of them resembles one of train."""
    return species_table(observations=3, photos=2, spread=1.2, seed=1, prefix="val")


TRAIN, VAL = train_table(), val_table()


@dataclass(frozen=True)
class ToldClassifier:
    """Answers each observation with the species that it was told, at the probability that it was told."""

    answered: Mapping[str, int]
    probability: Mapping[str, float]
    class_ids: np.ndarray
    venomous: Mapping[int, bool]
    neighbours: Neighbours

    rule: str = "argmax"

    @property
    def rules(self) -> tuple[str, ...]:
        return RULES if known_venom(self.class_ids, self.venomous) else ("argmax",)

    def head_probabilities(self, table: FeatureTable) -> np.ndarray:
        return np.zeros((len(table), 1), dtype=np.float32)

    votes = head_probabilities

    def blended(self, heads: np.ndarray, votes: np.ndarray) -> np.ndarray:
        return heads

    def observe(self, photos: np.ndarray, observation_id: Sequence[str], order: Sequence[str]) -> Observed:
        counts = np.array([list(observation_id).count(name) for name in order], dtype=np.int32)
        return Observed(list(order), np.zeros((len(order), 1)), counts)

    def answers(self, observed: Observed, rule: str) -> np.ndarray:
        return np.array([self.answered[name] for name in observed.observation_id], dtype=np.int32)

    def predictions(self, observed: Observed) -> Predictions:
        class_id = self.answers(observed, self.rule)
        stated = np.array([self.probability.get(name, 0.9) for name in observed.observation_id], np.float32)
        known = known_venom(self.class_ids, self.venomous)
        answered_venomous = np.array([known[one] for one in class_id.tolist()], bool) if known else None
        return Predictions(
            observation_id=observed.observation_id,
            class_id=class_id,
            probability=stated,
            p_venomous=np.where(answered_venomous, stated, 1 - stated) if known else None,
            top5_class_id=class_id[:, None],
            top5_probability=stated[:, None],
            photos=observed.photos,
        )


def neighbours_in(train: FeatureTable) -> Neighbours:
    ids, labels = np.unique(train.class_id, return_inverse=True)
    return fit_neighbours(train.blocks["cls"], labels, len(ids))


def truth_of(table: FeatureTable) -> dict[str, int]:
    return dict(zip(table.observation_id, table.class_id.tolist(), strict=True))


def judged(
    wrong: Mapping[str, int] | None = None,
    train: FeatureTable = TRAIN,
    val: FeatureTable = VAL,
    truth: Mapping[str, int] | None = None,
    probability: Mapping[str, float] | None = None,
    venomous: Mapping[int, bool] = VENOMOUS,
    names: Mapping[int, str] = NAMES,
    trained_on: FeatureTable | None = None,
) -> Judgement:
    """All observations of `truth` (of `val` by default) answered rightly but for those in `wrong`."""
    truth = truth_of(val) if truth is None else truth
    answers, ids = {**truth, **(wrong or {})}, np.unique(train.class_id)
    told = ToldClassifier(answers, probability or {}, ids, venomous, neighbours_in(trained_on or train))
    return judge(told, train, val, list(truth), truth, venomous, names)
