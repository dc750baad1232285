"""What is stale: judged by the raw files and the manifests in the store, never by a log or a time stamp.

The store may have been removed, or filled elsewhere. No photo is opened and no model is loaded. How photos
are looked at (resolution, mirror images, margin) and how answers are made (folds, seed, refitting) is not
judged: it is chosen run by run.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from snake_assets.defs.assets.classifier import FINAL_CLASSIFIER
from snake_assets.defs.assets.dependencies import CROP_TABLES, FEATURE_TABLES, feature_tables
from snake_assets.defs.assets.submission import SUBMISSION_VERSION
from snake_assets.defs.resources.backbone import BackboneSetting, demo_backbone
from snake_assets.defs.resources.finder import CropMode, Crops
from snake_assets.defs.resources.settings import setting
from snake_assets.defs.resources.storage import Store
from snake_assets.detection.detect import FINDING_VERSION
from snake_assets.learning.evaluation.report import REPORT_VERSION
from snake_assets.learning.train import CLASSIFIER_VERSION
from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.image_table import INGEST_VERSION, ingest_is_current
from snake_assets.snakeclef.metadata import SPLITS
from snake_assets.snakeclef.raw.inventory import INVENTORY_VERSION, inventory_is_current, read_inventory
from snake_assets.snakeclef.raw.sources import RawListing
from snake_assets.storage import StorageError
from snake_assets.storage.bundles import Bundle, open_bundle
from snake_assets.storage.fingerprints import Json, fingerprint
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.manifest import read_manifest
from snake_assets.storage.tables.table import open_table
from snake_assets.vision.backbone.model_files import BACKBONE
from snake_assets.vision.embedding.tables import DCT, DINOV2, EMBEDDING_VERSION, has_dct, of_each_backbone
from snake_assets.vision.inference.dataset import crop_unit
from snake_assets.vision.preprocessing.regions import CROPS, Regions, unit_made_of


@dataclass(frozen=True)
class Stale:
    """Something that should be made again.

    Attributes:
        split: the partition; None where it has none.
        state: digest of everything that it would be made from and by.
        why: in one clause.
    """

    split: str | None
    state: str
    why: str


@dataclass(frozen=True)
class SoughtBackbone:
    """The backbone that the settings name, as far as that is known without loading it or asking the network.

    Attributes:
        name: hub id, or the folder's own name.
        revision: as it was set; None for a folder.
        weights: digest of the weights in a folder; None for a hub id, or where the folder is yet to be made.
        beside: those named behind it.
    """

    name: str
    revision: str | None = None
    weights: str | None = None
    beside: tuple["SoughtBackbone", ...] = ()

    @classmethod
    def of(cls, backbone: BackboneSetting, store: Store) -> "SoughtBackbone":
        """What is set. Raises BackboneError for a folder that is no backbone, StorageError as `names`."""
        revision = setting(backbone.revision, "SNAKE_REVISION", "")
        first, *others = (cls._named(name, revision) for name in backbone.names(store))
        return replace(first, beside=tuple(others))

    @classmethod
    def _named(cls, name: str, revision: str) -> "SoughtBackbone":
        folder = Path(name).expanduser()
        if folder == demo_backbone() and not folder.is_dir():
            return cls(folder.name)
        if folder.is_dir() or name.startswith((".", "/", "~")):
            return cls(folder.resolve().name, weights=BACKBONE.digest(BACKBONE.locate(str(folder))))
        return cls(name, revision or None)

    def made(self, recipe: Mapping[str, Json]) -> bool:
        """Whether a table of this recipe came from it. A branch that moved on the hub is not noticed."""
        sought, made = (self, *self.beside), of_each_backbone(recipe)
        return len(sought) == len(made) and all(map(SoughtBackbone._made, sought, made))

    def _made(self, recipe: Mapping[str, Json]) -> bool:
        if self.weights is not None:
            return recipe.get("weights") == self.weights
        pinned = re.fullmatch("[0-9a-f]{40}", self.revision or "")
        return recipe.get("backbone") == self.name and (not pinned or recipe.get("revision") == self.revision)


def stale_features(raw: RawListing, store: Store, backbone: SoughtBackbone, crops: Crops) -> Stale | None:
    """The features of a split, from the photos on; None where they are up to date, or there is no photo.

    Raises:
        StorageError: a manifest in the store is damaged.
        SettingError: crops are set to what is no finder.
    """
    if raw.is_empty and read_manifest(store.folder("raw_images", raw.split)) is None:
        return None
    if why := _why_features(raw, store, backbone, crops.checked()):
        versions = [INVENTORY_VERSION, INGEST_VERSION, EMBEDDING_VERSION, FINDING_VERSION]
        place = raw.known_as or str(raw.data)
        state = fingerprint([place, raw.digest, versions, asdict(backbone), crops.checked().value])
        return Stale(raw.split, state, why)
    return None


def _why_features(raw: RawListing, store: Store, backbone: SoughtBackbone, crops: CropMode) -> str | None:
    def folder(asset: str) -> AnyPath:
        return store.folder(asset, raw.split)

    if not inventory_is_current(raw.data, raw.photos, raw.archives, folder("raw_images"), raw.known_as):
        return "raw_images is missing, or the files have changed since"
    try:
        rows = raw.layout.rows(raw.split)
        photos = read_inventory(open_table(folder("raw_images")), raw.data, raw.known_as, raw.unpacked_at)
        if not ingest_is_current(rows, photos, folder("image_table")):
            return "image_table is missing, or metadata or files have changed since"
    except DataError as error:
        return f"the data has a fault that a run will name ({error})"
    shards = open_table(folder("image_table")).manifest.shards
    units = [unit_made_of(shard) for shard in shards]
    for name in FEATURE_TABLES:
        if name == DCT and not has_dct(open_table(folder(DINOV2))):
            continue
        if why := _why_table(folder(name), EMBEDDING_VERSION, units, backbone):
            return f"{name} {why}"
    if crops is CropMode.none:
        return None
    if why := _why_table(folder(CROPS), FINDING_VERSION, units):
        return f"{CROPS} {why}"
    found = open_table(folder(CROPS))
    regions = Regions(found)
    units = [crop_unit(shard, regions) for shard in shards]
    cut: dict[str, Json] = {"finder": dict(found.manifest.recipe)}
    for name in CROP_TABLES:
        if why := _why_table(folder(name), EMBEDDING_VERSION, units, backbone, cut):
            return f"{name} {why}"
    return None


def _why_table(
    folder: AnyPath,
    version: int,
    units: Sequence[str],
    backbone: SoughtBackbone | None = None,
    cut: Mapping[str, Json] | None = None,
) -> str | None:
    manifest = read_manifest(folder)
    if manifest is None:
        return "is missing"
    if manifest.recipe.get("version") != version:
        return "was made by another version of the code"
    if backbone and not backbone.made(manifest.recipe):
        names = [str(of.get("backbone")) for of in of_each_backbone(manifest.recipe)]
        return f"was made by another backbone ({', '.join(names)})"
    if cut and not _has(manifest.recipe.get("crop"), cut):
        return "was cut by what another finder found"
    if not manifest.holds(folder, manifest.recipe, units):
        return "was made of other photos, or lacks a file"
    return None


def stale_answers(store: Store, crops: Crops, splits: Sequence[str] = SPLITS) -> Stale | None:
    """Classifiers, report and submission; None where all are made of the features as they are.

    `splits` are those that the raw data has: without val there is no report, without test no submission.

    Raises:
        StorageError: a split has no features yet.
        SettingError: crops are set to what is no finder.
    """
    read: dict[str, dict[str, Json]] = {
        split: {table.manifest.table: table.manifest.digest for table in feature_tables(store, split, crops)}
        for split in splits
    }
    state = fingerprint([read, [CLASSIFIER_VERSION, REPORT_VERSION, SUBMISSION_VERSION]])
    lists: dict[str, Json] = {split: list(digests.values()) for split, digests in read.items()}
    try:
        classifier = open_bundle(store.folder("species_classifier"))
        by: dict[str, Json] = {"classifier": classifier.digest}
        made: list[tuple[Bundle, dict[str, Json]]] = [
            (classifier, {"version": CLASSIFIER_VERSION, "embeddings": read["train"]})
        ]
        if "val" in splits:
            of_both = {split: lists[split] for split in ("train", "val")}
            report = open_bundle(store.folder("validation_report"))
            made.append((report, {"version": REPORT_VERSION, "embeddings": of_both, **by}))
        final = open_bundle(store.folder(FINAL_CLASSIFIER))
        learned = final.recipe.get("embeddings")
        learned_from = {s: lists[s] for s in splits if isinstance(learned, Mapping) and s in learned}
        made.append((final, {"version": CLASSIFIER_VERSION, "embeddings": learned_from, **by}))
        if "test" in splits:
            submission = open_bundle(store.folder("submission"))
            answered = {"embeddings": lists["test"], "classifier": final.digest}
            made.append((submission, {"version": SUBMISSION_VERSION, **answered}))
    except StorageError as error:
        return Stale(None, state, f"something is missing ({error})")
    for bundle, recipe in made:
        if not _has(bundle.recipe, recipe):
            why = f"{bundle.folder.name} was made of other features, or by another version of the code"
            return Stale(None, state, why)
    return None


def _has(recipe: object, expected: Mapping[str, object]) -> bool:
    return isinstance(recipe, Mapping) and all(recipe.get(key) == value for key, value in expected.items())
