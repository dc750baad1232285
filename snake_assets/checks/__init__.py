"""Asset checks: what blocks because going on would lie, and what only warns. The table is in docs/checks.md.

All checks of an asset, or of the tables that come out of one pass, run in one step: a step is a process.
"""

from collections.abc import Sequence

import dagster as dg

from snake_assets.assets.feature_tables import FEATURE_TABLES
from snake_assets.checks.check import Check, step
from snake_assets.checks.images import IMAGE_CHECKS
from snake_assets.checks.splits import SPLIT_CHECKS
from snake_assets.checks.submission import SUBMISSION_CHECKS
from snake_assets.checks.vectors import vector_checks

# Tables that come out of one pass, by which they share a recipe. Add those of crops here.
PASSES: Sequence[Sequence[str]] = (FEATURE_TABLES,)

all_checks: list[dg.AssetChecksDefinition] = [
    step("image_table_checks", IMAGE_CHECKS),
    step("embedding_checks", [check for tables in PASSES for check in vector_checks(tables)]),
    step("comparison_of_splits", SPLIT_CHECKS),
    step("submission_checks", SUBMISSION_CHECKS),
]

__all__ = ["PASSES", "Check", "all_checks", "step", "vector_checks"]
