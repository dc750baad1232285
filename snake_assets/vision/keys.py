"""By what photos, and the shards made of them, are known."""

from snake_assets.storage.fingerprints import fingerprint
from snake_assets.storage.tables.manifest import Shard

# Columns: of a photo's file, and of that and the part that is cut from it.
DIGEST, REGION = "sha256", "region"


def unit_made_of(shard: Shard) -> str:
    """The unit of a shard that a pass makes of one of `image_table`."""
    return fingerprint(shard.sha256)
