"""Whether an embedding table is what a pass over today's `image_table` would make, told without a model."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from snake_assets.storage.fingerprints import Json, fingerprint
from snake_assets.storage.paths import AnyPath
from snake_assets.storage.tables.manifest import Manifest, read_manifest
from snake_assets.storage.tables.table import Table
from snake_assets.vision.embedding.tables import EMBEDDING_VERSION
from snake_assets.vision.inference.dataset import crop_unit
from snake_assets.vision.preprocessing.regions import Regions, unit_made_of


@dataclass(frozen=True)
class SoughtBackbone:
    """The backbone that the settings name, as far as that is known without loading it or asking the network.

    Attributes:
        name: hub id, or the folder's own name.
        revision: as it was set; None for a folder.
        weights: digest of the weights in a folder; None for a hub id, or where the folder is yet to be made.
    """

    name: str
    revision: str | None = None
    weights: str | None = None

    def made(self, recipe: Mapping[str, Json]) -> bool:
        """Whether a table of this recipe came from it. A branch that moved on the hub is not noticed."""
        if self.weights is not None:
            return recipe.get("weights") == self.weights
        pinned = re.fullmatch("[0-9a-f]{40}", self.revision or "")
        return recipe.get("backbone") == self.name and (not pinned or recipe.get("revision") == self.revision)


def why_stale(
    folder: AnyPath, images: Manifest, backbone: SoughtBackbone, crops: Table | None = None
) -> str | None:
    """Why an embedding table should be made (again), in a few words; None where it is up to date.

    How photos were looked at (resolution, margin) is not judged: it is chosen run by
    run.

    Args:
        folder: of the table.
        images: of the photos.
        backbone: what the vectors are to come from.
        crops: by which photos are to be cut, up to date themselves; None where whole photos are seen.

    Raises:
        StorageError: the manifest is damaged.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        return "is missing"
    if manifest.recipe.get("version") != EMBEDDING_VERSION:
        return "was made by another version of the code"
    if not backbone.made(manifest.recipe):
        return f"was made by another backbone ({manifest.recipe.get('backbone')})"
    units = [unit_made_of(shard) for shard in images.shards]
    if crops is not None:
        cut = manifest.recipe.get("crop")
        finder = cut.get("finder") if isinstance(cut, Mapping) else None
        if fingerprint(finder) != fingerprint(crops.manifest.recipe):
            return "was cut by what another finder found"
        regions = Regions(crops)
        units = [crop_unit(shard, regions) for shard in images.shards]
    if not manifest.holds(folder, manifest.recipe, units):
        return "was made of other photos, or lacks a file"
    return None


def why_crops_are_stale(folder: AnyPath, images: Manifest, version: int) -> str | None:
    """Why a table of crops should be made (again), in a few words; None where it is up to date.

    Which finder found them is not judged.

    Args:
        folder: of the table.
        images: of the photos.
        version: of the code that finds.

    Raises:
        StorageError: the manifest is damaged.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        return "is missing"
    if manifest.recipe.get("version") != version:
        return "was made by another version of the code"
    if not manifest.holds(folder, manifest.recipe, [unit_made_of(shard) for shard in images.shards]):
        return "was made of other photos, or lacks a file"
    return None
