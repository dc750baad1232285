"""The trained model as a folder that works without the store."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl
from pydantic import Field

from snake_assets.defs.assets.classifier import FINAL_CLASSIFIER, final_classifier
from snake_assets.defs.assets.dependencies import feature_tables
from snake_assets.defs.assets.validation_report import validation_report
from snake_assets.defs.lib.metadata import data_version
from snake_assets.defs.lib.partitions import ON_DEVICE
from snake_assets.defs.lib.retries import TRY_AGAIN, StepConfig, retries_only_what_passes
from snake_assets.defs.resources.backbone import BackboneSetting
from snake_assets.defs.resources.finder import Crops
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.identification.evaluation import OPERATION_FILE, held_out, read_operation
from snake_assets.identification.gallery import fit_nearness, typical_photos
from snake_assets.identification.identify import IdentificationError
from snake_assets.identification.package import (
    CARD,
    PACKAGE_FILE,
    THRESHOLDS,
    is_made_from,
    write_package,
)
from snake_assets.identification.thresholds import VENOMOUS_COVERAGE, Promises, Share, Species, fit_thresholds
from snake_assets.learning.classifier import SpeciesClassifier
from snake_assets.learning.evaluation.report import SCORES_FILE
from snake_assets.learning.feature_table import FeatureTable
from snake_assets.learning.reading import read_splits
from snake_assets.plots.photo_sheets import thumbnails
from snake_assets.storage.bundles import Bundle, open_bundle
from snake_assets.storage.fingerprints import Json
from snake_assets.storage.io import write_whole
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.table import Table, open_table
from snake_assets.vision.embedding.tables import of_each_backbone
from snake_assets.vision.preprocessing.transforms import POLICIES, View

if TYPE_CHECKING:
    from snake_assets.vision.backbone.backbone import Backbone

# Counts as an input: raise it when the same classifier and features would give another package.
PACKAGE_VERSION = 2
PACKAGE = "model_package"
# Pixels a side, and bytes: of 1,784 species, five photos and their vectors stay under 60 MB.
THUMBNAIL = (160, 5_000)
SPLITS = ("train", "val")
DEFAULT, RANGE = Promises(), "above 0.5 and below 1"


class PackageConfig(StepConfig):
    """What the package promises of observations of species that it knows."""

    accuracy: Share = Field(
        default=DEFAULT.accuracy,
        description=f"Share of the answers that are to be right, at each level, {RANGE}.",
    )
    known_answered: Share = Field(
        default=DEFAULT.known_answered,
        description=f"Share of the known not to be refused, {RANGE}. Lower, more strangers are refused.",
    )
    coverage: Share = Field(
        default=DEFAULT.coverage,
        description=f"Share of harmless snakes whose prediction set is to hold their species, {RANGE}.",
    )
    venomous_coverage: Share = Field(
        default=VENOMOUS_COVERAGE,
        description=f"The same of venomous snakes, {RANGE}. Where it is not known which those are, "
        "`coverage` is for all.",
    )


@dg.asset(
    name=PACKAGE,
    deps=[validation_report, final_classifier],
    group_name="classifier",
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
    layout = raw_data.layout(store)
    images = {split: open_table(store.folder("image_table", split)) for split in SPLITS}
    tables = {split: feature_tables(store, split, crops) for split in SPLITS}
    trained, final = (open_bundle(store.folder(name)) for name in ("species_classifier", FINAL_CLASSIFIER))
    report = open_bundle(store.folder("validation_report"))
    made_from: dict[str, Json] = {
        "version": PACKAGE_VERSION,
        "promises": config.model_dump(),
        "classifier": [trained.digest, final.digest],
        "report": {name: report.files.get(name) for name in (SCORES_FILE, OPERATION_FILE)},
        "images": [images[split].manifest.digest for split in SPLITS],
        "embeddings": [[table.manifest.digest for table in tables[split]] for split in SPLITS],
        "venom_list": layout.venom_digest(),
    }
    folder = store.folder(PACKAGE)
    if not is_made_from(folder, made_from):
        venomous, recipe = layout.venom(), tables["train"][-1].manifest.recipe
        seen_by = backbone_of(tables["train"][0], store, backbone)
        judged = SpeciesClassifier.load(trained.inside)
        classifier, photos, image_ids = _answering(final, tables)
        known = _known_photos(images)
        names = dict(known.select("class_id", "binomial_name").unique("class_id").iter_rows())
        species = Species.of([names[one] for one in classifier.class_ids.tolist()], classifier.venomous)
        of_train = read_splits(tables["train"], leave_out_copies=judged.recipe.leave_out_copies)
        # In the columns of what answers, which may know species of val that train lacks.
        seen, truth = held_out(classifier, of_train, venomous, context.log.info)
        gallery = typical_photos(classifier.neighbours, photos.observation_id)
        with TemporaryDirectory(prefix=f".{PACKAGE}.", dir=_parent(folder)) as aside:
            write_package(
                Path(aside) / "new",
                classifier=classifier,
                nearness=fit_nearness(classifier.neighbours, photos.observation_id),
                thresholds=fit_thresholds(seen, truth, species, Promises(**config.model_dump())),
                species=species,
                records=known.drop_nulls("code").group_by("class_id", "code").len("photos").sort(pl.all()),
                gallery=gallery,
                thumbnails=_thumbnails(images, [image_ids[row] for row in gallery.tolist()]),
                backbone=seen_by,
                recipe=recipe,
                scores=json.loads(report.path(SCORES_FILE).read_text()),
                operation=read_operation(report),
                made_from=made_from,
            )
            _put(Path(aside) / "new", folder)
    about = json.loads((folder / PACKAGE_FILE).read_bytes())
    thresholds = json.loads((folder / THRESHOLDS).read_text())
    return dg.MaterializeResult(
        metadata={
            "folder": dg.MetadataValue.path(str(folder)),
            "model_card": dg.MetadataValue.md((folder / CARD).read_text()),
            "files": len(about["files"]),
            "thresholds": dg.MetadataValue.json(
                {name: thresholds[name] for name in ("promises", "observations", "least")}
            ),
        },
        data_version=data_version(about["files"]),
    )


def _answering(
    final: Bundle, tables: Mapping[str, Sequence[Table]]
) -> tuple[SpeciesClassifier, FeatureTable, list[str]]:
    """The classifier that answers, the photos that it was trained on, their names as of several splits."""
    classifier, learned_from = SpeciesClassifier.load(final.inside), final.recipe["embeddings"]
    splits = [split for split in SPLITS if isinstance(learned_from, Mapping) and split in learned_from]
    without = classifier.recipe.leave_out_copies
    photos = read_splits(*(tables[split] for split in splits), leave_out_copies=without)
    mark = "1/" if len(splits) == 1 else ""
    return classifier, photos, [f"{mark}{name}" for name in photos.image_id]


def backbone_of(table: Table, store: Store, setting: BackboneSetting) -> "Backbone":
    """The backbone, looking at photos as it did for a table.

    Raises:
        IdentificationError: the setting names another backbone.
    """
    made, parts = of_each_backbone(table.manifest.recipe), setting.open(store, View()).parts
    if len(made) == len(parts):
        first, *others = map(_looking_as, parts, made)
        if first and all(others):
            return replace(first, beside=tuple(filter(None, others)))
    wanted = ", ".join(f"{recipe['backbone']} (weights {recipe['weights']})" for recipe in made)
    raise IdentificationError(
        f"{table.folder} was made with the backbone {wanted}, not with "
        f"{', '.join(f'{part.name} ({part.digest})' for part in parts)}: set SNAKE_BACKBONE to it, or embed "
        "again."
    )


def _looking_as(backbone: "Backbone", recipe: Mapping[str, Any]) -> "Backbone | None":
    """One backbone, looking at photos as a recipe says; None where it is another than the recipe's."""
    from snake_assets.vision.backbone.backbone import open_backbone

    if backbone.digest == recipe["weights"]:
        for resolution, resize in product((None, recipe["resolution"][0]), POLICIES):
            view, folder = View(resolution, resize=resize), str(backbone.folder)
            found = open_backbone(folder, device=backbone.device, precision=recipe["precision"], view=view)
            # By its folder, one of the hub would be known by another name.
            found = replace(found, name=backbone.name, revision=backbone.revision)
            if found.fingerprint_parts().items() <= recipe.items():
                return found
    return None


def _known_photos(images: Mapping[str, Table]) -> pl.DataFrame:
    """class_id, binomial_name (its number if it has none) and code of all photos with a species."""
    rows = [pl.DataFrame(table.read(["class_id", "binomial_name", "code"])) for table in images.values()]
    name = pl.col("binomial_name").drop_nulls().first().over("class_id")
    return (
        pl.concat(rows)
        .drop_nulls("class_id")
        .with_columns(name.fill_null(pl.col("class_id").cast(pl.String)))
    )


def _thumbnails(images: Mapping[str, Table], photos: Sequence[str]) -> list[bytes]:
    """Of photos named as `read_splits` names those of several splits."""
    found = {
        f"{number}/{image_id}": small
        for number, split in enumerate(SPLITS, 1)
        for image_id, small in thumbnails(
            images[split],
            {name.partition("/")[2] for name in photos if name.startswith(f"{number}/")},
            *THUMBNAIL,
        ).items()
    }
    return [found[name] for name in photos]


def _parent(folder: AnyPath) -> Path | None:
    """Where to make what is renamed to a folder on a disk; None, anywhere, for one in a bucket."""
    if not isinstance(folder, Path):
        return None
    folder.parent.mkdir(parents=True, exist_ok=True)
    return folder.parent


def _put(new: Path, folder: AnyPath) -> None:
    """A package in its place: on a disk in one rename, in a bucket with package.json last."""
    if isinstance(folder, Path):
        if folder.exists():
            folder.rename(new.with_name("old"))
        new.rename(folder)
        return
    files = [path for path in new.rglob("*") if path.is_file()]
    for file in sorted(files, key=lambda path: path.name == PACKAGE_FILE):
        place = folder
        for part in file.relative_to(new).parts:
            place = place / part
        write_whole(place, file.read_bytes())
