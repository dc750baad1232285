"""Many objects at once, by a stand-in for the fetching of one; gcs/test_raw_data.py tries the whole way."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from snake_assets.storage.bucket_path import BucketPath, Stored
from snake_assets.storage.errors import StorageError
from snake_assets.storage.mirrors import Mirror

MANY = 3000
STORED = Stored(size=7, generation=1, crc32c="", notes={})


class Root:
    """As much of a bucket's folder as is asked of it where nothing is really fetched."""

    def __truediv__(self, name: str) -> str:
        return name


def mirror(folder: Path) -> Mirror:
    return Mirror(cast(BucketPath, Root()), folder / "data", folder / "growing")


def names(count: int) -> dict[str, Stored]:
    return {f"train/{number % 10}/{number}.jpg": STORED for number in range(count)}


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each object was fetched; those called broken cannot be."""
    times: Counter[str] = Counter()

    def fetch(
        source: str, stored: Stored, target: Path, aside: Path, came: Callable[[int], None], failed: object
    ) -> None:
        if source.endswith("broken.jpg"):
            raise StorageError(f"{source} cannot be had.")
        times[source] += 1
        came(stored.size)

    monkeypatch.setattr("snake_assets.storage.mirrors.fetch_object", fetch)
    return times


@pytest.mark.parametrize("count", [0, 1, MANY])
def test_each_object_is_fetched_once(tmp_path: Path, fetched: Counter[str], count: int):
    told: list[tuple[int, int]] = []
    did = mirror(tmp_path).bring("train", names(count), lambda done, to_do: told.append((done, to_do)))
    assert fetched == Counter(names(count).keys())
    assert (did.files, did.bytes) == (count, 7 * count)
    assert told[-1:] == ([(7 * count, 7 * count)] if count else [])


@pytest.mark.usefixtures("fetched")
def test_the_object_that_ended_it_is_named(tmp_path: Path):
    wanted = {**names(1000), "train/broken.jpg": STORED, **names(MANY)}
    with pytest.raises(StorageError, match=r"train/broken\.jpg cannot be had"):
        mirror(tmp_path).bring("train", wanted)
