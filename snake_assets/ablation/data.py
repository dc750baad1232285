"""What all steps are made from; val's photos are seen once more, as the paper's inference saw them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.decision.rules import venom_gap
from snake_assets.learning.errors import LearningError
from snake_assets.learning.feature_table import DCT as DCT_BLOCK
from snake_assets.learning.feature_table import FeatureTable
from snake_assets.learning.reading import read_splits
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.vision.backbone.features import orthonormal_factors
from snake_assets.vision.embedding.embed import EmbeddingSettings, embed
from snake_assets.vision.embedding.tables import DCT, DINOV2

if TYPE_CHECKING:
    from snake_assets.vision.backbone.backbone import Backbone


@dataclass(frozen=True, eq=False)
class AblationData:
    """Photos, truth, and the package's classifier.

    Attributes:
        train: labelled photos of train.
        val: photos to be answered, as they should be seen.
        val_rescaled_twice: the same photos, their pixels divided by 255 twice.
        order: every observation to be answered, with or without a readable photo, O.
        truth: their class_id, int32 [O].
        venomous: the venom list: class_id -> is venomous.
        classifier: trained on train by its own recipe; the last step.
        dct_factors: what un-normalised DCT columns are multiplied by to be orthonormal, float32 [64].
    """

    train: FeatureTable
    val: FeatureTable
    val_rescaled_twice: FeatureTable
    order: Sequence[str]
    truth: npt.NDArray[np.int32]
    venomous: Mapping[int, bool]
    classifier: SpeciesClassifier
    dct_factors: npt.NDArray[np.float32]

    def with_dct(self, table: FeatureTable, orthonormal: bool) -> FeatureTable:
        """A table with its DCT block, if it has one, as it is stored or scaled to be orthonormal."""
        if DCT_BLOCK not in table.blocks or not orthonormal:
            return table
        scaled = table.blocks[DCT_BLOCK] * self.dct_factors
        return replace(table, blocks={**table.blocks, DCT_BLOCK: scaled})


def gather(
    train: Sequence[Table],
    val: Sequence[Table],
    images: Table,
    order: Sequence[str],
    truth: Mapping[str, int],
    venomous: Mapping[int, bool],
    classifier: SpeciesClassifier,
    backbone: "Backbone",
    settings: EmbeddingSettings,
    folder: AnyPath,
    progress: Callable[[int, int], None] | None = None,
) -> AblationData:
    """Read what is there, and embed val's photos with their pixels rescaled twice, unless that is there too.

    Args:
        train: the embedding tables of train, `dinov2_embeddings` and `dct_embeddings` first.
        val: those of val.
        images: `image_table` of val.
        order: every observation of val.
        truth: observation_id -> class_id.
        venomous: the venom list.
        classifier: the package's, trained on train.
        backbone: of the stored embeddings, by which photos are seen again.
        settings: of that pass.
        folder: where its tables lie.
        progress: as in `embed`.

    Raises:
        LearningError: the embeddings were made by another backbone or view, or a species has no venom status.
        StorageError: a table cannot be read or written.
    """
    if gap := venom_gap([*truth.values(), *classifier.class_ids.tolist()], venomous):
        raise LearningError(f"The ablation tells its steps apart by Track 1. {gap}")
    if backbone.beside:
        raise LearningError(
            "The ablation begins with the paper's recipe, which has one backbone: set SNAKE_BACKBONE to one "
            f"of {' and '.join(part.name for part in backbone.parts)}, and run the job snakeclef again."
        )
    wanted, found = backbone.fingerprint_parts(), val[0].manifest.recipe
    differing = [f"{name} was {found.get(name)!r}" for name, now in wanted.items() if found.get(name) != now]
    if differing:
        raise LearningError(
            f"The embeddings of {images.manifest.split!r} were made otherwise than set now "
            f"({'; '.join(differing)}): set backbone, precision and view as they were then, or materialize "
            "embeddings and classifier again."
        )
    if not backbone.layout.has_dct:
        raise LearningError(
            f"The ablation begins with the paper's DCT, and {backbone.name} gives no grid of tokens to take "
            "it over: set another backbone to run it."
        )
    faulty = replace(backbone, preprocessing=backbone.preprocessing.rescaled_twice())
    folders = {name: folder / name / str(images.manifest.split) for name in (DINOV2, DCT)}
    embed(images, folders, faulty, settings, progress)
    rows, columns = backbone.patch_grid
    # A block that the embeddings lack is no step.
    recipe = classifier.recipe.model_copy(update={"blocks": tuple(classifier.features)})
    return AblationData(
        train=read_splits(train, leave_out_copies=recipe.leave_out_copies),
        val=read_splits(val),
        val_rescaled_twice=read_splits([open_table(folders[name]) for name in (DINOV2, DCT)]),
        order=order,
        truth=np.array([truth[observation] for observation in order], dtype=np.int32),
        venomous=venomous,
        classifier=replace(classifier, recipe=recipe),
        dct_factors=orthonormal_factors(backbone.layout.has_cls + rows * columns, backbone.hidden_size),
    )


def read_by_the_paper(train: FeatureTable) -> FeatureTable:
    """The training photos that the paper read: .jpg of iNaturalist; HerpMapper's lie in a folder HMP.

    Raises:
        LearningError: none.
    """
    paths = [PurePosixPath(image_id) for image_id in train.image_id]
    kept = np.array([path.suffix == ".jpg" and path.parts[0] != "HMP" for path in paths])
    if not kept.any():
        raise LearningError(
            f"None of the {len(train)} training photos is a .jpg of iNaturalist, which are all that the "
            "paper read: the ablation needs photos named so."
        )
    return train.rows(np.flatnonzero(kept))


def first_photos(table: FeatureTable) -> FeatureTable:
    """The first photo of every observation."""
    return table.rows(np.sort(np.unique(table.observation_id, return_index=True)[1]))


def numbered_by_frequency(
    class_id: npt.NDArray[np.integer], trained_on: npt.NDArray[np.integer], venomous: Mapping[int, bool]
) -> npt.NDArray[np.int32]:
    """What the official evaluation reads where the species' numbers are submitted as class_id.

    The paper trained on labels 0, 1, 2, ... in the order of frequency, as Spark's StringIndexer gives them,
    and submitted those. The official list holds every class_id from 0 to 1783, so each number IS the
    class_id of some species, nearly always another one, and is scored as that. A list with gaps (the demo's)
    holds no such species: there the number counts through the list, which is the same on the official one.
    Equally frequent species are numbered by class_id.

    Args:
        class_id: the species meant, any shape.
        trained_on: class_id of every photo that was trained on, [M].
        venomous: the venom list.

    Raises:
        LearningError: a species meant that was not trained on: it has no number.
    """
    species, photos = np.unique(trained_on, return_counts=True)
    unknown = np.setdiff1d(class_id, species)
    if unknown.size:
        raise LearningError(f"class_id {unknown[:5].tolist()} were not trained on, so they have no number.")
    number = np.empty(len(species), dtype=np.int64)
    number[np.lexsort((species, -photos))] = np.arange(len(species))
    listed = np.array(sorted(venomous), dtype=np.int32)
    read: npt.NDArray[np.int32] = listed[number[np.searchsorted(species, class_id)]]
    return read
