"""How the assets are partitioned, by data split, and what their steps have to share."""

import dagster as dg

from snake_assets.snakeclef.metadata import SPLITS

splits = dg.StaticPartitionsDefinition(list(SPLITS))

# Of steps that keep the device busy; a run has one of them at a time (build_definitions).
ON_DEVICE = {"snake/device": "1"}
