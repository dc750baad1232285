"""Gathering the material from the store; photos are seen once more, as the paper's inference saw them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from snake_assets.ladder.material import Material
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import FeatureTable
from snake_assets.learning.reading import read_features
from snake_assets.learning.training_table import available_sets
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.vision.backbone.features import orthonormal_factors
from snake_assets.vision.embedding.embed import EmbeddingSettings, embed
from snake_assets.vision.embedding.tables import DCT, DINOV2

if TYPE_CHECKING:
    from snake_assets.vision.backbone.backbone import Backbone


@dataclass(frozen=True, eq=False)
class Seer:
    """How photos are seen again: the stored embeddings' backbone, the pass, and where its tables lie."""

    backbone: "Backbone"
    settings: EmbeddingSettings
    folder: AnyPath


def gather(
    train: Sequence[Table],
    val: Sequence[Table],
    images: Table,
    order: Sequence[str],
    truth: Mapping[str, int],
    venomous: Mapping[int, bool],
    classifier: SpeciesClassifier,
    seer: Seer,
    progress: Callable[[int, int], None] | None = None,
) -> Material:
    """Read what is there, and embed val's photos with their pixels rescaled twice, unless that is there too.

    Args:
        train: `dinov2_embeddings`, `dct_embeddings` and, where it is there, `crop_embeddings`, of train.
        val: those of val.
        images: `image_table` of val.
        order: every observation of val.
        truth: observation_id -> class_id.
        venomous: the venom list.
        classifier: the package's, trained on train.
        seer: sees the photos again.
        progress: as in `embed`.

    Raises:
        LearningError: the embeddings were made by another backbone or view than the seer's.
        StorageError: a table cannot be read or written.
    """
    backbone = seer.backbone
    rows, columns = backbone.patch_grid
    features = read_features(*train)
    # What the sweep passed over for want of embeddings is no step of the ladder.
    tried = tuple(available_sets(features, classifier.settings))
    settings = classifier.settings.model_copy(update={"feature_sets": tried})
    return Material(
        train=features,
        val=read_features(*val),
        val_rescaled_twice=_seen_with_the_fault(images, val[0], seer, progress),
        order=order,
        truth=np.array([truth[observation] for observation in order], dtype=np.int32),
        venomous=venomous,
        classifier=replace(classifier, settings=settings),
        dct_factors=orthonormal_factors(1 + rows * columns, backbone.hidden_size),
    )


def _seen_with_the_fault(
    images: Table,
    embedded: Table,
    seer: Seer,
    progress: Callable[[int, int], None] | None,
) -> FeatureTable:
    wanted, found = seer.backbone.fingerprint_parts(), embedded.manifest.recipe
    differing = [f"{name} was {found.get(name)!r}" for name, now in wanted.items() if found.get(name) != now]
    if differing:
        raise LearningError(
            f"The embeddings of {images.manifest.split!r} were made otherwise than set now "
            f"({'; '.join(differing)}): set backbone, precision and view as they were then, or materialize "
            "embeddings and classifier again."
        )
    faulty = replace(seer.backbone, preprocessing=seer.backbone.preprocessing.rescaled_twice())
    folders = {name: seer.folder / name / str(images.manifest.split) for name in (DINOV2, DCT)}
    embed(images, folders, faulty, seer.settings, progress)
    return read_features(*(open_table(folders[name]) for name in (DINOV2, DCT)))
