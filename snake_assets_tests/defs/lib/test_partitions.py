"""Partitions are the data's splits, and nothing else is asked for under their name."""

import dagster as dg
import pytest

from snake_assets.definitions import defs
from snake_assets.defs.lib.partitions import SplitError, splits


def test_a_split_that_is_mistyped_is_refused_by_the_names_of_the_three_before_a_run_is_made():
    with dg.DagsterInstance.ephemeral() as instance:
        with pytest.raises(SplitError, match="'valid' is no split of the data: name the partition train"):
            defs.resolve_job_def("features").execute_in_process(instance=instance, partition_key="valid")
        assert instance.get_runs() == []
    with pytest.raises(SplitError, match="'tset'"):
        splits.get_partition_keys_in_range(dg.PartitionKeyRange("train", "tset"))
