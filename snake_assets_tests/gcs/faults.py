"""What goes wrong with requests, and what must never be seen of it."""

import hashlib
import json
from collections.abc import Callable, Sequence

from snake_assets_tests.gcs.server import HALF, LOST, Asked, Objects

PASSING = (503, HALF, 429, LOST)
MANIFEST = "/_manifest.json"


def now_and_then(every: int, kinds: Sequence[int | str] = PASSING) -> Callable[[Asked], int | str | None]:
    """One of the kinds in turn, for one request of `every`."""
    return lambda asked: kinds[asked.number // every % len(kinds)] if asked.number % every == 0 else None


def only(number: int, kind: int | str) -> Callable[[Asked], int | str | None]:
    """The fault for one request of all."""
    return lambda asked: kind if asked.number == number else None


class NothingHalf:
    """Looks at the bucket after every change: whatever a manifest names is there, whole. Counts its looks."""

    def __init__(self) -> None:
        self.looks = 0
        self.faults: list[str] = []
        self._known: dict[tuple[str, str], str] = {}

    def __call__(self, objects: Objects) -> None:
        self.looks += 1
        for name in objects.names():
            if name.endswith(MANIFEST):
                folder = name.removesuffix(MANIFEST)
                content = json.loads(objects.content(name))
                for file, digest in _files(content).items():
                    if self._digest(objects, f"{folder}/{file}") != digest:
                        self.faults.append(f"{folder} names {file}, which is not there or another")

    def _digest(self, objects: Objects, name: str) -> str | None:
        if name not in objects.names():
            return None
        known = name, objects.generation("store-of-snakes", name)
        if known not in self._known:
            self._known[known] = hashlib.sha256(objects.content(name)).hexdigest()
        return self._known[known]


def _files(manifest: dict) -> dict[str, str]:
    if "shards" in manifest:
        return {shard["file"]: shard["sha256"] for shard in manifest["shards"]}
    return {f"{manifest['home']}/{name}": digest for name, digest in manifest["files"].items()}
