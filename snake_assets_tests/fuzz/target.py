"""What is fuzzed: a reader, the valid files that its inputs are made of, and the errors that are its own."""

import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from snake_assets_tests.fuzz.mutations import mutated


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
        # The first of all are the valid files themselves.
        if number < len(self.seeds):
            return self.seeds[number], self.seeds[number].finish(self.seeds[number].data)
        rng = random.Random(f"{seed}/{self.name}/{number}")
        chosen = rng.choice(self.seeds)
        data = mutated(chosen.data, rng, [seed.data for seed in self.seeds])
        if rng.random() < 0.8:
            return chosen, chosen.finish(data)
        # Now and then behind the packing too.
        return chosen, mutated(chosen.finish(chosen.data), rng, [data])

    def try_case(self, seed: str, number: int) -> str:
        """How a case ends: read or refused. Raises whatever is not one of the target's own errors."""
        chosen, content = self.content(seed, number)
        with tempfile.TemporaryDirectory(prefix="snake-fuzz-", ignore_cleanup_errors=True) as folder:
            try:
                self.read(chosen.name, content, Path(folder))
            except self.errors:
                if number < len(self.seeds):
                    raise
                return "refused"
        return "read"
