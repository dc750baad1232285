"""Where in each photo the snake is."""

import dagster as dg
from pydantic import Field

from snake_assets.defs.assets.photos import image_table
from snake_assets.defs.lib.metadata import (
    markdown_table,
    pass_metadata,
    picture,
    progress,
    split_version,
    table_metadata,
)
from snake_assets.defs.lib.partitions import ON_DEVICE, present_splits, splits
from snake_assets.defs.lib.retries import TRY_AGAIN, StepConfig, retries_only_what_passes
from snake_assets.defs.resources.finder import CropMode, Crops
from snake_assets.defs.resources.settings import Engine
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.detection.detect import (
    FINDING_VERSION,
    FindingSettings,
    count_finds,
    find_snakes,
)
from snake_assets.detection.finders.base import FinderTuning
from snake_assets.plots.photo_sheets import crop_sheet
from snake_assets.storage.tables.table import open_table
from snake_assets.vision.preprocessing.regions import CROPS

OFF = "off: set SNAKE_CROPS to yolo, owlvit or sam, and SNAKE_DETECTOR to its weights"


class PassConfig(StepConfig):
    """How a pass over photos is run."""

    batch_size: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="Photos that the model sees at once, 1 to 4,096. Default: of a backbone 16, on CUDA 256; "
        "of a finder 4, on CUDA 64.",
    )
    decoders: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="Threads (of a backbone on CUDA, processes) that decode ahead of the model, 1 to 256. "
        "Default: 2, on CUDA one for each processor but one.",
    )
    read_ahead: int = Field(
        default=2,
        ge=1,
        le=64,
        description="Batches of decoded photos for each decoder that may be in memory, 1 to 64.",
    )


class CropsConfig(PassConfig):
    """How snakes are looked for."""

    confidence: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Finds of a lower score are left out, above 0 and below 1. Default: the finder's own, "
        "0.25 for yolo and 0.1 for owlvit.",
    )
    iou: float = Field(
        default=0.7,
        gt=0,
        lt=1,
        description="Of finds that overlap by more than this (intersection over union, above 0 and below "
        "1), the best is kept.",
    )
    most: int = Field(default=10, ge=1, le=300, description="Finds that are counted per photo, 1 to 300.")
    image_size: int | None = Field(
        default=None,
        ge=32,
        le=4096,
        multiple_of=32,
        description="For yolo: the longer side that photos are scaled to, 32 to 4,096 pixels in steps of 32. "
        "Default: the size that the detector was trained at.",
    )
    classes: list[str] = Field(
        default=[],
        description="For yolo: names of the detector's classes that are snakes. Default: its only class; of "
        "several, those named after a snake, else those named after an animal, else none.",
    )
    queries: list[str] = Field(
        default=["a photo of a snake"],
        min_length=1,
        max_length=16,
        description="For owlvit: what to look for, 1 to 16 phrases in English.",
    )

    def tuning(self) -> FinderTuning:
        """Which finds count."""
        return FinderTuning(
            self.confidence, self.iou, self.image_size, tuple(self.classes), tuple(self.queries), self.most
        )


@dg.asset(
    name=CROPS,
    partitions_def=splits,
    deps=[image_table],
    group_name="features",
    kinds={"pytorch", "parquet"},
    code_version=str(FINDING_VERSION),
    retry_policy=TRY_AGAIN,
    op_tags=ON_DEVICE,
)
@retries_only_what_passes
def yolo_crops(
    context: dg.AssetExecutionContext,
    config: CropsConfig,
    raw_data: RawData,
    store: Store,
    crops: Crops,
    engine: Engine,
) -> dg.MaterializeResult[None]:
    """Where in each photo the snake is: the surest box, with its score and what the finder calls it.

    Boxes, not pixels: crops are cut while photos are decoded. A photo without a find has the whole frame and
    score 0. Off unless SNAKE_CROPS names a finder; tables that are there are then left alone. If it fails
    because weights are missing or refused, the message says which and why: set SNAKE_DETECTOR accordingly. If
    it fails for want of memory, set a smaller batch_size; shards that are written are kept, so
    materializing it again goes on where it was.
    """
    if crops.checked() is CropMode.none:
        for split in context.partition_keys:
            context.add_asset_metadata({"dagster/row_count": 0, "crops": OFF}, partition_key=split)
        return dg.MaterializeResult()
    settings = FindingSettings(config.batch_size, config.decoders, config.read_ahead, engine.open())
    finder = crops.open(raw_data.source(store).folder, config.tuning())
    if finder.warning:
        context.log.warning(finder.warning)
    context.log.info(f"looking for snakes with {finder.fingerprint_parts()} on {finder.device}")
    digests = {}
    for split in present_splits(context, raw_data, store):
        images = open_table(store.folder("image_table", split))
        folder = store.folder(CROPS, split)
        with progress(context, f"find snakes in {split}") as report:
            run = find_snakes(images, folder, finder, settings, report)
        table = open_table(folder)
        digests[split] = table.manifest.digest
        counts = {name: value for name, value in count_finds(table).items() if value is not None}
        if counts["photos"] and counts["photos_without_a_find"] == counts["photos"]:
            context.log.warning(f"Nothing was found in any of the {counts['photos']:,} photos of {split}.")
        sheet = crop_sheet(images, table)
        context.add_asset_metadata(
            {
                **table_metadata(table),
                **pass_metadata(run),
                **counts,
                "labels": markdown_table(["label", "photos"], list(counts["labels"].items())[:20]),
                "warning": finder.warning or "none",
                "recipe": dg.MetadataValue.json(dict(table.manifest.recipe)),
                "boxes": picture(sheet, f"finds in {split}, from the surest to none", "webp"),
            },
            partition_key=split,
        )
    return dg.MaterializeResult(data_version=split_version(context, digests))
