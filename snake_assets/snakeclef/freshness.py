"""Whether a split's tables are what they would be if they were made now: judged by what is really there.

Neither a run's log nor a time stamp is believed: the store may have been removed, or filled elsewhere.
"""

from collections.abc import Callable, Sequence

from snake_assets.detection.detect import FINDING_VERSION
from snake_assets.snakeclef.errors import DataError
from snake_assets.snakeclef.image_table import INGEST_VERSION, ingest_is_current
from snake_assets.snakeclef.metadata import VENOM_LIST, read_metadata, read_venom_list
from snake_assets.snakeclef.raw.inventory import INVENTORY_VERSION, inventory_is_current, read_inventory
from snake_assets.snakeclef.raw.sources import RawListing
from snake_assets.storage.fingerprints import Json, fingerprint
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.table import open_table
from snake_assets.vision.embedding.staleness import SoughtBackbone, why_crops_are_stale, why_stale
from snake_assets.vision.embedding.tables import EMBEDDING_VERSION
from snake_assets.vision.preprocessing.regions import CROPS


def state_sought(raw: RawListing, backbone: SoughtBackbone, finder: str | None = None) -> str:
    """A digest of all that a split's features are to be made from and by; equal ones give equal features.

    Args:
        raw: what lies in the data folder.
        backbone: what the embeddings are to come from.
        finder: which kind of finder crops are to come from; None without crops.
    """
    versions = [INVENTORY_VERSION, INGEST_VERSION, EMBEDDING_VERSION]
    of_crops: list[Json] = [finder, FINDING_VERSION] if finder else []
    return fingerprint([raw.known_as or str(raw.data), raw.digest, versions, vars(backbone), *of_crops])


def why_features_are_stale(
    raw: RawListing,
    folder_of: Callable[[str], AnyPath],
    backbone: SoughtBackbone,
    embeddings: Sequence[str],
    crop_embeddings: Sequence[str] = (),
) -> str | None:
    """Why a split should be run again, in one clause; None where everything is up to date.

    Tables are judged from the photos on, and the first that is stale tells why. No photo is opened.

    Args:
        raw: what lies in the data folder now.
        folder_of: the folder of an asset's table for this split.
        backbone: what the embeddings are to come from.
        embeddings: names of the embedding tables.
        crop_embeddings: names of those of crops; none where crops are off.

    Raises:
        StorageError: a table in the store is damaged.
    """
    inventory = folder_of("raw_images")
    if not inventory_is_current(raw.data, raw.photos, raw.archives, inventory, raw.known_as):
        return "raw_images is missing, or the files have changed since"
    try:
        venomous = read_venom_list(raw.data / "metadata" / VENOM_LIST)
        rows = read_metadata(raw.data, raw.split, venomous)
        photos = read_inventory(open_table(inventory), raw.data, raw.known_as, raw.unpacked_at)
        if not ingest_is_current(rows, photos, folder_of("image_table")):
            return "image_table is missing, or metadata or files have changed since"
    except DataError as error:
        return f"the data has a fault that a run will name ({error})"
    images = open_table(folder_of("image_table")).manifest
    reasons = ((name, why_stale(folder_of(name), images, backbone)) for name in embeddings)
    stale = next((f"{name} {reason}" for name, reason in reasons if reason), None)
    if stale or not crop_embeddings:
        return stale
    if reason := why_crops_are_stale(folder_of(CROPS), images, FINDING_VERSION):
        return f"{CROPS} {reason}"
    crops = open_table(folder_of(CROPS))
    reasons = ((name, why_stale(folder_of(name), images, backbone, crops)) for name in crop_embeddings)
    return next((f"{name} {reason}" for name, reason in reasons if reason), None)
