"""How the assets are partitioned: by data split."""

import dagster as dg

from snake_assets.snakeclef.metadata import SPLITS

splits = dg.StaticPartitionsDefinition(list(SPLITS))
