"""How many threads a small computation deserves."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Below this many floating point operations per matrix product, two threads lose more by waiting for
# each other than they gain; on a machine that others use too, ten times the computation itself.
WORTH_THREADS = 1e9

_one_at_a_time = threading.Lock()


@contextmanager
def threads_for(operations: float) -> Iterator[None]:
    """Run the block's torch work on one thread if its matrix products are small, else leave all as it is.

    The thread count is the process's own setting, so it is put back, and one such block runs at a time.
    A small computation thereby gives the same bits whatever the number of cores.
    """
    if operations >= WORTH_THREADS:
        yield
        return
    import torch

    with _one_at_a_time:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)
