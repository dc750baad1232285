"""The progress file tells of finished shards, of its own recipe, that are there."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snake_assets.storage.progress import PROGRESS, Progress
from snake_assets.storage.tables.manifest import Reject, Shard


def shard(folder: Path, number: int) -> Shard:
    """A shard whose file is there."""
    path = folder / f"part-{number:05d}.parquet"
    path.write_bytes(bytes(number + 1))
    rejects = (Reject(f"{number}.jpg", "empty", "no\nbytes"),)
    return Shard(path.name, f"unit {number}", number, number + 1, "digest", rejects)


def told(folder: Path, count: int) -> list[Shard]:
    shards = [shard(folder, number) for number in range(count)]
    progress = Progress(folder, "recipe")
    for one in shards:
        progress.add(one)
    return shards


def test_what_was_told_is_recovered_and_added_to(tmp_path: Path):
    shards = told(tmp_path, 3)
    progress = Progress(tmp_path, "recipe")
    assert list(progress.recovered) == shards
    more = shard(tmp_path, 3)
    progress.add(more)
    assert list(Progress(tmp_path, "recipe").recovered) == [*shards, more]


@given(st.data())
def test_a_file_cut_anywhere_tells_of_the_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    folder = tmp_path_factory.mktemp("progress")
    shards = told(folder, 3)
    content = (folder / PROGRESS).read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    (folder / PROGRESS).write_bytes(content[:cut])
    whole_lines = content[:cut].count(b"\n")
    progress = Progress(folder, "recipe")
    assert list(progress.recovered) == shards[: max(0, whole_lines - 1)]
    # The half of a line is not in the way of the next.
    progress.add(shards[2])
    assert Progress(folder, "recipe").recovered == (*progress.recovered, shards[2])


def test_another_recipe_is_forgotten_for_good(tmp_path: Path):
    told(tmp_path, 2)
    assert Progress(tmp_path, "another").recovered == ()
    assert Progress(tmp_path, "recipe").recovered == ()
    assert not (tmp_path / PROGRESS).exists()


def test_a_shard_that_is_gone_is_never_told_of_again(tmp_path: Path):
    first, second = told(tmp_path, 2)
    (tmp_path / first.file).unlink()
    progress = Progress(tmp_path, "recipe")
    assert progress.recovered == (second,)
    progress.add(shard(tmp_path, 5))
    # Another shard, of the same length, has taken the name.
    (tmp_path / first.file).write_bytes(bytes(first.bytes))
    assert [known.unit for known in Progress(tmp_path, "recipe").recovered] == ["unit 1", "unit 5"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]\n", b'{"recipe": "recipe"}\n{"file": 1}\n', b"\xff\n"])
def test_a_damaged_file_tells_of_nothing_and_is_removed(tmp_path: Path, content: bytes):
    (tmp_path / PROGRESS).write_bytes(content)
    assert Progress(tmp_path, "recipe").recovered == ()
    assert not (tmp_path / PROGRESS).exists()
