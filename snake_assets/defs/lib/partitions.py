"""How the assets are partitioned, by data split or by batch; which splits a run makes; what steps share."""

from collections.abc import Sequence

import dagster as dg

from snake_assets.defs.resources.storage import RawData, Store
from snake_assets.snakeclef.metadata import SPLITS
from snake_assets.snakeclef.raw.sources import RawSource


class SplitError(ValueError):
    """A partition that is no split; the message names the splits."""


class Splits(dg.StaticPartitionsDefinition):
    """The splits; another name is refused by a sentence that names them, before a run where Dagster asks."""

    def validate_partition_key(self, partition_key: str, context: object) -> None:
        """Nothing. Raises SplitError for what is no split."""
        if partition_key not in SPLITS:
            raise SplitError(
                f"{partition_key!r} is no split of the data: name the partition {', '.join(SPLITS[:-1])} or "
                f"{SPLITS[-1]}."
            )

    def get_partition_keys_in_range(self, partition_key_range: dg.PartitionKeyRange) -> Sequence[str]:
        """The splits from one to another. Raises SplitError for what is no split."""
        for key in (partition_key_range.start, partition_key_range.end):
            self.validate_partition_key(key, None)
        return super().get_partition_keys_in_range(partition_key_range)


splits = Splits(list(SPLITS))
# Batches, not photos: a look at the inbox adds one at most, and retires the oldest beyond MOST_BATCHES.
batches = dg.DynamicPartitionsDefinition(name="inbox_batches")
MOST_BATCHES = 100_000


def present_splits(
    context: dg.AssetExecutionContext, raw_data: RawData, store: Store, source: RawSource | None = None
) -> list[str]:
    """The splits of a run, without those that the raw data lacks: these are named in log and metadata.

    A run of nothing else is of all that it was asked for, and fails where the first is looked for.
    """
    source = source or raw_data.source(store)
    why = {split: raw_data.left_out(split, store, source) for split in context.partition_keys}
    if all(why.values()):
        return list(why)
    lacking = {split: reason for split, reason in why.items() if reason}
    for split, reason in lacking.items():
        context.log.warning(reason)
        for asset in context.selected_asset_keys:
            context.add_asset_metadata({"left_out": reason}, asset_key=asset, partition_key=split)
    return [split for split in why if split not in lacking]


# Of steps that keep the device busy; a run has one of them at a time (build_definitions).
ON_DEVICE = {"snake/device": "1"}
