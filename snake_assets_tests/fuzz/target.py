"""What is fuzzed: a reader, the valid files that its inputs are made of, and the errors that are its own."""

import random
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from snake_assets_tests.fuzz.mutations import mutated

Outcome = Literal["read", "refused"]


@dataclass(frozen=True)
class Seed:
    """A valid file.

    `finish` makes bytes that are still believed of changed ones: it packs them, or mends their checksums.
    """

    name: str
    data: bytes
    finish: Callable[[bytes], bytes] = bytes


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        name: of the target.
        seeds: by which it is fed.
        errors: by which it may refuse.
        read: reads the bytes made of a seed, in an empty folder of its own; raises an AssertionError where
            what was read is not what such a reader may give.
    """

    name: str
    seeds: Sequence[Seed]
    errors: tuple[type[Exception], ...]
    read: Callable[[str, bytes, Path], None]

    def content(self, seed: str, number: int) -> tuple[Seed, bytes]:
        """The input of a case: the same for the same seed and number, on every machine."""
        rng = random.Random(f"{seed}/{self.name}/{number}")
        chosen = rng.choice(self.seeds)
        # The first of all are the valid files themselves.
        if number < len(self.seeds):
            return self.seeds[number], self.seeds[number].finish(self.seeds[number].data)
        data = mutated(chosen.data, rng, [seed.data for seed in self.seeds])
        # Now and then behind the packing too.
        content = (
            chosen.finish(data) if rng.random() < 0.8 else mutated(chosen.finish(chosen.data), rng, [data])
        )
        return chosen, content

    def try_case(self, seed: str, number: int) -> Outcome:
        """Read the input of a case. Raises whatever is not one of the target's own errors."""
        chosen, content = self.content(seed, number)
        folder = Path(tempfile.mkdtemp(prefix="snake-fuzz-"))
        try:
            self.read(chosen.name, content, folder)
        except self.errors:
            if number < len(self.seeds):
                raise
            return "refused"
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return "read"
