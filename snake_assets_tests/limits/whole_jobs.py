"""The job `snakeclef` on small sets: what fails in it, and what it gives."""

from pathlib import Path

import pytest

from snake_assets.plots import embedding_map
from snake_assets_tests.defs.assets.test_run import EVERY_SPLIT, QUICK, definitions, run_job


def failures(monkeypatch: pytest.MonkeyPatch, data: Path, store: Path, backbone: Path) -> dict[str, str]:
    """Run everything; by step, the message of what failed first in it."""
    # UMAP takes half a minute to compile itself.
    monkeypatch.setattr(embedding_map, "flatten", lambda vectors: vectors[:, :2])
    run = run_job(
        definitions(data, store, backbone), tags=EVERY_SPLIT, run_config=QUICK, raise_on_error=False
    )
    told = {}
    for event in run.all_events:
        if event.is_step_failure:
            error = event.event_specific_data.error
            while error.cause:
                error = error.cause
            told[event.step_key] = error.message
    return told
