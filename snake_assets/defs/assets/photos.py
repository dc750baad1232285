"""Raw photos and the table made of them."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from pydantic import Field

from snake_assets.defs.lib.metadata import (
    markdown_table,
    picture,
    progress,
    some_of,
    split_version,
    table_metadata,
)
from snake_assets.defs.lib.partitions import present_splits, splits
from snake_assets.defs.lib.retries import TRY_AGAIN, StepConfig, retries_only_what_passes
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.learning.decision.rules import venom_gap
from snake_assets.plots.photo_sheets import contact_sheet
from snake_assets.snakeclef.image_table import INGEST_VERSION, MOST_REJECTED, class_balance, ingest
from snake_assets.snakeclef.raw.inventory import INVENTORY_VERSION, read_inventory, take_inventory
from snake_assets.snakeclef.raw.photo_files import FAULTS, match_photos
from snake_assets.storage.fingerprints import file_digest
from snake_assets.storage.objectstore.mirror import Fetched, Report
from snake_assets.storage.tables.table import open_table

MB = 1_000_000


@contextmanager
def fetching(context: dg.AssetExecutionContext, split: str) -> Iterator[Report]:
    """A callback that is told the bytes that are fetched, and that are to be."""
    with progress(context, f"fetch {split}", "MB") as report:
        yield lambda done, to_do: report(done // MB, to_do // MB)


def fetch_metadata(fetched: Fetched | None) -> dict[str, int | float]:
    """How much was fetched, and how; nothing where nothing had to be."""
    return {f"fetched_{name}": value for name, value in vars(fetched).items()} if fetched else {}


@dg.asset(
    partitions_def=splits,
    group_name="photos",
    kinds={"python", "parquet"},
    code_version=str(INVENTORY_VERSION),
    retry_policy=TRY_AGAIN,
)
@retries_only_what_passes
def raw_images(
    context: dg.AssetExecutionContext, raw_data: RawData, store: Store
) -> dg.MaterializeResult[None]:
    """Inventory of a split's files: path, bytes, time of change, and why one cannot be read.

    Files of any name: what is a photo, its bytes decide in image_table. Official archives are unpacked first
    when the data folder holds them instead of photos. From a bucket, what is not here yet is fetched before,
    several files at a time, each held against the bucket's checksum; a fetch that was interrupted goes on
    where it was. In a layout of your own without val, the first run compares all photos before: near copies
    stay on one side of the split. Sizes are in bytes. `unreadable_files` names links that lead out of the raw
    data or nowhere, and names that are not UTF-8. If it fails, the message says which split was looked for
    and where; set SNAKE_DATA to the root of the raw data.
    """
    digests = {}
    with progress(context, "look for near copies") as report:
        source = raw_data.source(store, report=report)
        layout = raw_data.layout(store, source)
        context.log.info(f"The raw data is in the layout {layout.name}.")
        present = present_splits(context, raw_data, store, source)
    for split in present:
        folder = store.folder("raw_images", split)
        with fetching(context, split) as report:
            fetched = source.fetch(split, report)
        inventory = take_inventory(
            layout.root, split, folder, source.known_as, source.unpacked_at(split), layout
        )
        digests[split] = inventory.manifest.digest
        context.add_asset_metadata(
            {
                **table_metadata(open_table(folder)),
                "file_bytes": inventory.bytes,
                "unreadable_files": some_of(
                    [f"{photo.path} {FAULTS[photo.fault]}" for photo in inventory.unreadable]
                ),
                "data": dg.MetadataValue.path(source.known_as),
                "layout": layout.name,
                **fetch_metadata(fetched),
                "metadata_files": {
                    path.name: file_digest(path) if path.is_file() else "absent"
                    for path in layout.metadata_files(split)
                },
                "archives_left_packed": some_of(inventory.left_packed),
                "unpacked": {
                    name: f"{result.files} files, {result.bytes} bytes, {result.skipped} members skipped"
                    for name, result in inventory.unpacked.items()
                },
            },
            partition_key=split,
        )
    return dg.MaterializeResult(data_version=split_version(context, digests))


class ImageTableConfig(StepConfig):
    """How much of a split may be lost before it is an error."""

    most_rejected: float = Field(
        default=MOST_REJECTED,
        ge=0,
        le=1,
        description="Share of a split's photos, 0 to 1, that may be missing or unreadable. Of more, no table "
        "is made and all that needs it stops: most often a disk is away, or SNAKE_DATA another folder.",
    )


@dg.asset(
    partitions_def=splits,
    deps=[raw_images],
    group_name="photos",
    kinds={"python", "parquet"},
    code_version=str(INGEST_VERSION),
    retry_policy=TRY_AGAIN,
)
@retries_only_what_passes
def image_table(
    context: dg.AssetExecutionContext, config: ImageTableConfig, raw_data: RawData, store: Store
) -> dg.MaterializeResult[None]:
    """A split's photos with their labels, one row a photo, with the file's own bytes.

    Rows keep the order of the metadata, or of the paths where folders name the species. A photo that is
    missing, empty, cut short, not an image, or too large to be one is named in `rejects.parquet` and in the
    metadata below: mend the file and materialize raw_images and this again, or leave it out; an observation
    without a readable photo still gets a prediction. `photos_found` counts in which way files were found:
    at their path to the letter, in another Unicode normalisation, in other case, or by the last part of it.
    `read_although` says what was read although the metadata is not as the official files are. If it fails,
    the message names the file, line and column that is wrong, or how many photos are away: mend it and
    materialize this again.
    """
    digests, told = dict[str, str](), set[str]()
    source = raw_data.source(store)
    layout = raw_data.layout(store, source)
    for split in present_splits(context, raw_data, store, source):
        notes: list[str] = []
        venomous, rows = layout.venom(), layout.rows(split, notes)
        if fresh := [note for note in notes if note not in told]:
            context.log.info(f"Notes on the raw data: {' '.join(fresh)}")
            told.update(fresh)
        inventory = open_table(store.folder("raw_images", split))
        photos = read_inventory(inventory, layout.root, source.known_as, source.unpacked_at(split))
        # This may be another machine than the one that raw_images ran on.
        with fetching(context, split) as report:
            fetched = source.provide(split, photos, report)
        folder = store.folder("image_table", split)
        with progress(context, f"ingest {split}") as report:
            manifest = ingest(
                rows, photos, split, folder, progress=report, most_rejected=config.most_rejected
            )
        table, matches = open_table(folder), match_photos(rows, photos)
        balance = class_balance(table, venomous)
        names = balance.names
        digests[split] = manifest.digest
        context.add_asset_metadata(
            {
                **table_metadata(table),
                "metadata_rows": len(rows),
                "read_although": " ".join(notes) or "nothing",
                "photos_found": dict(matches.found),
                "files_without_metadata": len(matches.without_row),
                **fetch_metadata(fetched),
                "observations": balance.observations,
                "species": balance.species,
                "venomous_photos": venom_gap(names, venomous, names) or balance.venomous_photos,
                "class_balance": markdown_table(
                    ["class_id", "species", "venomous", "photos"], balance.largest_and_smallest()
                ),
                "thumbnails": picture(contact_sheet(table), f"photos of {split}", "webp"),
            },
            partition_key=split,
        )
    return dg.MaterializeResult(data_version=split_version(context, digests))
