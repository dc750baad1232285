"""What assets say of a pass over photos."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from snake_assets.assets.reporting import markdown_table
from snake_assets.storage.fingerprints import Json
from snake_assets.vision.memory import peak_memory_bytes
from snake_assets.vision.passes import PassRun


def pass_metadata(run: PassRun) -> dict[str, Any]:
    """How many photos, how fast, where the time went, on what."""
    on_device = (
        {"peak_device_memory_mb": round(run.peak_device_bytes / 2**20)} if run.peak_device_bytes else {}
    )
    return {
        "photos_computed": run.computed,
        "rows_copied": run.copied,
        "images_per_second": round(run.images_per_second, 1),
        "seconds": round(run.seconds, 1),
        "time_per_stage": markdown_table(
            ["stage", "seconds of work", "share of the pass"],
            [
                [stage, f"{seconds:.1f}", f"{run.shares[stage]:.0%}"]
                for stage, seconds in run.stages.seconds.items()
            ],
        ),
        "peak_memory_mb": round(peak_memory_bytes() / 2**20),
        **_under_a_ceiling(run),
        "devices": ", ".join(run.devices) or "none: nothing had to be computed",
        **on_device,
    }


def log_memory(context: dg.AssetExecutionContext, run: PassRun, recipe: Mapping[str, Json]) -> None:
    """Say what a memory ceiling came to, if there was one and anything to compute."""
    if run.memory:
        context.log.info(
            f"Under the memory ceiling of {run.memory.ceiling / 2**20:,.0f} MiB: batches of "
            f"{recipe['batch_size']} photos, {run.memory.batches} of them in memory at once, and "
            f"{run.memory.decoding / 2**20:,.0f} MiB for photos that are being decoded."
        )


def _under_a_ceiling(run: PassRun) -> dict[str, Any]:
    if run.memory is None:
        return {}
    return {
        "memory_ceiling_mb": round(run.memory.ceiling / 2**20),
        "batches_in_memory": run.memory.batches,
        "decoding_memory_mb": round(run.memory.decoding / 2**20),
    }
