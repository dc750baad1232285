"""What an unfinished run has finished: a line a shard, so that telling of one costs the same however many."""

import json
from collections.abc import Sequence
from pathlib import Path

from snake_assets.storage.files import append, write_whole
from snake_assets.storage.keeping import sizes
from snake_assets.storage.tables.manifest import Shard, shards_from_json, shards_to_json

PROGRESS = "_progress.jsonl"


class Progress:
    """The progress file of a table's folder.

    `recovered` are the shards that an interrupted run of the same recipe had finished and whose files are
    there. A progress file of another recipe, or one that cannot be read, is removed: other shards may soon
    have the names in it.
    """

    def __init__(self, folder: Path, recipe: str) -> None:
        """Read what there is; `recipe` is the fingerprint of the table's recipe."""
        self._path, self._recipe = folder / PROGRESS, recipe
        # A shard that is gone must not be named again once another has its file name.
        there = sizes(folder)
        self.recovered = tuple(shard for shard in self._read() if shard.is_in(there))
        self._begun = False
        if not self.recovered:
            self.remove()

    def add(self, shard: Shard) -> None:
        """A shard is finished; it is on the disk when this returns.

        Raises:
            StorageError: the file system refused.
        """
        if self._begun:
            append(self._path, _lines([shard]))
        else:
            # Whole, because a kill may have left the half of a line.
            write_whole(self._path, progress_bytes(self._recipe, [*self.recovered, shard]))
            self._begun = True

    def remove(self) -> None:
        """Forget everything: the run is finished."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> tuple[Shard, ...]:
        try:
            return read_progress(self._path.read_bytes(), self._recipe)
        except FileNotFoundError:
            return ()


def progress_bytes(recipe: str, shards: Sequence[Shard]) -> bytes:
    """The content of a progress file: a line for the recipe's fingerprint, and one a shard."""
    return json.dumps({"recipe": recipe}).encode() + b"\n" + _lines(shards)


def read_progress(content: bytes, recipe: str) -> tuple[Shard, ...]:
    """The shards that a progress file tells of; none where it is of another recipe or damaged."""
    try:
        # What follows the last line end is the half of a line that a kill left.
        head, *lines = content.split(b"\n")[:-1]
        if json.loads(head)["recipe"] == recipe:
            return shards_from_json([json.loads(line) for line in lines])
    except (ValueError, KeyError, TypeError):
        pass  # a progress file that cannot be used only means that its shards are made again
    return ()


def _lines(shards: Sequence[Shard]) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in shards_to_json(shards))
