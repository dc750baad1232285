"""The trained classifier: from a feature table to species. Needs numpy only."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from snake_assets.learning.blending import blended
from snake_assets.learning.decisions import DecisionRule, decide, safest_class
from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import CLS, FeatureTable
from snake_assets.learning.fitting import LinearModel
from snake_assets.learning.location import LocationPrior
from snake_assets.learning.observations import Pooling, pool_observations
from snake_assets.learning.places import NOWHERE, Place, with_places
from snake_assets.learning.predictions import TOP, Observed, Predictions
from snake_assets.learning.probabilities import softmax
from snake_assets.learning.references import References
from snake_assets.learning.refinement import Selection
from snake_assets.learning.settings import TrainingSettings
from snake_assets.storage.paths import AnyPath


@dataclass(frozen=True, eq=False)
class SpeciesClassifier:
    """A linear classifier of species with all that it was chosen by.

    Attributes:
        class_ids: species of each output column, ascending, int32 [C].
        features: block name -> its columns, in input order.
        model: standardisation, weight [D, C] and bias [C].
        temperature: divides all logits.
        pooling: how an observation's photos are pooled.
        rule: how an observation's probabilities become one species.
        prior: share of each species among the training observations, float64 [C].
        venomous: whether each species is medically important venomous, bool [C].
        fingerprint: backbone and preprocessing of the features that it was trained on.
        settings: of the training.
        selection: all candidates, those that the model averages, and why.
        references: whose votes on CLS tokens are blended with the heads'; None where none are.
        location: what places say of species; None where the training observations had none.
    """

    class_ids: npt.NDArray[np.int32]
    features: dict[str, int]
    model: LinearModel
    temperature: float
    pooling: Pooling
    rule: DecisionRule
    prior: npt.NDArray[np.float64]
    venomous: npt.NDArray[np.bool_]
    fingerprint: str
    settings: TrainingSettings
    selection: Selection
    references: References | None = None
    location: LocationPrior | None = None

    def probabilities(self, table: FeatureTable) -> npt.NDArray[np.float32]:
        """Probability of each species for each photo: float32 [N, C], rows sum to 1.

        Raises:
            LearningError: the table's features are not those that the classifier was trained on.
        """
        self._refuse_foreign(table)
        logits = self.model.logits(table.matrix(list(self.features)))
        heads = softmax(logits, self.temperature)
        blend = self.selection.votes.blend
        if self.references is None or blend is None:
            return heads.astype(np.float32)
        votes = self.references.probabilities(table.blocks[CLS])
        return blended(heads, votes, blend.share).astype(np.float32)

    def identify(
        self,
        table: FeatureTable,
        order: Sequence[str] | None = None,
        places: Mapping[str, Place] | None = None,
    ) -> Predictions:
        """Name the species of each observation: probabilities of its photos are pooled, then decided on.

        Args:
            table: photos and their features.
            order: the observations wanted, as in `pool_observations`. One without a readable photo
                is given the prior as its probabilities and the species of least expected cost.
            places: where observations were made, by observation_id; the evidence of those that are known is
                multiplied in. None, or a classifier without a location prior, leaves it out.

        Raises:
            LearningError: foreign features, or an order that does not fit the photos.
        """
        observed = self.observe(table, order)
        if places is not None:
            observed = self.located(observed, places)
        probabilities, decided = observed.probabilities, self.answers(observed, self.rule)
        # Columns ascend by class_id, so a stable sort settles equal probabilities for the lowest.
        top = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]
        column = np.searchsorted(self.class_ids, decided)
        return Predictions(
            observation_id=observed.observation_id,
            class_id=decided,
            probability=np.take_along_axis(probabilities, column[:, None], axis=1)[:, 0].astype(np.float32),
            p_venomous=probabilities[:, self.venomous].sum(axis=1).astype(np.float32),
            top5_class_id=self.class_ids[top],
            top5_probability=np.take_along_axis(probabilities, top, axis=1).astype(np.float32),
            photos=observed.photos,
        )

    def observe(self, table: FeatureTable, order: Sequence[str] | None = None) -> Observed:
        """The first half of `identify`: probabilities of observations; arguments and errors as there."""
        observations, probabilities = pool_observations(
            self.probabilities(table), table.observation_id, order, self.pooling
        )
        photos = Counter(table.observation_id)
        counts = np.array([photos[observation] for observation in observations], dtype=np.int32)
        probabilities[counts == 0] = self.prior
        return Observed(observations, probabilities, counts)

    def located(self, observed: Observed, places: Mapping[str, Place]) -> Observed:
        """The evidence of places multiplied in, as far as they and a location prior are known."""
        if self.location is None:
            return observed
        known = [places.get(observation, NOWHERE) for observation in observed.observation_id]
        return replace(observed, probabilities=with_places(self.location, observed.probabilities, known))

    def answers(self, observed: Observed, rule: DecisionRule) -> npt.NDArray[np.int32]:
        """The second half of `identify`, under any rule: class_id of each observation, int32 [O]."""
        decided = decide(rule, observed.probabilities, self.class_ids, self.venomous, self.prior)
        decided[observed.photos == 0] = safest_class(self.prior, self.class_ids, self.venomous)
        return decided

    def save(self, folder: Path) -> None:
        """Write model.safetensors and classifier.json into an existing or new folder."""
        from snake_assets.learning.classifier_files import write_classifier

        write_classifier(self, folder)

    @classmethod
    def load(cls, folder: AnyPath) -> "SpeciesClassifier":
        """Read what `save` wrote.

        Raises:
            LearningError: a file is missing or damaged, or the two do not belong together.
        """
        from snake_assets.learning.classifier_files import read_classifier

        return read_classifier(folder)

    def _refuse_foreign(self, table: FeatureTable) -> None:
        if table.fingerprint is not None and table.fingerprint != self.fingerprint:
            raise LearningError(
                f"The classifier was trained on features of {self.fingerprint!r}, these photos have features "
                f"of {table.fingerprint!r}. Compute the embeddings with that backbone, or train again."
            )
        wanted = self.features
        if self.references is not None:
            wanted = {**wanted, CLS: len(self.references.space.weight)}
        found = {name: table.dims.get(name, 0) for name in wanted}
        if found != wanted:
            raise LearningError(
                f"The classifier expects the blocks {wanted}, the table has {table.dims}. Compute the "
                f"embeddings with the backbone it was trained on ({self.fingerprint!r}), or train again."
            )
