"""Raw data in a bucket: fetched once, whole, checked and inside its folder, whatever the bucket answers."""

import gzip
import itertools
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from snake_assets.defs.lib.retries import is_transient
from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.layouts.near_copies import PhotoHashes
from snake_assets.snakeclef.raw.inventory import inventory_is_current, read_inventory, take_inventory
from snake_assets.snakeclef.raw.photo_files import find_photos
from snake_assets.snakeclef.raw.sources import BucketData
from snake_assets.storage import StorageError
from snake_assets.storage.objectstore import mirror
from snake_assets.storage.objectstore.gcs import Patience
from snake_assets.storage.objectstore.mirror import Fetched
from snake_assets.storage.tables.table import open_table
from snake_assets_tests.conftest import photo_bytes
from snake_assets_tests.gcs.faults import now_and_then
from snake_assets_tests.gcs.server import BUCKET, HALF, SILENCE, Asked, Cloud
from snake_assets_tests.hostile.archives import tar

SHORT = Patience(connection=1, silence=0.1, altogether=5, first_pause=0.001)
OFFICIAL = "SnakeCLEF2024-TestMetadata.csv"
PHOTOS = {f"test/{n}.jpg": bytes([n]) * (100 + n) for n in range(12)}


def put(gcs: Cloud, objects: dict[str, bytes], root: str = "raw") -> None:
    """As another would: not by way of our own code."""
    bucket = gcs.folder("").bucket.connect().bucket(BUCKET)
    for name, content in objects.items():
        bucket.blob(f"{root}/{name}").upload_from_string(content)


def remove(gcs: Cloud, name: str) -> None:
    gcs.objects.delete_file(BUCKET, f"raw/{name}")


@pytest.fixture
def data(gcs: Cloud, tmp_path: Path) -> Iterator[BucketData]:
    """The test split in a bucket, and a cache with nothing in it; nothing is ever outside of the cache."""
    put(gcs, {**PHOTOS, f"metadata/{OFFICIAL}": b"observation_id,filename\n1,0.jpg\n"})
    outside = set(tmp_path.iterdir())
    yield BucketData(gcs.folder("raw"), tmp_path / "cache")
    assert set(tmp_path.iterdir()) - outside <= {tmp_path / "cache", tmp_path / "store"}


def fetch(data: BucketData, split: str = "test") -> Fetched:
    return data.fetch(split, lambda done, to_do: None)


def files(data: BucketData, split: str = "test") -> dict[str, bytes]:
    return {
        path.relative_to(data.folder).as_posix(): path.read_bytes()
        for path in (data.folder / split).rglob("*")
        if path.is_file()
    }


def growing(data: BucketData) -> list[Path]:
    return [path for path in data.cache.rglob("growing/*/*") if path.name != "_lock"]


def downloads(gcs: Cloud) -> list[Asked]:
    return [asked for asked in gcs.asked if asked.query.get("alt") == "media"]


def test_what_is_there_is_not_fetched_again(gcs: Cloud, data: BucketData):
    told: list[tuple[int, int]] = []
    first = data.fetch("test", lambda done, to_do: told.append((done, to_do)))
    size = sum(map(len, PHOTOS.values()))
    assert (first.files, first.bytes) == (len(PHOTOS), size)
    assert told[-1] == (size, size)
    assert files(data) == PHOTOS
    before = len(downloads(gcs))
    assert fetch(data).files == 0
    assert len(downloads(gcs)) == before


def test_what_is_changed_added_or_gone_is_followed(gcs: Cloud, data: BucketData):
    fetch(data)
    changed = {"test/0.jpg": b"X" * len(PHOTOS["test/0.jpg"]), "test/new/1.PNG": b"new"}
    put(gcs, changed | {"test/b.zip": b"", "test/new/": b""})
    remove(gcs, "test/1.jpg")
    assert fetch(data).files == 2
    assert files(data) == {name: photo for name, photo in (PHOTOS | changed).items() if name != "test/1.jpg"}
    remove(gcs, "test/new/1.PNG")
    put(gcs, {"test/new": b"", "test/new.jpg/1.jpg": b"a folder"})
    fetch(data)
    remove(gcs, "test/new.jpg/1.jpg")
    put(gcs, {"test/new.jpg": b"a file"})
    fetch(data)
    assert files(data)["test/new.jpg"] == b"a file"


def test_listing_fetches_no_photo_and_tells_what_a_fetch_will_bring(gcs: Cloud, data: BucketData):
    listed = data.listing("test")
    assert [asked.path.rpartition("/")[2] for asked in downloads(gcs)] == [OFFICIAL]
    fetch(data)
    there = {name: (data.folder / name).stat() for name in PHOTOS}
    assert {photo.path: (photo.bytes, photo.modified_ns) for photo in listed.photos} == {
        name: (status.st_size, status.st_mtime_ns) for name, status in there.items()
    }
    before = len(gcs.asked)
    assert data.listing("test") == listed
    assert len(gcs.asked) == before + 3  # the split, the root for archives, the metadata


def test_two_machines_have_the_same_inventory_and_one_reads_that_of_the_other(
    data: BucketData, tmp_path: Path
):
    other = BucketData(data.root, tmp_path / "cache" / "other")
    digests = []
    for machine in (data, other):
        fetch(machine)
        table = tmp_path / "store" / machine.cache.name
        digests.append(take_inventory(machine.folder, "test", table, machine.known_as).manifest.digest)
        listed = machine.listing("test")
        assert inventory_is_current(listed.data, listed.photos, listed.archives, table, listed.known_as)
    assert digests[0] == digests[1]
    shutil.rmtree(other.cache)
    photos = read_inventory(open_table(tmp_path / "store" / "cache"), other.folder, other.known_as)
    provided = other.provide("test", photos, lambda done, to_do: None)
    assert provided and provided.files == len(PHOTOS)
    assert other.provide("test", photos, lambda done, to_do: None) is None
    with pytest.raises(DataError, match=f"SNAKE_DATA is {other.folder} now"):
        read_inventory(open_table(tmp_path / "store" / "cache"), other.folder)


def test_a_photo_that_changed_after_its_inventory_is_named(gcs: Cloud, data: BucketData, tmp_path: Path):
    fetch(data)
    take_inventory(data.folder, "test", tmp_path / "store", data.known_as)
    photos = read_inventory(open_table(tmp_path / "store"), data.folder, data.known_as)
    put(gcs, {"test/3.jpg": b"another"})
    fetch(data)
    with pytest.raises(DataError, match=r"test/3\.jpg is gone, or another, since raw_images was made"):
        data.provide("test", photos, lambda done, to_do: None)


def test_archives_are_fetched_and_unpacked_where_both_roots_are_in_buckets(gcs: Cloud, data: BucketData):
    table = gcs.folder("store/raw_images/val")
    put(gcs, {"SnakeCLEF2023-val.tar.gz": gzip.compress(tar([("a/1.jpg", b"one"), ("a/2.jpg", b"two")]))})
    fetch(data, "val")
    taken = take_inventory(data.folder, "val", table, data.known_as, data.unpacked_at("val"))
    assert taken.manifest.rows_out == 2

    def is_current() -> bool:
        now = data.listing("val")
        return inventory_is_current(now.data, now.photos, now.archives, table, now.known_as)

    assert is_current()
    shutil.rmtree(data.cache)
    assert is_current()
    photos = read_inventory(open_table(table), data.folder, data.known_as, data.unpacked_at("val"))
    data.provide("val", photos, lambda done, to_do: None)
    assert [(photo.root / photo.path).read_bytes() for photo in photos] == [b"one", b"two"]
    put(gcs, {"SnakeCLEF2023-val.tar.gz": gzip.compress(tar([("a/1.jpg", b"another")]))})
    assert not is_current()
    remove(gcs, "SnakeCLEF2023-val.tar.gz")
    fetch(data, "val")
    assert not list(data.folder.glob("*.tar.gz"))


def test_a_large_object_goes_on_where_it_was(gcs: Cloud, data: BucketData, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mirror, "PIECE", 1000)
    content = bytes(range(256)) * 40
    put(gcs, {"test.tar": content, "val/1.jpg": content})
    pieces = itertools.count()
    gcs.fault = lambda asked: 403 if asked.query.get("alt") == "media" and next(pieces) >= 4 else None
    with pytest.raises(StorageError, match=r"lack the right"):
        fetch(data, "val")
    assert (files(data, "val"), [path.stat().st_size for path in growing(data)]) == ({}, [4000])
    gcs.fault = lambda asked: None
    assert fetch(data, "val").bytes == len(content) - 4000
    assert files(data, "val") == {"val/1.jpg": content}
    assert growing(data) == []
    # What has grown of another generation is not gone on with.
    gcs.fault = lambda asked: 403 if asked.query.get("alt") == "media" and next(pieces) >= 8 else None
    put(gcs, {"val/1.jpg": content[::-1]})
    with pytest.raises(StorageError):
        fetch(data, "val")
    gcs.fault = lambda asked: None
    put(gcs, {"val/1.jpg": content})
    assert fetch(data, "val").bytes == len(content)
    assert files(data, "val") == {"val/1.jpg": content}


def test_faults_that_pass_are_tried_again(gcs: Cloud, data: BucketData):
    gcs.fault = now_and_then(every=4, kinds=(503, HALF, 429, SILENCE))
    fetch(BucketData(gcs.folder("raw", SHORT), data.cache))
    assert (files(data), growing(data)) == (PHOTOS, [])


@pytest.mark.parametrize("kind", [503, HALF, SILENCE])
def test_faults_that_stay_end_with_a_message_and_nothing_half(gcs: Cloud, data: BucketData, kind: int | str):
    gcs.fault = lambda asked: kind if asked.query.get("alt") == "media" else None
    with pytest.raises(StorageError, match=r"gave no good answer.*Run again") as told:
        fetch(BucketData(gcs.folder("raw", Patience(1, 0.05, 0.2, 0.001)), data.cache))
    assert is_transient(told.value)
    assert files(data) == {}


def test_bytes_that_were_changed_on_the_way_are_fetched_again_and_then_refused(
    gcs: Cloud, data: BucketData, monkeypatch: pytest.MonkeyPatch
):
    real, asked = gcs.objects.get_file, itertools.count()

    def flipped(bucket: str, name: str, *given: object) -> bytes:
        content: bytes = real(bucket, name, *given)
        wrong = name == "raw/test/5.jpg" and next(asked) < limit
        return bytes([content[0] ^ 1]) + content[1:] if wrong else content

    monkeypatch.setattr(gcs.objects, "get_file", flipped)
    limit = 1
    fetch(data)
    assert files(data) == PHOTOS
    shutil.rmtree(data.folder)
    limit = 1000
    with pytest.raises(StorageError, match=r"test/5\.jpg came with another checksum \(CRC32C\)"):
        fetch(data)
    assert "test/5.jpg" not in files(data)


def test_an_object_that_is_replaced_meanwhile_is_told_and_tried_again(gcs: Cloud, data: BucketData):
    def replace(asked: Asked) -> None:
        if asked.query.get("alt") == "media":
            gcs.fault = lambda asked: None
            gcs.lock.release()
            put(gcs, dict.fromkeys(PHOTOS, b"another"))
            gcs.lock.acquire()

    gcs.fault = replace
    with pytest.raises(StorageError, match="was replaced or removed while it was fetched") as told:
        fetch(data)
    assert is_transient(told.value)
    fetch(data)
    assert files(data) == dict.fromkeys(PHOTOS, b"another")


TRICKY = ("../../evil.jpg", "/evil.jpg", "./evil.jpg", "a\\..\\evil.jpg", "a\nb.jpg", "\u202egpj.jpg")
TOO_LONG = (f"{'x' * 300}.jpg", f"{'x/' * 520}1.jpg")


@pytest.mark.parametrize("name", [f"test/{name}" for name in (*TRICKY, *TOO_LONG, "0.jpg/1.jpg")])
def test_names_that_no_file_can_have_are_refused_before_anything_is_fetched(
    gcs: Cloud, data: BucketData, name: str
):
    # The emulator takes names for paths, too.
    objects = gcs.objects.objects[BUCKET]
    objects[f"raw/{name}"] = {**objects["raw/test/0.jpg"], "name": f"raw/{name}"}
    for attempt in (lambda: fetch(data), lambda: data.listing("test")):
        with pytest.raises(StorageError, match="nothing of it is fetched") as told:
            attempt()
        assert repr(name[:200])[1:-1] in str(told.value)
    assert files(data) == {}


def test_a_disk_that_is_too_small_is_told_before(data: BucketData, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: shutil._ntuple_diskusage(100, 90, 10))
    with pytest.raises(StorageError, match=r"room for 10 bytes, and 1,266 .*SNAKE_CACHE"):
        fetch(data)
    assert files(data) == {}


def test_a_bucket_a_right_or_the_metadata_that_is_missing_is_named(
    gcs: Cloud, data: BucketData, tmp_path: Path
):
    nobodys = BucketData(gcs.folder("raw", bucket="nobodys"), data.cache)
    elsewhere = BucketData(gcs.folder("elsewhere"), data.cache)
    with pytest.raises(StorageError, match="bucket 'nobodys' does not exist"):
        fetch(nobodys)
    with pytest.raises(DataError, match=rf"gs://{BUCKET}/elsewhere/metadata holds none .*SNAKE_DATA"):
        elsewhere.fetch_metadata()
    fetch(elsewhere)
    with pytest.raises(DataError, match=rf"below gs://{BUCKET}/elsewhere/test and no archive"):
        take_inventory(elsewhere.folder, "test", tmp_path / "store", elsewhere.known_as)
    gcs.fault = lambda asked: 403
    with pytest.raises(StorageError, match=r"lack the right storage\.objects\.\w+ in the bucket"):
        fetch(data)


def test_a_folder_of_species_in_a_bucket_is_refused_by_a_sentence(gcs: Cloud, tmp_path: Path):
    put(gcs, {f"{species}/{n}.jpg": photo_bytes(n) for species in ("A b", "C d") for n in range(2)})
    with pytest.raises(DataError, match="Other layouts are read from a folder, not from a bucket"):
        BucketData(gcs.folder("raw"), tmp_path / "cache").fetch_metadata()


def test_hashes_of_photos_are_remembered_in_a_store_in_a_bucket(gcs: Cloud, tmp_path: Path):
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(photo_bytes(number % 2))
    hashes, files = PhotoHashes(gcs.folder("store/photo_hashes")), find_photos(tmp_path, ".")
    found = hashes.of(files)
    assert found[0] and found[0] == found[2] != found[1]
    assert replace(hashes, computes=False).of(files) == found
