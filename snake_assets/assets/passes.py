"""What assets say of a pass over photos."""

from typing import Any

from snake_assets.assets.reporting import markdown_table
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
        "devices": ", ".join(run.devices) or "none: nothing had to be computed",
        **on_device,
    }
