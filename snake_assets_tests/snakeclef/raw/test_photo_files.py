"""Which files are there, and which of them each row of the metadata means."""

import os
import unicodedata
from pathlib import Path

import pytest

from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.metadata import PhotoRow
from snake_assets.snakeclef.raw.photo_files import PhotoFile, find_photos, match_photos


def touch(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")
    return root


def row(image_id: str, official: str | None = None) -> PhotoRow:
    return PhotoRow(image_id, "1", official or f"test/{image_id}")


def listed(root: Path, *link_roots: Path) -> dict[str, str]:
    return {photo.path: photo.fault for photo in find_photos(root, "test", link_roots)}


def means(root: Path, *image_ids: str) -> list[tuple[str, str] | None]:
    """Path and fault of the file of each row."""
    matches = match_photos([row(image_id) for image_id in image_ids], find_photos(root, "test"))
    return [(source.file.path, source.file.fault) if source.file else None for source in matches.sources]


def found(root: Path, *image_ids: str) -> dict[str, int]:
    """How many of the rows' files were found in which way, without the ways that found none."""
    ways = match_photos([row(image_id) for image_id in image_ids], find_photos(root, "test")).found
    return {way: count for way, count in ways.items() if count}


def test_files_of_any_name_are_listed_but_archives(tmp_path: Path):
    names = [f"1.{kind}" for kind in ("jpg", "JPG", "JPE", "jfif", "webp", "heic", "tif", "txt")]
    touch(tmp_path, *(f"test/a/{name}" for name in (*names, "without", "b.zip", "c.tar.gz")))
    assert sorted(listed(tmp_path)) == sorted(f"test/a/{name}" for name in (*names, "without"))
    assert find_photos(tmp_path, "val") == []


def test_links_are_followed_inside_of_the_data_and_where_it_is_allowed(tmp_path: Path):
    root, cache, disk = tmp_path / "data", tmp_path / "cache", tmp_path / "disk"
    touch(root, "test/1.jpg", "other/2.jpg", "other/deep/3.jpg")
    touch(cache, "4", "folder/5.jpg")
    touch(disk, "6.jpg", "folder/7.jpg", "test/a.jpg")
    links = {
        "2.jpg": root / "other" / "2.jpg",
        "deep/linked": root / "other" / "deep",
        "loop": root / "test",
        "4.jpg": cache / "4",
        "cached": cache / "folder",
        "6.jpg": disk / "6.jpg",
        "away": disk / "folder",
        "gone.jpg": root / "nowhere",
    }
    for name, target in links.items():
        (root / "test" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "test" / name).symlink_to(target)
    inside = {
        "test/1.jpg": "",
        "test/2.jpg": "",
        "test/deep/linked/3.jpg": "",
        "test/gone.jpg": "link_broken",
    }
    outside = {f"test/{name}": "link_outside" for name in ("6.jpg", "away")}
    assert listed(root) == inside | outside | {f"test/{name}": "link_outside" for name in ("4.jpg", "cached")}
    assert listed(root, cache) == inside | outside | {"test/4.jpg": "", "test/cached/5.jpg": ""}
    # A row below a linked folder has the link's fault, too; but a split may itself be a link.
    assert means(root, "away/7.jpg", "6.jpg", "gone.jpg") == [
        ("test/away", "link_outside"),
        ("test/6.jpg", "link_outside"),
        ("test/gone.jpg", "link_broken"),
    ]
    cache.joinpath("test").symlink_to(disk / "test")
    assert listed(cache) == {"test/a.jpg": ""}


def test_names_that_are_not_utf8_are_listed_escaped_and_meant_by_their_row(tmp_path: Path):
    touch(tmp_path, "test/a.jpg")
    for name in (b"caf\xe9.jpg", b"\xff\xfe"):
        with open(os.path.join(os.fsencode(tmp_path), b"test", name), "wb"):  # noqa: PTH118, PTH123
            pass
    bad = "name_not_utf8"
    assert listed(tmp_path) == {"test/a.jpg": "", "test/caf\\xe9.jpg": bad, "test/\\xff\\xfe": bad}
    assert means(tmp_path, "a.jpg", "café.jpg", "b.jpg") == [
        ("test/a.jpg", ""),
        ("test/caf\\xe9.jpg", bad),
        None,
    ]


def test_a_pipe_is_not_a_file_and_a_folder_without_rights_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "test").mkdir()
    os.mkfifo(tmp_path / "test" / "a.jpg")
    assert listed(tmp_path) == {"test/a.jpg": "not_a_file"}

    def denied(folder: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(DataError, match=r"test cannot be listed \(Permission denied\)"):
        find_photos(tmp_path, "test")


def test_the_official_place_comes_first_and_two_other_places_are_an_error(tmp_path: Path):
    touch(tmp_path, "test/small/2017/A_b/1.jpg", "test/large/2017/A_b/1.jpg")
    matches = match_photos(
        [row("2017/A_b/1.jpg", "test/small/2017/A_b/1.jpg")], find_photos(tmp_path, "test")
    )
    assert [source.file and source.file.path for source in matches.sources] == ["test/small/2017/A_b/1.jpg"]
    assert [photo.path for photo in matches.without_row] == ["test/large/2017/A_b/1.jpg"]
    with pytest.raises(DataError, match=r"large.*small"):
        means(tmp_path, "2017/A_b/1.jpg")


@pytest.mark.parametrize(
    ("there", "named", "way"),
    [
        ("small/2017/A_b/1.jpg", "2017/A_b/1.jpg", "exact"),
        (unicodedata.normalize("NFD", "Vipère/é.jpg"), "Vipère/é.jpg", "normalised"),
        ("A_b/1.JPG", "A_b/1.jpg", "case_folded"),
        ("a_B/É.jpg", unicodedata.normalize("NFD", "A_b/é.jpg"), "case_folded"),
        ("x.jpg", "SnakeCLEF2024-TestImages/x.jpg", "last_part"),
        ("packed/x.JPG", "SnakeCLEF2024-TestImages/x.jpg", "last_part"),
        ("2017/A_b/1.jpg", "more/2017/A_b/1.jpg", "last_part"),
    ],
)
def test_a_name_is_looked_up_step_by_step_and_how_is_told(tmp_path: Path, there: str, named: str, way: str):
    touch(tmp_path, f"test/{there}")
    assert means(tmp_path, named) == [(f"test/{there}", "")]
    assert found(tmp_path, named) == {way: 1}
    # Exact case wins where only the case differs.
    touch(tmp_path, "test/z.JPG", "test/z.jpg")
    assert means(tmp_path, "z.jpg", "z.JPG") == [("test/z.jpg", ""), ("test/z.JPG", "")]


def test_by_its_last_part_no_row_gets_the_photo_of_another(tmp_path: Path):
    touch(tmp_path, "test/A_b/1.jpg", "test/A_b/2.jpg", "test/3.jpg")
    # 1.jpg is another row's; 2.jpg lies in a folder that is another species'; two rows could mean 3.jpg.
    assert means(tmp_path, "A_b/1.jpg", "C_d/1.jpg", "C_d/2.jpg", "C_d/3.jpg", "E_f/3.jpg") == [
        ("test/A_b/1.jpg", ""), None, None, None, None,
    ]  # fmt: skip
    touch(tmp_path, "test/x/4.jpg", "test/y/4.jpg")
    with pytest.raises(DataError, match=r"x/4.*y/4"):
        means(tmp_path, "C_d/4.jpg")


@pytest.mark.parametrize("names", [("a.jpeg", "a.JPEG"), ("./A_b/1.jpg", "A_b/1.jpg"), ("b.jpg", "t/b.jpg")])
def test_one_file_is_not_two_photos(names: tuple[str, str]):
    there = [PhotoFile(path, Path(), 1, 1) for path in ("test/a.jpeg", "test/A_b/1.jpg", "test/t/b.jpg")]
    with pytest.raises(DataError, match="both mean the file"):
        match_photos([row(name) for name in names], there)
