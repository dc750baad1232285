"""Asset checks: what blocks because going on would lie, and what only warns. The table is in docs/checks.md.

All checks of an asset, or of the tables that come out of one pass, run in one step: a step is a process.
"""

from collections.abc import Mapping, Sequence

import dagster as dg

from snake_assets.defs.assets.dependencies import CROP_TABLES, FEATURE_TABLES
from snake_assets.defs.checks.classifier import CLASSIFIER_CHECKS
from snake_assets.defs.checks.factory import Check, Site, step
from snake_assets.defs.checks.splits import SPLIT_CHECKS
from snake_assets.defs.checks.submission import SUBMISSION_CHECKS
from snake_assets.defs.checks.tables import IMAGE_CHECKS, vector_checks

# Tables that come out of one pass, by which they share a recipe.
PASSES: Sequence[Sequence[str]] = (FEATURE_TABLES, CROP_TABLES)

# Step -> the checks that run in it.
STEPS: Mapping[str, Sequence[Check]] = {
    "image_table_checks": IMAGE_CHECKS,
    "embedding_checks": [check for tables in PASSES for check in vector_checks(tables)],
    "comparison_of_splits": SPLIT_CHECKS,
    "classifier_checks": CLASSIFIER_CHECKS,
    "submission_checks": SUBMISSION_CHECKS,
}

all_checks: list[dg.AssetChecksDefinition] = [step(name, checks) for name, checks in STEPS.items()]

__all__ = ["PASSES", "STEPS", "Check", "Site", "all_checks", "step", "vector_checks"]
