"""What a pass over photos keeps in memory at once, so that its process stays below a ceiling.

First fewer batches are kept ahead, then photos wait for each other before they are decoded: neither changes a
bit of what comes out. The default batch is smaller under a low ceiling, told from settings and model alone,
because it is part of the recipe: the same ceiling gives the same recipe on every machine.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pyarrow as pa

from snake_assets.storage.tables.table import Table
from snake_assets.vision.errors import MemoryCeilingError

# A batch may take this part of the ceiling, the batches ahead this part of what is left for photos.
BATCH_PART, AHEAD_PART = 3, 4
SLACK_PART, LEAST_SLACK = 16, 64 << 20
# As it is read, the rows taken from it, and those taken from the one before.
ROW_GROUP_COPIES = 3
# 9,500 were measured from 2,000 to 20,000 photos: digests, places of rows, and what allocators keep.
BYTES_A_ROW = 10_000
# A shard's vectors as they are found, in the order of their rows, and as a page; of two shards.
RESULT_COPIES = 8
# What a photo of four megapixels takes, and more than most do.
LEAST_FOR_DECODING = 32 << 20


@dataclass(frozen=True)
class PassNeeds:
    """What a pass takes whatever it keeps ahead, in bytes.

    Attributes:
        before: what the process has before it starts, with its model.
        pixels: of a batch.
        model: what it takes for a batch in main memory, beside its weights.
        table: row groups, results and digests of the table that is gone through (`table_needs`).
    """

    before: int
    pixels: int
    model: int
    table: int


@dataclass(frozen=True)
class PassPlan:
    """What is kept at once: how many batches of pixels, and bytes of photos that are being decoded.

    `ceiling` is what it was planned for, in bytes.
    """

    ceiling: int
    batches: int
    decoding: int


def plan_pass(ceiling: int, needs: PassNeeds, most_batches: int) -> PassPlan:
    """Share out what a ceiling leaves.

    Args:
        ceiling: of the process, in bytes.
        needs: of the pass.
        most_batches: that are kept where there is memory for them; 1 or more.

    Raises:
        MemoryCeilingError: not even one batch, decoded photo by photo, fits.
    """
    fixed = needs.before + needs.model + needs.table
    # One more than are kept: while photos are put together, they are there twice.
    least = fixed + 2 * needs.pixels + LEAST_FOR_DECODING
    if with_slack(least) > ceiling:
        raise MemoryCeilingError(
            f"The pass takes {_mib(fixed)} beside its photos, {_mib(needs.before)} of which its process has "
            f"already, and {_mib(2 * needs.pixels)} for pixels: it",
            with_slack(least),
            "or batch_size lower",
        )
    left = without_slack(ceiling) - fixed
    ahead = min(left // AHEAD_PART, left - LEAST_FOR_DECODING)
    batches = max(1, min(most_batches, ahead // max(1, needs.pixels) - 1))
    decoding = left - (batches + 1) * needs.pixels
    return PassPlan(ceiling, batches, decoding)


def without_slack(ceiling: int) -> int:
    """What of a ceiling may be planned with, in bytes: allocators do not give everything back at once."""
    return ceiling - max(LEAST_SLACK, ceiling // SLACK_PART)


def with_slack(needed: int) -> int:
    """The lowest ceiling of which so many bytes may be planned with, but for a few."""
    return max(needed + LEAST_SLACK, -(-needed * SLACK_PART // (SLACK_PART - 1))) + SLACK_PART


def batch_under(ceiling: int | None, default: int, bytes_of: Callable[[int], int]) -> int:
    """The default batch, halved until it takes no more than its part of the ceiling; at least 1.

    Args:
        ceiling: in bytes, or None.
        default: photos in a batch without one.
        bytes_of: what a batch of so many photos takes.
    """
    batch = default
    while ceiling is not None and batch > 1 and bytes_of(batch) * BATCH_PART > ceiling:
        batch //= 2
    return batch


def table_needs(images: Table, schemas: Iterable[pa.Schema]) -> int:
    """What going through an `image_table` takes, in bytes.

    Args:
        images: the table.
        schemas: of the tables that are made of it.

    Raises:
        StorageError: a shard cannot be read.
    """
    largest = max((shard.rows for shard in images.manifest.shards), default=0)
    kinds = (column.type for schema in schemas for column in schema)
    vectors = sum(4 * kind.list_size for kind in kinds if pa.types.is_fixed_size_list(kind))
    return int(
        ROW_GROUP_COPIES * images.largest_row_group()
        + RESULT_COPIES * largest * vectors
        + BYTES_A_ROW * images.manifest.rows_out
    )


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
