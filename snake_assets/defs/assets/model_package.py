"""The trained model as a folder that works without the store."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np
import numpy.typing as npt
from pydantic import Field

from snake_assets.defs.assets.dependencies import feature_tables
from snake_assets.defs.assets.validation_report import validation_report
from snake_assets.defs.lib.metadata import data_version
from snake_assets.defs.lib.partitions import ON_DEVICE
from snake_assets.defs.lib.retries import TRY_AGAIN, retries_only_what_passes
from snake_assets.defs.resources.backbone import BackboneSetting
from snake_assets.defs.resources.finder import Crops
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.identification.card import model_card
from snake_assets.identification.errors import IdentificationError
from snake_assets.identification.evaluation import OPERATION_FILE, held_out, read_operation
from snake_assets.identification.gallery import fit_nearness, typical_photos
from snake_assets.identification.package import (
    CARD,
    PACKAGE_FILE,
    THRESHOLDS,
    Content,
    is_made_from,
    write_package,
)
from snake_assets.identification.thresholds import Promises, Species, fit_thresholds
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.evaluation.report import SCORES_FILE
from snake_assets.learning.reading import read_features, read_splits
from snake_assets.learning.train import refit
from snake_assets.plots.photo_sheets import thumbnails
from snake_assets.snakeclef.image_table import class_balance
from snake_assets.snakeclef.metadata import VENOM_LIST, read_venom_list
from snake_assets.storage.bundles import open_bundle
from snake_assets.storage.fingerprints import Json, file_digest
from snake_assets.storage.io import write_whole
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.vision.preprocessing.transforms import POLICIES, View

if TYPE_CHECKING:
    from snake_assets.vision.backbone.backbone import Backbone

# Counts as an input: raise it when the same classifier and features would give another package.
PACKAGE_VERSION = 1
PACKAGE = "model_package"
# Pixels a side, and bytes: of 1,784 species, five photos and their vectors stay under 60 MB.
THUMBNAIL = (160, 5_000)
SPLITS = ("train", "val")


class PackageConfig(dg.Config):
    """What the package promises of observations of species that it knows."""

    refit_on_train_and_val: bool = Field(
        default=True,
        description="Train the chosen recipe again on train and val together, as the submission does.",
    )
    accuracy: float = Field(
        default=Promises().accuracy,
        gt=0.5,
        lt=1,
        description="Share of the answers that are to be right, at each level, above 0.5.",
    )
    known_answered: float = Field(
        default=Promises().known_answered,
        gt=0.5,
        lt=1,
        description="Share of the known that is not to be refused, above 0.5 and below 1. Lower, more "
        "strangers are refused.",
    )
    coverage: float = Field(
        default=Promises().coverage,
        gt=0.5,
        lt=1,
        description="Share of harmless snakes whose prediction set is to hold their species, above "
        "0.5 and below 1.",
    )
    venomous_coverage: float = Field(
        default=Promises().venomous_coverage,
        gt=0.5,
        lt=1,
        description="The same of venomous snakes, above 0.5 and below 1.",
    )

    def promises(self) -> Promises:
        """The promises."""
        return Promises(**{name: getattr(self, name) for name in Promises.model_fields})


@dg.asset(
    name=PACKAGE,
    deps=[validation_report],
    group_name="package",
    kinds={"python", "huggingface"},
    code_version=str(PACKAGE_VERSION),
    retry_policy=TRY_AGAIN,
    op_tags=ON_DEVICE,
)
@retries_only_what_passes
def model_package(
    context: dg.AssetExecutionContext,
    config: PackageConfig,
    raw_data: RawData,
    store: Store,
    backbone: BackboneSetting,
    crops: Crops,
) -> dg.MaterializeResult[None]:
    """All that `snake-assets predict` takes, in one folder that can be copied to any machine.

    Backbone, classifier, thresholds, taxonomy, a gallery of up to five typical photos of each species and a
    model card; package.json has the digest of every file. Thresholds are fitted on photos of train that the
    models behind them have not seen. The photos in the gallery are under their owners' licences. If it fails
    because the backbone is another than that of the embeddings, set SNAKE_BACKBONE to it, or embed again.
    """
    venom_list = raw_data.folder() / "metadata" / VENOM_LIST
    venomous = read_venom_list(venom_list)
    images = {split: open_table(store.folder("image_table", split)) for split in SPLITS}
    tables = {split: feature_tables(store, split, crops) for split in SPLITS}
    trained, report = (
        open_bundle(store.folder("species_classifier")),
        open_bundle(store.folder("validation_report")),
    )
    made_from: dict[str, Json] = {
        "version": PACKAGE_VERSION,
        "config": config.model_dump(),
        "classifier": trained.digest,
        "report": {name: report.files.get(name) for name in (SCORES_FILE, OPERATION_FILE)},
        "images": [images[split].manifest.digest for split in SPLITS],
        "embeddings": [[table.manifest.digest for table in tables[split]] for split in SPLITS],
        "venom_list": file_digest(venom_list),
    }
    folder = store.folder(PACKAGE)
    if not is_made_from(folder, made_from):
        seen_by = _backbone_of(tables["train"][0], backbone)
        classifier = SpeciesClassifier.load(trained.inside)
        train = photos = read_features(*tables["train"])
        if config.refit_on_train_and_val:
            photos = read_splits([tables[split] for split in SPLITS])
            classifier = refit(classifier, photos, venomous)
        # Those of train come first.
        splits = ["train"] * len(train) + ["val"] * (len(photos) - len(train))
        marked = photos is not train
        ids = [name.partition("/")[2] if marked else name for name in photos.image_id]
        names = _names(images.values(), venomous)
        species = Species.of([names[one] for one in classifier.class_ids.tolist()], classifier.venomous)
        held = held_out(classifier, train, venomous, context.log.info)
        nearness = fit_nearness(classifier.neighbours, photos.observation_id)
        gallery = typical_photos(nearness, photos.observation_id)
        scores = json.loads(report.path(SCORES_FILE).read_text())
        crop = tables["train"][-1].manifest.recipe.get("crop")
        cut = dict(crop) if isinstance(crop, Mapping) else {}
        finder = cut.pop("finder", None)
        content = Content(
            classifier=classifier,
            nearness=nearness,
            thresholds=fit_thresholds(held.seen, held.truth, species, config.promises()),
            names=species.names,
            records=_records(images.values(), classifier.class_ids),
            gallery=gallery,
            thumbnails=_thumbnails(images, [(splits[row], ids[row]) for row in gallery.tolist()]),
            backbone=seen_by,
            batch_size=int(str(tables["train"][0].manifest.recipe["batch_size"])),
            finder=finder if isinstance(finder, Mapping) else None,
            cut=cut or None,
            card=model_card(seen_by.name, len(photos), species, scores, read_operation(report)),
            made_from=made_from,
        )
        _keep(content, folder)
    about = json.loads((folder / PACKAGE_FILE).read_bytes())
    return dg.MaterializeResult(
        metadata={
            "folder": dg.MetadataValue.path(str(folder)),
            "model_card": dg.MetadataValue.md((folder / CARD).read_text()),
            "files": len(about["files"]),
            "thresholds": dg.MetadataValue.json(
                {
                    name: value
                    for name, value in json.loads((folder / THRESHOLDS).read_text()).items()
                    if name in ("promises", "observations", "species", "genus", "venomous")
                }
            ),
        },
        data_version=data_version(about["files"]),
    )


def _backbone_of(table: Table, setting: BackboneSetting) -> "Backbone":
    """The backbone, looking at photos as it did for a table.

    Raises:
        IdentificationError: the setting names another backbone.
    """
    recipe = table.manifest.recipe
    side = recipe["resolution"][0] if isinstance(recipe["resolution"], list) else None
    for resolution, resize in product((None, side), POLICIES):
        found = setting.open(View(resolution, resize=resize))
        parts = found.fingerprint_parts()
        if all(recipe.get(name) == part for name, part in parts.items() if name != "precision"):
            return replace(found, precision=str(recipe["precision"]))
    raise IdentificationError(
        f"{table.folder} was made with the backbone {recipe['backbone']} (weights {recipe['weights']}), not "
        f"with {found.name} ({found.digest}): set SNAKE_BACKBONE to it, or embed again."
    )


def _names(images: Iterable[Table], venomous: Mapping[int, bool]) -> dict[int, str]:
    names: dict[int, str] = {}
    for table in images:
        names = class_balance(table, venomous).names | names
    return names


def _records(images: Iterable[Table], class_ids: npt.NDArray[np.int32]) -> dict[str, npt.NDArray[np.int64]]:
    """Country code -> photos of each species, [C]; photos without a code count nowhere."""
    records: dict[str, npt.NDArray[np.int64]] = {}
    for table in images:
        rows = table.read(["class_id", "code"])
        for class_id, code in zip(rows["class_id"].to_pylist(), rows["code"].to_pylist(), strict=True):
            column = int(np.searchsorted(class_ids, class_id))
            if code and column < len(class_ids) and class_ids[column] == class_id:
                records.setdefault(code, np.zeros(len(class_ids), np.int64))[column] += 1
    return records


def _thumbnails(images: Mapping[str, Table], photos: Sequence[tuple[str, str]]) -> list[bytes]:
    found = {
        split: thumbnails(table, {image_id for of, image_id in photos if of == split}, *THUMBNAIL)
        for split, table in images.items()
    }
    return [found[split][image_id] for split, image_id in photos]


def _keep(content: Content, folder: AnyPath) -> None:
    """Put a package in its place: on a disk in one rename, in a bucket with package.json last."""
    if isinstance(folder, Path):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as aside:
            write_package(content, Path(aside) / "new")
            if folder.exists():
                folder.rename(Path(aside) / "old")
            (Path(aside) / "new").rename(folder)
        return
    with TemporaryDirectory() as aside:
        write_package(content, Path(aside) / "new")
        files = sorted(path for path in (Path(aside) / "new").rglob("*") if path.is_file())
        for file in sorted(files, key=lambda path: path.name == PACKAGE_FILE):
            place = folder
            for part in file.relative_to(Path(aside) / "new").parts:
                place = place / part
            write_whole(place, file.read_bytes())
