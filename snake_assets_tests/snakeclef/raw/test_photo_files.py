"""Finding photos and joining them with the metadata by path."""

from pathlib import Path

import pytest

from snake_assets.snakeclef.errors import DataError
from snake_assets.snakeclef.metadata import PhotoRow
from snake_assets.snakeclef.raw.photo_files import PhotoIndex, find_photos


def touch(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")
    return root


def row(image_id: str, official: str | None = None) -> PhotoRow:
    return PhotoRow(image_id, "1", official or f"val/SnakeCLEF2023-small_size/{image_id}")


def test_every_extension_in_any_case_and_nothing_else(tmp_path: Path):
    touch(
        tmp_path,
        *(f"val/a/{name}" for name in ("1.jpg", "2.jpeg", "3.JPG", "4.png", "5.PNG", "6.JpEg", "7.txt", "8")),
    )
    assert [Path(photo.path).name for photo in find_photos(tmp_path, "val")] == [
        "1.jpg", "2.jpeg", "3.JPG", "4.png", "5.PNG", "6.JpEg",
    ]  # fmt: skip


def test_a_folder_that_is_not_there_holds_no_photo(tmp_path: Path):
    assert find_photos(tmp_path, "val") == []


def test_links_are_not_followed(tmp_path: Path):
    touch(tmp_path, "elsewhere/1.jpg", "val/2.jpg")
    (tmp_path / "val" / "link.jpg").symlink_to(tmp_path / "elsewhere" / "1.jpg")
    (tmp_path / "val" / "loop").symlink_to(tmp_path / "val")
    assert [photo.path for photo in find_photos(tmp_path, "val")] == ["val/2.jpg"]


def test_the_official_place_comes_first(tmp_path: Path):
    touch(
        tmp_path, "val/SnakeCLEF2023-small_size/2017/A_b/1.jpg", "val/SnakeCLEF2023-large_size/2017/A_b/1.jpg"
    )
    found = PhotoIndex(find_photos(tmp_path, "val")).find(row("2017/A_b/1.jpg"))
    assert found is not None
    assert found.path == "val/SnakeCLEF2023-small_size/2017/A_b/1.jpg"


def test_other_folders_and_another_case_of_the_extension(tmp_path: Path):
    touch(tmp_path, "val/SnakeCLEF2023-large_size/2017/A_b/1.JPG", "val/x/2017/A_b/11.jpg")
    index = PhotoIndex(find_photos(tmp_path, "val"))
    found = index.find(row("2017/A_b/1.jpg"))
    assert found is not None
    assert found.path.endswith("A_b/1.JPG")
    assert index.find(row("2018/A_b/1.jpg")) is None
    assert index.find(row("2017/A_b/2.jpg")) is None


def test_exact_case_wins_where_only_the_case_differs(tmp_path: Path):
    touch(tmp_path, "test/a.JPG", "test/a.jpg")
    index = PhotoIndex(find_photos(tmp_path, "test"))
    for name in ("a.JPG", "a.jpg"):
        found = index.find(row(name, f"test/{name}"))
        assert found is not None
        assert found.path == f"test/{name}"


def test_two_places_are_an_error_that_names_both(tmp_path: Path):
    touch(tmp_path, "val/medium/2017/A_b/1.jpg", "val/large/2017/A_b/1.jpg")
    with pytest.raises(DataError, match=r"large.*medium"):
        PhotoIndex(find_photos(tmp_path, "val")).find(row("2017/A_b/1.jpg"))


def test_files_without_a_row_are_told(tmp_path: Path):
    touch(tmp_path, "test/a.jpg", "test/b.jpg")
    index = PhotoIndex(find_photos(tmp_path, "test"))
    assert [photo.path for photo in index.without_row([row("a.jpg", "test/a.jpg")])] == ["test/b.jpg"]
