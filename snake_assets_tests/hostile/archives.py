"""Archives that would write elsewhere, fill the disk or the memory, or lose photos in silence."""

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from snake_assets.snakeclef.errors import DataError
from snake_assets.snakeclef.raw.archives import ArchiveLimits, unpack
from snake_assets_tests.hostile.case import Case, refused

Members = Iterable[tuple[str, bytes]]
MIB = 1 << 20


def tar(members: Members, **info: object) -> bytes:
    """A tar of these members, all with these properties of a TarInfo."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as bundle:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            for key, value in info.items():
                setattr(member, key, value)
            bundle.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def zipped(members: Members, method: int = zipfile.ZIP_DEFLATED, mode: int = 0) -> bytes:
    """A zip of these members, all with this file mode."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as bundle:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = mode << 16, method
            bundle.writestr(info, data)
    return packed.getvalue()


def header_bomb(kind: bytes, size: int) -> bytes:
    """A gzip of a tar whose first header announces a text of `size` zeros, all of which are there."""
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, size
    return gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(size), 1)


def zeros(name: str, size: int) -> bytes:
    """A gzip of a tar with a file of `size` zeros."""
    return gzip.compress(tar([(name, bytes(size))]), 9)


def overlapping_zip(members: int) -> bytes:
    """A zip in which all members are the same bytes."""
    one = zipped([("0.jpg", bytes(MIB))])
    (start,) = struct.unpack_from("<I", one, one.find(b"PK\5\6") + 16)
    entry, end = one[start : one.find(b"PK\5\6")], bytearray(one[one.find(b"PK\5\6") :])
    struct.pack_into("<HHI", end, 8, members, members, len(entry) * members)
    return one[:start] + entry * members + bytes(end)


def refusal(name: str, make: Callable[[], bytes], word: str, **limits: int) -> Callable[[Path], None]:
    """An archive that must be refused, with nothing written outside its folder."""

    def run(folder: Path) -> None:
        (folder / name).write_bytes(make())
        refused(DataError, lambda: unpack(folder / name, folder / "out", ArchiveLimits(**limits)), name, word)
        assert not any(path.is_symlink() for path in folder.rglob("*"))

    return run


def reading(name: str, make: Callable[[], bytes], photos: dict[str, bytes]) -> Callable[[Path], None]:
    """An archive of which just these photos must be read."""

    def run(folder: Path) -> None:
        (folder / name).write_bytes(make())
        unpack(folder / name, folder / "out")
        found = {
            path.relative_to(folder / "out").as_posix(): path.read_bytes()
            for path in (folder / "out").rglob("*")
            if path.is_file()
        }
        assert found == photos

    return run


OUTSIDE = ["../a.jpg", "a/../../../a.jpg", "/tmp/a.jpg", "..\\a.jpg", "C:\\a.jpg", "../home/.bashrc"]
ODD = ["a\x1b[31m.jpg", "a\n.jpg", "a\u202egpj.jpg", "a\u200b.jpg", "x" * 300 + ".jpg", "d/" * 900 + "a.jpg"]
KINDS = {
    "symbolic link": tarfile.SYMTYPE,
    "hard link": tarfile.LNKTYPE,
    "character device": tarfile.CHRTYPE,
    "block device": tarfile.BLKTYPE,
    "pipe": tarfile.FIFOTYPE,
    "sparse file": tarfile.GNUTYPE_SPARSE,
}
DATA = (("b/1.jpg", b"one" * 500), ("b/2.jpg", b"two" * 500))


def folders(count: int) -> bytes:
    """A gzip of a tar with that many folders."""
    return gzip.compress(tar([("d", b"")], type=tarfile.DIRTYPE)[:512] * count, 1)


def header_of_lines(size: int, count: int) -> bytes:
    """A gzip of a tar with that many folders, each with a header of `size` bytes in lines of six."""
    lines = b"6 a=b\n" * (size // 6)
    header, folder = tarfile.TarInfo("x"), tarfile.TarInfo("d")
    header.type, header.size, folder.type = tarfile.XHDTYPE, len(lines), tarfile.DIRTYPE
    one = header.tobuf() + lines + bytes(-len(lines) % tarfile.BLOCKSIZE) + folder.tobuf()
    return gzip.compress(one * count, 1)


def damaged_header() -> bytes:
    """A tar with one bit changed in the header of its second photo."""
    data = bytearray(tar(DATA))
    data[data.find(b"b/2.jpg") + 100] ^= 1
    return bytes(data)


def deep(level: int) -> bytes:
    """An archive in an archive in an archive, each ten times the same."""
    data = bytes(MIB)
    for _ in range(level):
        data = zipped([(f"{number}.zip", data) for number in range(10)])
    return data


CASES = [
    *(
        Case(f"path {name!r}", refusal("a.tar.gz", partial(tar, [(name, b"x")]), "outside"))
        for name in OUTSIDE
    ),
    *(
        Case(f"path {name!r} in a zip", refusal("a.zip", partial(zipped, [(name, b"x")]), "outside"))
        for name in OUTSIDE
    ),
    *(
        Case(f"name {name[:20]!r}", refusal("a.tar.gz", partial(tar, [(name, b"x")]), "no photo is called"))
        for name in ODD
    ),
    *(
        Case(f"name {name[:20]!r} in a zip", refusal("a.zip", partial(zipped, [(name, b"x")]), "no photo is"))
        for name in ODD
    ),
    Case(
        "name that is not UTF-8",
        reading("a.tar", lambda: tar([("a\udcff.jpg", b"x")]), {"a\\xff.jpg": b"x"}),
    ),
    Case(
        "name with a NUL in a zip",
        refusal(
            "a.zip", lambda: zipped([("a.jpg_.txt", b"x")]).replace(b"g_.", b"g\0."), "no photo is called"
        ),
    ),
    Case(
        "another name in the list than before the data",
        refusal("a.zip", lambda: zipped([("a.jpg", b"x")]).replace(b"a.jpg", b"b.jpg", 1), "damaged"),
    ),
    *(
        Case(
            f"{name}",
            refusal(
                "a.tar.gz",
                partial(tar, [("a.jpg", b"")], type=kind, linkname="../../../home/.bashrc"),
                "link or a device" if kind != tarfile.GNUTYPE_SPARSE else "a.tar.gz",
            ),
        )
        for name, kind in KINDS.items()
    ),
    Case(
        "symbolic link in a zip",
        refusal("a.zip", lambda: zipped([("a.jpg", b"../../a.jpg")], mode=0o120777), "link or a device"),
    ),
    Case(
        "device in a zip",
        refusal("a.zip", lambda: zipped([("a.jpg", b"")], mode=0o020666), "link or a device"),
    ),
    Case(
        "link to a folder, then a file through it",
        refusal(
            "a.tar",
            lambda: (
                tar([("d", b"")], type=tarfile.SYMTYPE, linkname="../../..")[:512] + tar([("d/a.jpg", b"x")])
            ),
            "link or a device",
        ),
    ),
    Case("photo twice", refusal("a.tar.gz", lambda: tar([("a.jpg", b"1"), ("a.jpg", b"2")]), "twice")),
    Case(
        "photo twice in a zip",
        refusal("a.zip", lambda: zipped([("a.jpg", b"1"), ("b.jpg", b"2")]).replace(b"b.j", b"a.j"), "twice"),
    ),
    Case("same by a dot", refusal("a.tar", lambda: tar([("d/a.jpg", b"1"), ("d/./a.jpg", b"2")]), "twice")),
    Case(
        "file, then below it",
        refusal("a.tar", lambda: tar([("a.jpg", b"1"), ("a.jpg/b.jpg", b"2")]), "twice"),
    ),
    Case(
        "folder, then in its place",
        refusal("a.tar", lambda: tar([("a.jpg/b.jpg", b"1"), ("a.jpg", b"")]), "twice"),
    ),
    Case("a million folders", refusal("a.tar.gz", lambda: folders(1_000_001), "20000 members that are no")),
    Case(
        "many files that are no photos in a zip",
        refusal("a.zip", lambda: zipped((f"{n}.txt", b"") for n in range(20_001)), "20000 members that are"),
    ),
    Case("headers of many lines", refusal("a.tar.gz", lambda: header_of_lines(1_000_000, 8), "more lines")),
    Case("many headers of lines", refusal("a.tar.gz", lambda: header_of_lines(600, 14_000), "more lines")),
    Case("many members", refusal("a.tar.gz", lambda: folders(3000), "2000 members", members=2000)),
    Case(
        "many members in a zip",
        refusal(
            "a.zip", lambda: zipped((f"{n}.txt", b"") for n in range(3000)), "2000 members", members=2000
        ),
    ),
    Case("bomb of one photo", refusal("a.tar.gz", lambda: zeros("a.jpg", 20 * MIB), "plausible")),
    Case(
        "bomb of one photo in a zip",
        refusal("a.zip", lambda: zipped([("a.jpg", bytes(20 * MIB))]), "plausible"),
    ),
    Case(
        "bomb of a file that is no photo", refusal("a.tar.gz", lambda: zeros("a.txt", 20 * MIB), "plausible")
    ),
    Case(
        "bomb of many photos",
        refusal("a.zip", lambda: zipped((f"{n}.jpg", bytes(MIB)) for n in range(40)), "plausible"),
    ),
    Case("bomb of one body with many names", refusal("a.zip", lambda: overlapping_zip(500), "twice")),
    Case(
        "total limit",
        refusal(
            "a.tar", lambda: tar([("a.jpg", bytes(3000)), ("b.jpg", bytes(3000))]), "plausible", bytes=5000
        ),
    ),
    Case(
        "limit of a member",
        refusal("a.tar", lambda: tar([("a.jpg", bytes(3000))]), "plausible", member_bytes=2000),
    ),
    *(
        Case(
            f"header of 8 MB ({name})",
            refusal("a.tar.gz", partial(header_bomb, kind, 8 * MIB), "plausible"),
        )
        for name, kind in {
            "long name": tarfile.GNUTYPE_LONGNAME,
            "long link": tarfile.GNUTYPE_LONGLINK,
            "pax": tarfile.XHDTYPE,
            "pax for all": tarfile.XGLTYPE,
        }.items()
    ),
    *(
        Case(
            f"zip compressed by {name}",
            refusal("a.zip", partial(zipped, [("a.jpg", b"x")], method), "of its own"),
        )
        for name, method in {"bzip2": zipfile.ZIP_BZIP2, "lzma": zipfile.ZIP_LZMA}.items()
    ),
    Case(
        "archives within",
        reading("a.zip", lambda: zipped([("in.zip", deep(3)), ("a.jpg", b"x")]), {"a.jpg": b"x"}),
    ),
    Case("damage between two photos", refusal("a.tar", damaged_header, "damaged")),
    Case("tar cut between two photos", refusal("a.tar", lambda: tar(DATA)[:2048], "damaged")),
    Case("tar cut in a photo", refusal("a.tar", lambda: tar(DATA)[:3000], "damaged")),
    Case("gzip without its end", refusal("a.tar.gz", lambda: gzip.compress(tar(DATA))[:-9], "damaged")),
    Case(
        "gzip with another checksum",
        refusal("a.tar.gz", lambda: gzip.compress(tar(DATA))[:-8] + bytes(8), "damaged"),
    ),
    Case(
        "zip with a photo changed",
        refusal(
            "a.zip", lambda: zipped(DATA, zipfile.ZIP_STORED).replace(b"twotwo", b"twitwo", 1), "damaged"
        ),
    ),
    Case("zip without its list", refusal("a.zip", lambda: zipped(DATA)[:-30], "damaged")),
    Case("zip that is a tar", refusal("a.zip", lambda: tar(DATA), "damaged")),
    Case("tar that is a zip", refusal("a.tar", lambda: zipped(DATA), "damaged")),
    Case(
        "letters that only look like dots",
        reading("a.tar", lambda: tar([("\u2025/a.jpg", b"x")]), {"\u2025/a.jpg": b"x"}),
    ),
    Case("whole tar", reading("a.tar.gz", lambda: gzip.compress(tar(DATA)), dict(DATA))),
    Case("whole zip", reading("a.zip", lambda: zipped(DATA), dict(DATA))),
]
