"""The config of steps: a value out of range is refused by name, and not tried again."""

import dagster as dg
import pytest

from snake_assets.defs.assets.crops import CropsConfig
from snake_assets.defs.assets.embeddings import EmbeddingConfig
from snake_assets.defs.assets.figures import MapConfig
from snake_assets.defs.lib.config import StepConfig


@pytest.mark.parametrize(
    ("config", "field", "value"),
    [
        (EmbeddingConfig, "batch_size", 0),
        (EmbeddingConfig, "resolution", 5000),
        (CropsConfig, "image_size", 100),
        (CropsConfig, "queries", []),
        (MapConfig, "class_ids", [-1]),
    ],
)
def test_values_out_of_range_are_refused_by_name(config: type[StepConfig], field: str, value: object):
    with pytest.raises(dg.Failure, match=rf"^{field}.*=.*: ") as refused:
        config(**{field: value})
    assert not refused.value.allow_retries
