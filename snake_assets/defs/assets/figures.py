"""Pictures of the data: the species histogram and the embedding map."""

import json
from typing import Annotated

import dagster as dg
from pydantic import Field

from snake_assets.defs.assets.dependencies import on_split
from snake_assets.defs.lib.metadata import column_schema, data_version, markdown_table, picture
from snake_assets.defs.lib.retries import TRY_AGAIN, StepConfig, retries_only_what_passes
from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.plots.charts import PALETTE, species_histogram_png
from snake_assets.plots.embedding_map import embedding_map_png, photos_to_map
from snake_assets.snakeclef.image_table import class_balance
from snake_assets.storage.bundles import is_current, open_bundle, write_bundle
from snake_assets.storage.fingerprints import Json
from snake_assets.storage.tables.table import open_table
from snake_assets.vision.embedding.tables import DCT, DINOV2, has_dct

# Count as inputs: raise one when the same tables would give another picture.
HISTOGRAM_VERSION = 2
MAP_VERSION = 3
SPECIES_SHOWN = 5
HISTOGRAM_FILE, COUNTS_FILE = "species_histogram.png", "species_counts.csv"
MAP_FILE, SHOWN_FILE = "embedding_map.png", "photos_shown.json"


@dg.asset(
    deps=[on_split("image_table", "train")],
    group_name="photos",
    kinds={"matplotlib"},
    code_version=str(HISTOGRAM_VERSION),
    retry_policy=TRY_AGAIN,
)
@retries_only_what_passes
def species_histogram(
    context: dg.AssetExecutionContext, raw_data: RawData, store: Store
) -> dg.MaterializeResult[None]:
    """Photos per species in train, most photographed first: the long tail. Also as species_counts.csv.

    The scale is logarithmic; venomous species (MIVS) are hatched. If it fails, the message names the table
    that is missing or damaged: materialize that one, then this.
    """
    images = open_table(store.folder("image_table", "train"))
    layout = raw_data.layout(store)
    counts = class_balance(images, layout.venom()).species_counts
    recipe: dict[str, Json] = {
        "version": HISTOGRAM_VERSION,
        "image_table": images.manifest.digest,
        "venom_list": layout.venom_digest(),
    }
    folder = store.folder("species_histogram")
    if not is_current(folder, recipe):
        with write_bundle(folder, recipe) as aside:
            counts.write_csv(aside / COUNTS_FILE)
            title = f"Photos per species in train: {counts['photos'].sum():,} of {counts.height} species"
            (aside / HISTOGRAM_FILE).write_bytes(species_histogram_png(counts, title))
    bundle = open_bundle(folder)
    context.add_asset_metadata(
        {"histogram": picture(bundle.path(HISTOGRAM_FILE).read_bytes(), "photos per species")}
    )
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": counts.height,
            **column_schema("species_histogram", [(name, str(kind)) for name, kind in counts.schema.items()]),
            "counts": dg.MetadataValue.path(str(bundle.shown(COUNTS_FILE))),
            "species": counts.height,
            "photos": sum(counts["photos"]),
            "fewest_photos": min(counts["photos"], default=0),
            "most_photos": max(counts["photos"], default=0),
            "folder": dg.MetadataValue.path(str(folder)),
        },
        data_version=data_version(bundle.files),
    )


class MapConfig(StepConfig):
    """Which species the map shows."""

    class_ids: list[Annotated[int, Field(ge=0)]] = Field(
        default=[],
        max_length=len(PALETTE),
        description="class_ids (0 or more) of up to 8 species of train to show; an empty list shows the five "
        "with most photos.",
    )


@dg.asset(
    deps=[on_split(DINOV2, "train"), on_split(DCT, "train")],
    group_name="features",
    kinds={"umap", "matplotlib"},
    code_version=str(MAP_VERSION),
    retry_policy=TRY_AGAIN,
)
@retries_only_what_passes
def embedding_map(
    context: dg.AssetExecutionContext, config: MapConfig, raw_data: RawData, store: Store
) -> dg.MaterializeResult[None]:
    """UMAP of the CLS and the DCT embeddings of the most photographed species of train: the paper's figures.

    Species that lie apart here can be told apart by a linear classifier; mixed ones may still be. Axes have
    no unit: only who is near whom means something. Of a species with more than 500 photos as many are shown,
    evenly spread over train; the legend and the metadata say so. If it fails because there is no photo of the
    chosen class_ids, choose species of train in the launchpad.
    """
    images, dinov2 = (open_table(store.folder(name, "train")) for name in ("image_table", DINOV2))
    dct = open_table(store.folder(DCT, "train")) if has_dct(dinov2) else None
    recipe: dict[str, Json] = {
        "version": MAP_VERSION,
        "class_ids": config.class_ids,
        "image_table": images.manifest.digest,
        "dinov2_embeddings": dinov2.manifest.digest,
        "dct_embeddings": dct.manifest.digest if dct else None,
    }
    folder = store.folder("embedding_map")
    if not is_current(folder, recipe):
        names = class_balance(images, raw_data.layout(store).venom()).names
        chosen = config.class_ids or list(names)[:SPECIES_SHOWN]
        species = {class_id: names.get(class_id, str(class_id)) for class_id in chosen}
        photos = photos_to_map(dinov2, dct, chosen)
        drawn = embedding_map_png(photos, species)
        shown = [[class_id, species[class_id], *photos.of_all[class_id]] for class_id in chosen]
        with write_bundle(folder, recipe) as aside:
            (aside / MAP_FILE).write_bytes(drawn)
            (aside / SHOWN_FILE).write_text(json.dumps(shown))
    bundle = open_bundle(folder)
    context.add_asset_metadata({"map": picture(bundle.path(MAP_FILE).read_bytes(), "UMAP of the embeddings")})
    return dg.MaterializeResult(
        metadata={
            "photos": markdown_table(
                ["class_id", "species", "photos shown", "photos of train"],
                json.loads(bundle.path(SHOWN_FILE).read_text()),
            ),
            "folder": dg.MetadataValue.path(str(folder)),
        },
        data_version=data_version(bundle.files),
    )
