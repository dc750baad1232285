"""What is asked about: files, folders, tables."""

import os
from pathlib import Path

import pytest

from snake_assets.identification.photos import find_photos
from snake_assets.snakeclef import DataError


def made(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"photo")
    return folder


def test_a_folder_gives_all_files_below_it_but_hidden_ones_and_companions(tmp_path: Path) -> None:
    folder = made(tmp_path, "b/2.JPG", "a/1.heic", "strange", "notes.txt", ".hidden/3.jpg", ".DS_Store")
    photos, others = find_photos([folder])
    assert [photo.path for photo in photos] == [
        f"{folder}/strange", f"{folder}/a/1.heic", f"{folder}/b/2.JPG",
    ]  # fmt: skip
    assert all(photo.observation_id == photo.path for photo in photos)
    assert others == [folder / "notes.txt"]


def test_photos_of_a_folder_can_be_one_observation_and_a_photo_named_twice_is_one(tmp_path: Path) -> None:
    folder = made(tmp_path, "a/1.jpg", "a/2.jpg", "b/3.jpg")
    photos, _ = find_photos([folder, folder / "a/1.jpg"], "folder")
    assert [photo.observation_id for photo in photos] == [f"{folder}/a", f"{folder}/a", f"{folder}/b"]


def test_a_table_names_photos_beside_it_and_their_observations(tmp_path: Path) -> None:
    made(tmp_path, "1.jpg")
    table = tmp_path / "photos.csv"
    table.write_text("observation_id,image_path\nA,1.jpg\nA,missing.jpg\n")
    photos, _ = find_photos([table])
    assert [(photo.path, photo.observation_id) for photo in photos] == [
        (f"{tmp_path}/1.jpg", "A"), (f"{tmp_path}/missing.jpg", "A"),
    ]  # fmt: skip
    assert {photo.observation_id for photo in find_photos([table], "folder")[0]} == {str(tmp_path)}


@pytest.mark.parametrize(
    ("text", "group_by", "told"),
    [
        ("image_path\n1.jpg\n", "csv", "no column observation_id"),
        ("path\n1.jpg\n", None, "column 'image_path' is missing"),
        ("image_path,observation_id\n1.jpg,A\n1.jpg,B\n", None, "stands in two observations"),
    ],
)
def test_a_table_that_cannot_be_followed_is_refused(
    tmp_path: Path, text: str, group_by: str, told: str
) -> None:
    (tmp_path / "photos.csv").write_text(text)
    with pytest.raises(DataError, match=told):
        find_photos([tmp_path / "photos.csv"], group_by)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="does not exist"):
        find_photos([tmp_path / "none.csv"])


def test_names_are_one_line_of_valid_text_whatever_they_hold(tmp_path: Path) -> None:
    (tmp_path / "a\nb.jpg").write_bytes(b"")
    (tmp_path / os.fsdecode(b"\xff.jpg")).write_bytes(b"")
    names = sorted(photo.path for photo in find_photos([tmp_path])[0])
    assert names == [f"{tmp_path}/\\udcff.jpg", f"{tmp_path}/a\\x0ab.jpg"]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(OSError, match="no file"):
        find_photos([tmp_path])[0][0].read()
