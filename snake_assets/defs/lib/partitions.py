"""How the assets are partitioned, by data split, and what their steps have to share."""

import dagster as dg

from snake_assets.snakeclef.metadata import SPLITS

splits = dg.StaticPartitionsDefinition(list(SPLITS))

# The pool of steps that keep the device busy: as many run at once as it has slots (deploy/dev/dagster.yaml).
ACCELERATOR = "accelerator"
