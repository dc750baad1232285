"""What must hold of a classifier: nothing about it was chosen by photos that its backbone has seen."""

from collections.abc import Collection, Mapping

import numpy as np

from snake_assets.data_quality.findings import Findings
from snake_assets.defs.assets.dependencies import feature_tables
from snake_assets.defs.checks.factory import Check, Site
from snake_assets.defs.resources.backbone import FINETUNED_BACKBONE
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.reading import read_splits
from snake_assets.storage import StorageError
from snake_assets.storage.bundles import open_bundle
from snake_assets.vision.backbone.model_files import BACKBONE, SEEN_FILE
from snake_assets.vision.embedding.tables import of_each_backbone

CLASSIFIER = "species_classifier"
FROZEN = "No backbone was fine-tuned."
OTHER_EMBEDDINGS = "it was trained on other embeddings of train than those of the store: materialize it again"


def _choices(site: Site) -> Mapping[str, Findings]:
    try:
        trained = open_bundle(site.store.folder(CLASSIFIER))
        tables = feature_tables(site.store, "train", site.crops)
    except StorageError:  # told by the step that makes it
        return {}
    parts = of_each_backbone(tables[0].manifest.recipe)
    if not any("tuned_on" in part for part in parts):
        return {CLASSIFIER: Findings(note=FROZEN)}
    if trained.recipe.get("embeddings") != {table.manifest.table: table.manifest.digest for table in tables}:
        return {CLASSIFIER: Findings([OTHER_EMBEDDINGS])}
    classifier = SpeciesClassifier.load(trained.inside)
    photos = read_splits(tables, only_cls=True, leave_out_copies=classifier.recipe.leave_out_copies)
    rows = list(classifier.choice.rows)
    if not rows:
        return {CLASSIFIER: Findings(["it does not tell by which photos it was chosen: make it again"])}
    # By the list beside the weights, where it is at hand: not by what the vectors say of themselves.
    seen = np.zeros(len(photos), bool) if photos.seen is None else photos.seen
    seen = seen | np.isin(np.array(photos.sha256), _listed(site, {str(part["weights"]) for part in parts}))
    leaked = [photos.image_id[row] for row in rows if seen[row]]
    return {
        CLASSIFIER: Findings(
            [f"photo {name} was learned from and chosen by" for name in leaked],
            {"photos that the backbone has seen": int(seen.sum()), "photos that choices rest on": len(rows)},
            f"{len(leaked)} photos that the backbone was fine-tuned on feed a choice" if leaked else "",
        )
    }


def _listed(site: Site, weights: Collection[str]) -> list[str]:
    try:
        open_bundle(site.store.folder(FINETUNED_BACKBONE))
    except StorageError:
        return []
    folder = site.store.local_folder(FINETUNED_BACKBONE)
    return (folder / SEEN_FILE).read_text().split() if BACKBONE.digest(folder) in weights else []


CLASSIFIER_CHECKS = [
    Check(
        CLASSIFIER,
        "chosen_by_unseen_photos",
        "Nothing was chosen by photos that a fine-tuned backbone has seen.",
        "Fails where a photo that the backbone was fine-tuned on is among those on which the classifier was "
        "chosen: vectors of such photos flatter every choice. When it fails, materialize the embeddings of "
        "train and species_classifier again.",
        _choices,
    )
]
