"""Near copies stay on one side of a split, are told once, and by every process alike."""

import io
import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.layouts import near_copies as near_copies_module
from snake_assets.snakeclef.layouts.near_copies import (
    BAND_BITS,
    BITS,
    MOST_DIFFERENT,
    PhotoHashes,
    near_copies,
)
from snake_assets.snakeclef.layouts.own import Options
from snake_assets.snakeclef.layouts.recognise import recognise
from snake_assets.snakeclef.raw.photo_files import find_photos
from snake_assets.storage import StorageError
from snake_assets_tests.conftest import photo_bytes

OPTIONS = Options(val_share=0.5)
ASK = """import json, sys, pathlib
from snake_assets.snakeclef.layouts import near_copies, own, recognise
root, store = map(pathlib.Path, sys.argv[1:])
options = own.Options(val_share=0.5, hashes=near_copies.PhotoHashes(store))
print(json.dumps([row.image_id for row in recognise.recognise(root, options).rows("val")]))"""
# One decides at the place of its group, so that without copies half of these pairs would be parted.
PAIRS = 24


def saved(photo: Image.Image, kind: str = "JPEG", **how: int) -> bytes:
    encoded = io.BytesIO()
    photo.save(encoded, kind, **how)
    return encoded.getvalue()


def variants(data: bytes) -> list[bytes]:
    """A photo saved anew, smaller, in other colours, and all of that in another container."""
    photo = Image.open(io.BytesIO(data)).convert("RGB")
    half = photo.resize((photo.width // 2, photo.height // 2), Image.Resampling.LANCZOS)
    warm = Image.fromarray((np.asarray(photo) * [1.0, 0.95, 0.85]).astype(np.uint8))
    return [
        saved(photo, quality=40),
        saved(half, "PNG"),
        saved(warm, quality=85),
        saved(ImageEnhance.Brightness(half).enhance(1.12), "WEBP", quality=60),
    ]


@pytest.fixture
def root(small_set: Path, tmp_path: Path) -> Path:
    """Drawn photos `A b/<n>.jpg`, a near copy of each as `A b/<n> again.jpg`, and thirty blank ones."""
    drawn = [path for path in sorted((small_set / "train").rglob("*.jpg")) if path.stat().st_size > 2000]
    root = tmp_path / "data"
    for name in ("A b", "C d"):
        (root / name).mkdir(parents=True)
    for number, path in enumerate(drawn[: PAIRS * 2 : 2]):
        data = path.read_bytes()
        (root / "A b" / f"{number}.jpg").write_bytes(data)
        (root / "A b" / f"{number} again.jpg").write_bytes(variants(data)[number % 4])
    for shade in range(30):
        (root / "C d" / f"{shade}.png").write_bytes(
            saved(Image.new("RGB", (80, 60), (8 * shade,) * 3), "PNG")
        )
    return root


def val_of(root: Path, store: Path, **how: object) -> set[str]:
    layout = recognise(root, replace(OPTIONS, hashes=PhotoHashes(store, **how)))
    return {row.image_id for row in layout.rows("val")}


def parted(val: set[str]) -> list[int]:
    return [n for n in range(PAIRS) if (f"A b/{n}.jpg" in val) != (f"A b/{n} again.jpg" in val)]


def test_near_copies_stay_together_and_blank_photos_do_not(root: Path, tmp_path: Path):
    told: list[str] = []
    alone = recognise(root, OPTIONS)
    assert parted({row.image_id for row in alone.rows("val", told)})
    assert f"Near copies of {2 * PAIRS + 30} photos are yet to be looked for" in " ".join(told)
    val = val_of(root, tmp_path / "store")
    assert not parted(val)
    assert 5 < len([name for name in val if name.startswith("C d/")]) < 25
    assert 0.2 < len(val) / (2 * PAIRS + 30) < 0.8


def test_a_photo_is_read_once_and_anew_when_it_changes(root: Path, tmp_path: Path):
    val = val_of(root, tmp_path / "store")
    for path in root.rglob("*.*"):
        # As the same files by all that a listing tells; whoever decoded them would find none a copy.
        status = path.stat()
        path.write_bytes(bytes(status.st_size))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    asked: list[int] = []
    assert val_of(root, tmp_path / "store", report=lambda _, to_do: asked.append(to_do)) == val and not asked
    others = [path.relative_to(root).as_posix() for path in root.rglob("* again.jpg")]
    for name in others:
        os.utime(root / name)
    # A sensor looks only: what is not known is by its observation.
    assert parted(val_of(root, tmp_path / "store", computes=False))
    assert parted(val_of(root, tmp_path / "store", report=lambda _, to_do: asked.append(to_do)))
    assert set(asked) == {PAIRS}


def test_a_first_look_that_was_stopped_goes_on(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(near_copies_module, "BATCH", 10)

    def stop(done: int, to_do: int) -> None:
        if done == 35:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        val_of(root, tmp_path / "store", report=stop)
    asked: list[int] = []
    val = val_of(root, tmp_path / "store", report=lambda _, to_do: asked.append(to_do))
    assert set(asked) == {2 * PAIRS + 30 - 30} and not parted(val)
    (memory,) = (tmp_path / "store").iterdir()
    memory.write_bytes(memory.read_bytes()[:-20])
    with pytest.raises(StorageError, match="remove it"):
        val_of(root, tmp_path / "store")


def test_two_processes_at_once_agree_and_nothing_is_written_beside_the_photos(root: Path, tmp_path: Path):
    before = find_photos(root, ".")
    ask = [sys.executable, "-c", ASK, str(root), str(tmp_path / "store")]
    processes = [subprocess.Popen(ask, stdout=subprocess.PIPE) for _ in range(2)]
    first, second = (set(json.loads(process.communicate()[0])) for process in processes)
    assert first == second == val_of(root, tmp_path / "store", computes=False) and not parted(first)
    assert find_photos(root, ".") == before


def test_a_photo_that_cannot_be_read_stops_what_it_would_change(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def away(path: Path) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", away)
    with pytest.raises(DataError, match="Input/output error"):
        val_of(root, tmp_path / "store")


def test_where_val_is_given_nothing_is_hashed(small_set: Path, tmp_path: Path):
    for split in ("train", "val"):
        for number in (0, 1):
            path = tmp_path / "data" / split / f"A {'bc'[number]}" / f"{split}.jpg"
            path.parent.mkdir(parents=True)
            path.write_bytes(photo_bytes(number))
    for root in (small_set, tmp_path / "data"):
        assert val_of(root, tmp_path / "store")
    assert not (tmp_path / "store").exists()


@given(st.lists(st.tuples(st.integers(0, 3), st.sets(st.integers(0, BITS - 1), max_size=9)), max_size=30))
def test_groups_are_those_of_comparing_each_with_each(told: list[tuple[int, set[int]]]):
    centres = [random.Random(number).getrandbits(BITS) for number in range(4)]
    whole = [centres[centre] ^ sum(1 << bit for bit in bits) for centre, bits in told]
    hashes: list[bytes | None] = [number.to_bytes(BITS // 8, "big") for number in whole]
    found = near_copies([*hashes, b"", b"", None])
    assert found[-3:] == [None, None, None]
    bands = [[number >> at & 0xFFFF for at in range(0, BITS, BAND_BITS)] for number in whole]
    group = list(range(len(whole)))
    for one in range(len(whole)):
        for two in range(one):
            agree = any(a == b for a, b in zip(bands[one], bands[two], strict=True))
            if agree and (whole[one] ^ whole[two]).bit_count() <= MOST_DIFFERENT:
                group = [group[one] if number == group[two] else number for number in group]
    for one in range(len(whole)):
        assert (found[one] is None) == (group.count(group[one]) == 1)
        for two in range(one):
            assert (group[one] == group[two]) == (found[one] is not None and found[one] == found[two])


@pytest.mark.real
def test_real_photos_are_known_again_and_not_taken_for_each_other(shared_data: Path, tmp_path: Path):
    files = [*find_photos(shared_data / "philippine-snakes", "train")]
    some = random.Random(0).sample(files, 60)
    for number, file in enumerate(some):
        for way, data in enumerate(variants((file.root / file.path).read_bytes())):
            (tmp_path / f"{number}-{way}.jpg").write_bytes(data)
    hashes = PhotoHashes(tmp_path / "store").of(files)
    again = PhotoHashes(tmp_path / "store").of(find_photos(tmp_path, "."))
    groups = near_copies([*hashes, *again])
    place = {file.path: number for number, file in enumerate(files)}
    of_file = {file.path: groups[place[file.path]] for file in some}
    copies = iter(groups[len(files) :])
    assert None not in of_file.values()
    for name in sorted(range(60), key=str):
        assert [next(copies) for _ in range(4)] == [of_file[some[name].path]] * 4
    # Photos of the folder that are copies of others already; no more, though sixty have copies beside them.
    already = {number for number in near_copies(hashes) if number is not None}
    assert len(already) < 15
