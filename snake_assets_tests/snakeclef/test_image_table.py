"""From raw files to `image_table`: nothing is lost, nothing crashes, nothing is done twice."""

import hashlib
import io
import os
import shutil
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from snake_assets.snakeclef import DataError
from snake_assets.snakeclef import image_table as ingest_module
from snake_assets.snakeclef.image_table import IMAGE_SCHEMA, class_balance, copies_under_two_species, ingest
from snake_assets.snakeclef.metadata import PhotoRow, read_metadata
from snake_assets.snakeclef.raw.inventory import read_inventory, take_inventory
from snake_assets.snakeclef.raw.photo_files import MAX_FILE_BYTES
from snake_assets.storage.tables.manifest import Manifest
from snake_assets.storage.tables.table import Table, open_table
from snake_assets_tests.conftest import photo_bytes
from snake_assets_tests.vision.conftest import encode, picture
from snake_assets_tests.written import write

KNOWN = {10: False}


def build(root: Path, photos: dict[str, bytes], named: list[str] | None = None) -> Path:
    """A test split: `photos` on disk, `named` (or all of them) in the metadata."""
    for name, data in photos.items():
        (root / "test" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "test" / name).write_bytes(data)
    (root / "metadata").mkdir(parents=True, exist_ok=True)
    lines = [f"{number // 2},{name}" for number, name in enumerate(named or photos)]
    (root / "metadata" / "SnakeCLEF2024-TestMetadata.csv").write_text(
        "\n".join(["observation_id,filename", *lines, ""])
    )
    return root


def run(root: Path, store: Path, shard_rows: int = 512, most_rejected: float = 0.5) -> Manifest:
    take_inventory(root, "test", store / "raw_images" / "test")
    photos = read_inventory(open_table(store / "raw_images" / "test"), root)
    rows = read_metadata(root, "test", KNOWN)
    folder = store / "image_table" / "test"
    return ingest(rows, photos, "test", folder, shard_rows, most_rejected=most_rejected)


def table(store: Path) -> Table:
    return open_table(store / "image_table" / "test")


def test_rows_keep_the_metadata_order_and_the_files_own_bytes(tmp_path: Path):
    photos = {f"{name}.jpg": photo_bytes(seed) for seed, name in enumerate("qbazy")}
    root = build(tmp_path / "data", photos)
    manifest = run(root, tmp_path / "store", shard_rows=2)
    assert len(manifest.shards) == 3
    rows = table(tmp_path / "store").read()
    assert rows.schema.equals(IMAGE_SCHEMA)
    assert rows["image_id"].to_pylist() == list(photos)
    assert rows["observation_id"].to_pylist() == ["0", "0", "1", "1", "2"]
    assert rows["image"].to_pylist() == list(photos.values())
    assert rows["sha256"].to_pylist() == [hashlib.sha256(data).hexdigest() for data in photos.values()]
    assert set(zip(rows["width"].to_pylist(), rows["height"].to_pylist(), strict=True)) == {(48, 40)}


def oversized() -> bytes:
    """A PNG header that claims 12,000 x 12,000 pixels."""
    encoded = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(encoded, "PNG")
    return encoded.getvalue()


def test_bad_photos_are_rejects_with_a_reason(tmp_path: Path):
    good = photo_bytes()
    photos = {
        "good.jpg": good,
        "empty.jpg": b"",
        "cut.jpg": good[: len(good) // 2],
        "text.jpg": b"this is a letter, not a photo",
        "huge.png": oversized(),
        "vast.jpg": b"never read",
    }
    root = build(tmp_path / "data", photos, [*photos, "gone.jpg"])
    os.truncate(root / "test" / "vast.jpg", MAX_FILE_BYTES + 1)
    manifest = run(root, tmp_path / "store", most_rejected=0.9)
    assert {reject.image_id: reject.reason for reject in manifest.rejects} == {
        "empty.jpg": "empty",
        "cut.jpg": "truncated",
        "text.jpg": "not_an_image",
        "huge.png": "too_large",
        "vast.jpg": "too_large",
        "gone.jpg": "missing",
    }
    assert (manifest.rows_in, manifest.rows_out) == (7, 1)
    listed = pq.read_table(tmp_path / "store" / "image_table" / "test" / "rejects.parquet")
    assert listed.column_names == ["image_id", "reason", "detail"]
    assert listed.num_rows == 6


def test_a_split_that_is_lost_for_the_most_part_is_an_error(tmp_path: Path):
    photos = {f"{n}.jpg": photo_bytes(n) for n in range(4)}
    root, store = build(tmp_path / "data", photos), tmp_path / "store"
    whole = run(root, store)
    for name in ("0.jpg", "1.jpg"):
        (root / "test" / name).unlink()
    assert len(run(root, store).rejects) == 2
    (root / "test" / "2.jpg").unlink()
    with pytest.raises(DataError) as told:
        run(root, store)
    for words in (
        "3 of the 4 photos of 'test' are missing",
        "raw_images found 1 file below",
        str(root),
        "test/0.jpg",
    ):
        assert words in str(told.value)
    # The table is that of before; and a photo that is there but is none counts as lost too.
    assert table(store).manifest.rows_out == 2
    for number in range(3):
        (root / "test" / f"{number}.jpg").write_bytes(b"a page")
    with pytest.raises(DataError, match=r"3 of the 4 .* missing or unreadable, 0\.jpg \(not_an_image\)"):
        run(root, store)
    assert run(root, store, most_rejected=0.75).rows_out == 1
    for number in range(3):
        (root / "test" / f"{number}.jpg").write_bytes(photos[f"{number}.jpg"])
    assert run(root, store).digest == whole.digest
    shutil.rmtree(root / "test")
    with pytest.raises(DataError, match=r"'test' is empty.*data/test"):
        run(root, store)


def test_the_content_decides_and_what_the_listing_left_out_is_remembered(tmp_path: Path):
    kinds = {
        "a.webp": "WEBP", "b.jfif": "JPEG", "c.JPE": "JPEG", "d.gif": "GIF", "e.bmp": "BMP", "f.tif": "TIFF",
        "g": "PNG", "h.jpg": "WEBP", "i.heic": "HEIF", "j.avif": "AVIF", "k.jp2": "JPEG2000",
    }  # fmt: skip
    photos = {name: encode(picture(20, 16), kind) for name, kind in kinds.items()}
    root = build(tmp_path / "data", photos, [*photos, "away.jpg", "café.jpg", "gone.jpg"])
    (root / "test" / "away.jpg").symlink_to("/dev/null")
    (root / "test" / os.fsdecode(b"caf\xe9.jpg")).write_bytes(photos["h.jpg"])
    manifest = run(root, tmp_path / "store")
    assert table(tmp_path / "store").read(["image_id"])["image_id"].to_pylist() == list(photos)
    told = {reject.image_id: (reject.reason, reject.detail) for reject in manifest.rejects}
    assert {name: reason for name, (reason, _) in told.items()} == {
        "away.jpg": "link_outside",
        "café.jpg": "name_not_utf8",
        "gone.jpg": "missing",
    }
    assert r"caf\xe9.jpg" in told["café.jpg"][1]
    assert "link_roots" in told["away.jpg"][1]


def test_a_species_without_a_venom_status_is_counted_as_of_unknown_venom(tmp_path: Path):
    photos = {"class_id": [7, 7, 3, None], "binomial_name": ["Bus niger", None, None, None]}
    table = write(tmp_path / "train", [pa.table({**photos, "observation_id": ["a", "a", "b", "c"]})])
    for known, venomous, count in (
        ({3: True, 7: False}, [False, True], 1),
        ({3: True}, [None, True], None),
        ({}, [None, None], None),
    ):
        balance = class_balance(table, known)
        assert balance.species_counts["venomous"].to_list() == venomous
        assert balance.venomous_photos == count
        assert balance.names == {7: "Bus niger", 3: "3"}


def test_copies_under_two_species_are_named(tmp_path: Path):
    rows = [
        PhotoRow(f"{n}.jpg", f"{n}", f"test/{n}.jpg", class_id) for n, class_id in enumerate((1, 2, 1, 1))
    ]
    root = build(tmp_path / "data", {f"{n}.jpg": photo_bytes(n // 2) for n in range(4)})
    take_inventory(root, "test", tmp_path / "raw")
    ingest(rows, read_inventory(open_table(tmp_path / "raw"), root), "test", tmp_path / "images")
    copies = copies_under_two_species(open_table(tmp_path / "images"))
    assert list(copies.values()) == [[("0.jpg", 1), ("1.jpg", 2)]]


def test_many_batches_read_ahead_keep_their_order_and_their_rejects(tmp_path: Path):
    photos = {f"{n:03}.jpg": b"" if n % 7 == 3 else photo_bytes(n, (16, 12)) for n in range(300)}
    manifest = run(build(tmp_path / "data", photos), tmp_path / "store", shard_rows=70)
    good = [name for name, data in photos.items() if data]
    assert table(tmp_path / "store").read(["image_id"])["image_id"].to_pylist() == good
    for number, shard in enumerate(manifest.shards):
        names = list(photos)[70 * number : 70 * (number + 1)]
        assert [reject.image_id for reject in shard.rejects] == [name for name in names if not photos[name]]
        assert shard.rows + len(shard.rejects) == len(names)


def test_large_photos_make_small_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    photos = {f"{n}.jpg": photo_bytes(n) for n in range(10)}
    monkeypatch.setattr(ingest_module, "BATCH_BYTES", 2 * len(photos["0.jpg"]))
    (shard,) = run(build(tmp_path / "data", photos), tmp_path / "store").shards
    file = pq.ParquetFile(tmp_path / "store" / "image_table" / "test" / shard.file)
    sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    assert sum(sizes) == 10
    assert max(sizes) <= 3
    assert table(tmp_path / "store").read()["image"].to_pylist() == list(photos.values())


def test_only_shards_whose_photos_changed_are_read_again(tmp_path: Path):
    root, store = build(tmp_path / "data", {f"{n}.jpg": photo_bytes(n) for n in range(6)}), tmp_path / "store"
    first = run(root, store, shard_rows=2)
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*.*")}
    assert run(root, store, shard_rows=2) == first
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*.*")} == before
    (root / "test" / "3.jpg").write_bytes(photo_bytes(99))
    second = run(root, store, shard_rows=2)
    assert [a == b for a, b in zip(first.shards, second.shards, strict=True)] == [True, False, True]
    files = {path.name for path in (store / "image_table" / "test").glob("part-*")}
    assert files == {shard.file for shard in second.shards}
    assert table(store).read(["image_id"])["image_id"].to_pylist() == [f"{n}.jpg" for n in range(6)]


def test_archives_are_unpacked_where_there_are_no_photos_and_else_named(tmp_path: Path):
    loose, packed = (
        build(tmp_path / "loose", {f"{n}.jpg": photo_bytes(n) for n in range(3)}),
        tmp_path / "packed",
    )
    shutil.copytree(loose / "metadata", packed / "metadata")
    with tarfile.open(packed / "private_testset.tar.gz", "w:gz") as bundle:
        bundle.add(loose / "test", "private_testset")
    from_files, from_archive = run(loose, tmp_path / "a"), run(packed, tmp_path / "b")
    assert [s.sha256 for s in from_files.shards] == [s.sha256 for s in from_archive.shards]
    assert table(tmp_path / "a").read().equals(table(tmp_path / "b").read())
    inventory = tmp_path / "b" / "raw_images" / "test"
    assert take_inventory(packed, "test", inventory).unpacked == {}
    # A run on the wrong folder removes nothing.
    (tmp_path / "wrong").mkdir()
    with pytest.raises(DataError, match="'test' is empty"):
        take_inventory(tmp_path / "wrong", "test", inventory)
    assert len(list(inventory.rglob("*.jpg"))) == 3
    build(packed, {"a.jpg": photo_bytes()})
    assert take_inventory(packed, "test", inventory).left_packed == ("private_testset.tar.gz",)


def test_another_root_or_a_disk_that_is_away_is_an_error_and_not_a_table_without_photos(tmp_path: Path):
    rows = [PhotoRow("a.jpg", "1", "test/a.jpg")]
    root = build(tmp_path / "data", {"a.jpg": photo_bytes()})
    take_inventory(root, "test", tmp_path / "raw")
    with pytest.raises(DataError, match="materialize raw_images"):
        read_inventory(open_table(tmp_path / "raw"), tmp_path / "other")
    photos = read_inventory(open_table(tmp_path / "raw"), root)
    (root / "test").rename(root / "away")
    with pytest.raises(DataError, match=r"a\.jpg.*mounted"):
        ingest(rows, photos, "test", tmp_path / "store")
    (root / "away").rename(root / "test")
    assert ingest(rows, photos, "test", tmp_path / "store").rows_out == 1
