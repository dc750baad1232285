"""What a step tells of what it fetched from a bucket."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from snake_assets.assets.progress import progress
from snake_assets.storage.mirrors import Fetched, Report

MB = 1_000_000


@contextmanager
def fetching(context: dg.AssetExecutionContext, split: str) -> Iterator[Report]:
    """A callback that is told the bytes that are fetched, and that are to be."""
    with progress(context, f"fetch {split}", "MB") as report:
        yield lambda done, to_do: report(done // MB, to_do // MB)


def fetch_metadata(fetched: Fetched | None) -> dict[str, int | float]:
    """How much was fetched, and how; nothing where nothing had to be."""
    return {f"fetched_{name}": value for name, value in vars(fetched).items()} if fetched else {}
