"""Memory for photos while they are decoded: counted in bytes, since a photo may have 120 megapixels."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition

from snake_assets.vision.errors import MemoryCeilingError
from snake_assets.vision.memory_plan import with_slack, without_slack

Take = Callable[[int], None]


def unbounded(size: int) -> None:
    """As much as is asked for."""


class Room:
    """So many bytes, shared by the threads that decode: who asks for more than are free waits."""

    def __init__(self, size: int, ceiling: int) -> None:
        """`size` in bytes, of a process that may take `ceiling`."""
        self.size, self._ceiling = size, ceiling
        self._free = size
        self._changed = Condition()

    @contextmanager
    def for_a_photo(self, name: str) -> Iterator[Take]:
        """What a photo asks with, at once or anew: the bytes asked for last are its own until it is done.

        What it had is given back before it is given more, so that no two photos wait for each other.

        Raises:
            MemoryCeilingError: by what is given, where a photo asks for more than there are in all.
        """
        held = 0

        def take(size: int) -> None:
            nonlocal held
            self._give_back(held)
            held = 0
            if size > self.size:
                needed = with_slack(without_slack(self._ceiling) + size - self.size)
                what = f"Photo {name} takes {size / 2**20:,.0f} MiB to decode: it"
                raise MemoryCeilingError(what, needed, "or leave the photo out")
            with self._changed:
                self._changed.wait_for(lambda: self._free >= size)
                self._free -= size
            held = size

        try:
            yield take
        finally:
            self._give_back(held)

    def _give_back(self, size: int) -> None:
        with self._changed:
            self._free += size
            self._changed.notify_all()
