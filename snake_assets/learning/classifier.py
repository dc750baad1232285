"""The trained classifier: from a feature table to species. Needs numpy only."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from snake_assets.learning.cross_validation.out_of_fold import Choice
from snake_assets.learning.decision.pooling import pool_observations, softmax, tempered
from snake_assets.learning.decision.rules import RULES, DecisionRule, decide, safest_class
from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import CLS, FeatureTable
from snake_assets.learning.linear_head import LinearHead
from snake_assets.learning.neighbours import Neighbours
from snake_assets.learning.settings import Recipe
from snake_assets.storage.paths import AnyPath

TOP = 5
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Observed:
    """The probabilities of C species, float64 [O, C], by O observations.

    `photos` counts the readable ones behind them, int32 [O]; 0 means that they are the prior.
    """

    observation_id: Sequence[str]
    probabilities: npt.NDArray[np.float64]
    photos: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Predictions:
    """What is said about O observations; K = min(5, species).

    Attributes:
        class_id: the decided species, int32 [O].
        probability: that of the decided species, float32 [O].
        p_venomous: probability that the snake is medically important venomous, float32 [O]; None where venom
            is not known.
        top5_class_id: most probable species first, int32 [O, K]. Unless the rule is argmax, the decided one
            need not be the first.
        top5_probability: theirs, float32 [O, K].
        photos: readable photos behind the answer, int32 [O]; 0 means that it comes from the prior alone.
    """

    observation_id: Sequence[str]
    class_id: npt.NDArray[np.int32]
    probability: Floats
    p_venomous: Floats | None
    top5_class_id: npt.NDArray[np.int32]
    top5_probability: Floats
    photos: npt.NDArray[np.int32]

    def __len__(self) -> int:
        """How many observations."""
        return len(self.observation_id)


@dataclass(frozen=True, eq=False)
class SpeciesClassifier:
    """A linear head and nearest training photos, blended; all that answering needs.

    Attributes:
        class_ids: species of each output column, ascending, int32 [C].
        features: block name -> its columns, in the head's order.
        share: of the neighbours' votes in a photo's probabilities.
        temperature: of head and votes together.
        prior: share of each species among the training observations, float64 [C].
        venomous: whether each species is medically important venomous, bool [C]; None where that is not known
            of all of them.
        fingerprint: backbone and preprocessing of the features that it was trained on.
    """

    class_ids: npt.NDArray[np.int32]
    features: dict[str, int]
    head: LinearHead
    neighbours: Neighbours
    share: float
    temperature: float
    rule: DecisionRule
    prior: npt.NDArray[np.float64]
    venomous: npt.NDArray[np.bool_] | None
    fingerprint: str
    recipe: Recipe
    choice: Choice

    @property
    def rules(self) -> tuple[DecisionRule, ...]:
        """Those that it can decide by."""
        return RULES if self.venomous is not None else ("argmax",)

    def votes(self, table: FeatureTable) -> Floats:
        """The neighbours' votes on each photo: float32 [N, C], rows sum to 1.

        Raises:
            LearningError: the table's features are not those that the classifier was trained on.
        """
        self._refuse_foreign(table)
        return self.neighbours.votes(table.blocks[CLS])

    def head_probabilities(self, table: FeatureTable) -> Floats:
        """What the head alone says of each photo: float32 [N, C], rows sum to 1; errors as `votes`."""
        self._refuse_foreign(table)
        return softmax(self.head.logits([table.blocks[name] for name in self.features])).astype(np.float32)

    def probabilities(self, table: FeatureTable) -> Floats:
        """Probability of each species for each photo: float32 [N, C], rows sum to 1; errors as `votes`."""
        heads = self.head_probabilities(table)
        return self.blended(heads, self.votes(table) if self.share else heads)

    def blended(self, heads: Floats, votes: Floats) -> Floats:
        """Head and votes, [N, C] both, mixed by the classifier's share, at its temperature."""
        return tempered((1 - self.share) * heads + self.share * votes, self.temperature).astype(np.float32)

    def observe(
        self, probabilities: Floats, observation_id: Sequence[str], order: Sequence[str] | None = None
    ) -> Observed:
        """Pool photos' probabilities [N, C] by observation, N ids; arguments and errors as in `identify`."""
        observations, pooled = pool_observations(probabilities, observation_id, order)
        photos = Counter(observation_id)
        counts = np.array([photos[observation] for observation in observations], dtype=np.int32)
        pooled[counts == 0] = self.prior
        return Observed(observations, pooled, counts)

    def answers(self, observed: Observed, rule: DecisionRule) -> npt.NDArray[np.int32]:
        """class_id of each observation under one of `rules`, int32 [O]; errors as `decide`."""
        decided = decide(rule, observed.probabilities, self.class_ids, self.venomous, self.prior)
        decided[observed.photos == 0] = safest_class(self.prior, self.class_ids, self.venomous)
        return decided

    def predictions(self, observed: Observed) -> Predictions:
        """The answers under the classifier's own rule, with what they rest on."""
        probabilities, decided = observed.probabilities, self.answers(observed, self.rule)
        # Columns ascend by class_id, so a stable sort settles equal probabilities for the lowest.
        top = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]
        column = np.searchsorted(self.class_ids, decided)
        return Predictions(
            observation_id=observed.observation_id,
            class_id=decided,
            probability=probabilities[np.arange(len(column)), column].astype(np.float32),
            p_venomous=None
            if self.venomous is None
            else probabilities[:, self.venomous].sum(axis=1).astype(np.float32),
            top5_class_id=self.class_ids[top],
            top5_probability=np.take_along_axis(probabilities, top, axis=1).astype(np.float32),
            photos=observed.photos,
        )

    def identify(self, table: FeatureTable, order: Sequence[str] | None = None) -> Predictions:
        """Name the species of each observation: its photos' probabilities are pooled, then decided on.

        Of the observations of `order`, as in `pool_observations`, one without a readable photo is given the
        prior as its probabilities and the species of least expected cost.

        Raises:
            LearningError: foreign features, or an order that does not fit the photos.
        """
        return self.predictions(self.observe(self.probabilities(table), table.observation_id, order))

    def save(self, folder: Path) -> None:
        """Write model.safetensors and classifier.json into an existing or new folder."""
        from snake_assets.learning.classifier_io import write_classifier

        write_classifier(self, folder)

    @classmethod
    def load(cls, folder: AnyPath, model_file: str = "model.safetensors") -> "SpeciesClassifier":
        """Read what `save` wrote; arguments and errors as `classifier_io.read_classifier`."""
        from snake_assets.learning.classifier_io import read_classifier

        return read_classifier(folder, model_file)

    def _refuse_foreign(self, table: FeatureTable) -> None:
        wanted = {**self.features, CLS: len(self.neighbours.axes)}
        if table.fingerprint not in (None, self.fingerprint) or not wanted.items() <= table.dims.items():
            raise LearningError(
                f"The classifier was trained on features of {self.fingerprint!r}, the blocks {wanted}; these "
                f"photos have features of {table.fingerprint!r}, the blocks {table.dims}. Compute the "
                "embeddings with that backbone, or train again."
            )
