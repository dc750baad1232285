"""A package of the demo's backbone, trained on coloured noise."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from snake_assets.identification.evaluation import Kept, Operation, held_out
from snake_assets.identification.gallery import fit_nearness, typical_photos
from snake_assets.identification.package import write_package
from snake_assets.identification.thresholds import Species, fit_thresholds
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.feature_table import WHOLE_BLOCKS, FeatureTable
from snake_assets.learning.settings import Recipe
from snake_assets.learning.train import train_classifier
from snake_assets.vision.backbone.backbone import Backbone, open_backbone
from snake_assets.vision.backbone.features import launch
from snake_assets.vision.preprocessing.regions import WHOLE_FRAME

NAMES = ["Naja naja", "Naja kaouthia", "Ptyas mucosa", "Boiga cyanea"]
SCORES = {
    **dict.fromkeys(("track1", "track2", "f1", "accuracy"), 90.5),
    "intervals": {"track1": [88.0, 92.0]},
    "chance": dict.fromkeys(("track1", "track2", "f1", "accuracy"), 20.0),
    "observations": 116,
}
OPERATION = Operation(
    photos=900,
    observations=570,
    kept=(Kept(promise="right", promised=0.9, achieved=0.93, standard_error=None, observations=60),),
    set_size=1.25,
    risk_coverage=((1.0, 0.08),),
    strangers=(),
    auroc=(0.876, 0.847, 0.904),
    refused=(0.36, 0.26, 0.47),
)
SPECIES = Species.of(NAMES, [True, True, False, False])
CLASS_IDS = np.array([3, 5, 8, 9], np.int32)
VENOMOUS = {3: True, 5: True, 8: False, 9: False}


@dataclass(frozen=True)
class Made:
    """A package, what it was made of, and new photos with their observations and features."""

    folder: Path
    backbone: Backbone
    train: FeatureTable
    thumbnails: list[bytes]
    classifier: SpeciesClassifier
    photos: list[tuple[Path, str]]
    features: FeatureTable


def snake(species: int, seed: int) -> bytes:
    """Noise in the colour of a species, as a PNG."""
    draw = np.random.default_rng(seed)
    colour = np.array([[230, 60, 60], [200, 120, 60], [60, 200, 90], [60, 90, 230]])[species]
    pixels = np.clip(colour + draw.normal(0, 25, 3) + draw.normal(0, 40, (64, 48, 3)), 0, 255)
    encoded = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(encoded, "PNG")
    return encoded.getvalue()


def features_of(backbone: Backbone, photos: list[bytes], observations: list[str]) -> FeatureTable:
    """As the embedding pass makes them, in batches of 16."""
    seen = backbone.input
    pixels = [seen.prepared(photo, WHOLE_FRAME) for photo in photos]
    batches = [pixels[start : start + 16] for start in range(0, len(pixels), 16)]
    found = [launch(backbone, seen.together(batch)).features() for batch in batches]
    return FeatureTable(
        image_id=[f"{number}" for number in range(len(photos))],
        observation_id=observations,
        blocks={name: np.concatenate([getattr(part, name) for part in found]) for name in WHOLE_BLOCKS},
    )


def package_of(
    folder: Path,
    backbone: Backbone,
    train: FeatureTable,
    thumbnails: list[bytes],
    classifier: SpeciesClassifier,
    venomous: Mapping[int, bool] = VENOMOUS,
    scores: Mapping[str, object] = SCORES,
) -> None:
    """Write a package; `thumbnails` are of the photos of train."""
    gallery = typical_photos(classifier.neighbours, train.observation_id)
    species = Species.of(NAMES, classifier.venomous)
    write_package(
        folder,
        classifier=classifier,
        nearness=fit_nearness(classifier.neighbours, train.observation_id),
        thresholds=fit_thresholds(*held_out(classifier, train, venomous), species),
        species=species,
        records=pl.DataFrame(
            [(3, "PH", 1), (5, "PH", 9), (8, "PH", 1), (9, "PH", 9), (5, "IN", 9), (9, "IN", 9)],
            schema=["class_id", "code", "photos"],
            orient="row",
        ),
        gallery=gallery,
        thumbnails=[thumbnails[row] for row in gallery.tolist()],
        backbone=backbone,
        recipe={"batch_size": 16},
        scores=scores,
        operation=OPERATION,
        made_from={},
    )


@pytest.fixture(scope="session")
def made(demo_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A package of four species; not to be changed."""
    return make_package(tmp_path_factory.mktemp("identification"), demo_backbone)


def make_package(root: Path, backbones: Path | str) -> Made:
    """`model_package` in a folder, and new photos beside it."""
    backbone = open_backbone(str(backbones), precision="fp32")
    labels = np.repeat(np.arange(4), 16)
    photos = [snake(label, number) for number, label in enumerate(labels.tolist())]
    known = features_of(backbone, photos, [f"{number // 2}" for number in range(64)])
    train = FeatureTable(known.image_id, known.observation_id, known.blocks, CLASS_IDS[labels])
    classifier = train_classifier(train, VENOMOUS, Recipe(folds=2), "drawn")
    package_of(root / "model_package", backbone, train, photos, classifier)
    new = [snake(number % 4, 1000 + number) for number in range(12)]
    files = [root / "photos" / f"{number:02}.png" for number in range(12)]
    files[0].parent.mkdir()
    for file, photo in zip(files, new, strict=True):
        file.write_bytes(photo)
    observations = [f"new {number % 4} {number // 8}" for number in range(12)]
    features = features_of(backbone, new, observations)
    asked = [*zip(files, observations, strict=True)]
    return Made(root / "model_package", backbone, train, photos, classifier, asked, features)
