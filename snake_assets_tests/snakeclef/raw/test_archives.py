"""Archives are unpacked as they should be, or refused with nothing written outside."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from snake_assets.snakeclef.raw.archives import ArchiveLimits, find_archives, unpack


def tar(path: Path, members: dict[str, bytes], **kinds: bytes) -> Path:
    with tarfile.open(path, "w:gz") as bundle:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            bundle.addfile(info, io.BytesIO(data))
        for name, kind in kinds.items():
            info = tarfile.TarInfo(f"{name}.jpg")
            info.type, info.linkname = kind, "/etc/passwd"
            bundle.addfile(info)
    return path


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, data in members.items():
            bundle.writestr(name, data)
    return path


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


PHOTOS = {
    "SnakeCLEF2023-small_size/2017/A_b/1.JPG": b"one",
    "HMP/A_b/2.png": b"two",
    "without an extension": b"three",
    "more.zip": b"an archive",
    "Icon\r": b"no photo, as a Mac packs it",
}


@pytest.mark.parametrize(
    "make", [lambda p: tar(p / "a.tar.gz", PHOTOS), lambda p: zipped(p / "a.zip", PHOTOS)]
)
def test_files_of_any_name_are_written_and_the_rest_is_counted(tmp_path: Path, make):
    result = unpack(make(tmp_path), tmp_path / "out")
    assert (result.files, result.bytes, result.skipped) == (3, 11, 2)
    assert files_below(tmp_path / "out") == set(list(PHOTOS)[:3])
    assert (tmp_path / "out" / "HMP/A_b/2.png").read_bytes() == b"two"


def test_long_names_and_times_in_extended_headers_are_read(tmp_path: Path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as bundle:
        for number in range(600):
            info = tarfile.TarInfo(f"{'d' * 120}/{number}.jpg")
            info.mtime, info.size = 1.5, 1
            bundle.addfile(info, io.BytesIO(b"x"))
    assert unpack(tmp_path / "a.tar.gz", tmp_path / "out", ArchiveLimits(members=600)).files == 600


def test_archives_are_found_by_split(tmp_path: Path):
    names = {
        "train": ["SnakeCLEF2023-train-small_size.tar.gz", "SnakeCLEF2023-HMP.tar.gz", "train/any.zip"],
        "val": ["SnakeCLEF2023-val-small_size.tar.gz"],
        "test": ["private_testset.zip"],
    }
    for name in [name for group in names.values() for name in group] + ["notes.txt"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    for split, group in names.items():
        found = {archive.path.relative_to(tmp_path).as_posix() for archive in find_archives(tmp_path, split)}
        assert found == set(group)
