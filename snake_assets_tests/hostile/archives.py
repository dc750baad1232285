"""Archives that would write elsewhere, fill the disk or the memory, or lose photos in silence."""

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.raw.archives import ArchiveLimits, unpack
from snake_assets_tests.hostile.case import Case, refused

Members = Iterable[tuple[str, bytes]]
MIB = 1 << 20


def tar(members: Members, layout: int = tarfile.DEFAULT_FORMAT, **info: object) -> bytes:
    """A tar of these members, all with these properties of a TarInfo."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=layout) as bundle:
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


def header_bomb(kind: bytes) -> bytes:
    """A gzip of a tar whose first header announces a text of 8 MB of zeros, all of which are there."""
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, 8 * MIB
    return gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(info.size), 1)


def zeros(name: str) -> bytes:
    """A gzip of a tar with a file of 20 MB of zeros."""
    return gzip.compress(tar([(name, bytes(20 * MIB))]), 9)


def overlapping_zip(members: int) -> bytes:
    """A zip in which all members are the same bytes."""
    one = zipped([("0.jpg", bytes(MIB))])
    (start,) = struct.unpack_from("<I", one, one.find(b"PK\5\6") + 16)
    entry, end = one[start : one.find(b"PK\5\6")], bytearray(one[one.find(b"PK\5\6") :])
    struct.pack_into("<HHI", end, 8, members, members, len(entry) * members)
    return one[:start] + entry * members + bytes(end)


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


def link_then_through() -> bytes:
    """A link to a folder, then a file through it."""
    link = tar([("d", b"")], type=tarfile.SYMTYPE, linkname="../../..")
    return link[:512] + tar([("d/a.jpg", b"x")])


def deep(level: int) -> bytes:
    """An archive in an archive in an archive, each ten times the same."""
    data = bytes(MIB)
    for _ in range(level):
        data = zipped([(f"{number}.zip", data) for number in range(10)])
    return data


def bad(name: str, file: str, make: Callable[[], bytes], word: str, **limits: int) -> Case:
    """An archive that must be refused, with nothing written outside its folder."""

    def run(folder: Path) -> None:
        (folder / file).write_bytes(make())
        refused(DataError, lambda: unpack(folder / file, folder / "out", ArchiveLimits(**limits)), file, word)
        assert not any(path.is_symlink() for path in folder.rglob("*"))

    return Case(f"{name} ({file})", run)


def good(name: str, file: str, make: Callable[[], bytes], photos: dict[str, bytes]) -> Case:
    """An archive of which just these photos must be read."""

    def run(folder: Path) -> None:
        (folder / file).write_bytes(make())
        out = folder / "out"
        unpack(folder / file, out)
        found = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
        assert {path.relative_to(out).as_posix(): data for path, data in found.items()} == photos

    return Case(name, run)


OUTSIDE = ["../a.jpg", "a/../../../a.jpg", "/tmp/a.jpg", "..\\a.jpg", "C:\\a.jpg", "../home/.bashrc"]
ODD = ["a\x1b[31m.jpg", "a\n.jpg", "a\u202egpj.jpg", "a\u200b.jpg", "x" * 300 + ".jpg", "d/" * 900 + "a.jpg"]
NAMES = {**dict.fromkeys(OUTSIDE, "outside"), **dict.fromkeys(ODD, "no photo is called")}
KINDS = {
    "symbolic link": tarfile.SYMTYPE,
    "hard link": tarfile.LNKTYPE,
    "character device": tarfile.CHRTYPE,
    "block device": tarfile.BLKTYPE,
    "pipe": tarfile.FIFOTYPE,
    "sparse file": tarfile.GNUTYPE_SPARSE,
}
TEXTS = {
    "long name": tarfile.GNUTYPE_LONGNAME,
    "long link": tarfile.GNUTYPE_LONGLINK,
    "pax": tarfile.XHDTYPE,
    "pax for all": tarfile.XGLTYPE,
}
DATA = (("b/1.jpg", b"one" * 500), ("b/2.jpg", b"two" * 500))
GZ, TAR, ZIP, LINK, DAMAGED = "a.tar.gz", "a.tar", "a.zip", "link or a device", "damaged"
CLEAR, ODD_NAME = "plausible", "no photo is called"


def texts(count: int) -> bytes:
    return zipped((f"{number}.txt", b"") for number in range(count))


CASES = [
    *(bad(repr(n[:20]), GZ, lambda n=n: tar([(n, b"x")]), word) for n, word in NAMES.items()),
    *(bad(repr(n[:20]), ZIP, lambda n=n: zipped([(n, b"x")]), word) for n, word in NAMES.items()),
    good("name that is not UTF-8", TAR, lambda: tar([("a\udcff.jpg", b"x")]), {"a\\xff.jpg": b"x"}),
    bad("NUL", ZIP, lambda: zipped([("a.jpg_.txt", b"x")]).replace(b"g_.", b"g\0."), ODD_NAME),
    bad("two names", ZIP, lambda: zipped([("a.jpg", b"x")]).replace(b"a.jpg", b"b.jpg", 1), DAMAGED),
    *(
        bad(
            name,
            GZ,
            lambda k=kind: tar([("a.jpg", b"")], type=k, linkname="../../../home/.bashrc"),
            GZ if name == "sparse file" else LINK,
        )
        for name, kind in KINDS.items()
    ),
    bad("symbolic link", ZIP, lambda: zipped([("a.jpg", b"../../a.jpg")], mode=0o120777), LINK),
    bad("device", ZIP, lambda: zipped([("a.jpg", b"")], mode=0o020666), LINK),
    bad("link to a folder, then a file through it", TAR, link_then_through, LINK),
    bad("photo twice", GZ, lambda: tar([("a.jpg", b"1"), ("a.jpg", b"2")]), "twice"),
    bad("twice", ZIP, lambda: zipped([("a.jpg", b"1"), ("b.jpg", b"2")]).replace(b"b.j", b"a.j"), "twice"),
    bad("same by a dot", TAR, lambda: tar([("d/a.jpg", b"1"), ("d/./a.jpg", b"2")]), "twice"),
    bad("file, then below it", TAR, lambda: tar([("a.jpg", b"1"), ("a.jpg/b.jpg", b"2")]), "twice"),
    bad("folder, then in its place", TAR, lambda: tar([("a.jpg/b.jpg", b"1"), ("a.jpg", b"")]), "twice"),
    bad("a million folders", GZ, lambda: folders(1_000_001), "20000 members that are no"),
    bad("many files that are no photos", ZIP, lambda: texts(20_001), "20000 members that are"),
    bad("headers of many lines", GZ, lambda: header_of_lines(1_000_000, 8), "more lines"),
    bad("many headers of lines", GZ, lambda: header_of_lines(600, 14_000), "more lines"),
    bad("many members", GZ, lambda: folders(3000), "2000 members", members=2000),
    bad("many members", ZIP, lambda: texts(3000), "2000 members", members=2000),
    bad("bomb of one photo", GZ, lambda: zeros("a.jpg"), CLEAR),
    bad("bomb of one photo", ZIP, lambda: zipped([("a.jpg", bytes(20 * MIB))]), CLEAR),
    bad("bomb of a file that is no photo", GZ, lambda: zeros("a.txt"), CLEAR),
    bad("bomb of many photos", ZIP, lambda: zipped((f"{n}.jpg", bytes(MIB)) for n in range(40)), CLEAR),
    bad("bomb of one body with many names", ZIP, lambda: overlapping_zip(500), "twice"),
    bad("total", TAR, lambda: tar([("a.jpg", bytes(3000)), ("b.jpg", bytes(3000))]), CLEAR, bytes=5000),
    bad("limit of a member", TAR, lambda: tar([("a.jpg", bytes(3000))]), CLEAR, member_bytes=2000),
    *(bad(f"header of 8 MB: {n}", GZ, lambda k=kind: header_bomb(k), CLEAR) for n, kind in TEXTS.items()),
    bad("bzip2", ZIP, lambda: zipped([("a.jpg", b"x")], zipfile.ZIP_BZIP2), "of its own"),
    bad("lzma", ZIP, lambda: zipped([("a.jpg", b"x")], zipfile.ZIP_LZMA), "of its own"),
    bad("damage between two photos", TAR, damaged_header, DAMAGED),
    bad("cut between two photos", TAR, lambda: tar(DATA)[:2048], DAMAGED),
    bad("cut in a photo", TAR, lambda: tar(DATA)[:3000], DAMAGED),
    bad("without its end", GZ, lambda: gzip.compress(tar(DATA))[:-9], DAMAGED),
    bad("another checksum", GZ, lambda: gzip.compress(tar(DATA))[:-8] + bytes(8), DAMAGED),
    bad("changed", ZIP, lambda: zipped(DATA, zipfile.ZIP_STORED).replace(b"twotwo", b"twitwo", 1), DAMAGED),
    bad("without its list", ZIP, lambda: zipped(DATA)[:-30], DAMAGED),
    bad("zip that is a tar", ZIP, lambda: tar(DATA), DAMAGED),
    bad("tar that is a zip", TAR, lambda: zipped(DATA), DAMAGED),
    good("archives within", ZIP, lambda: zipped([("in.zip", deep(3)), ("a.jpg", b"x")]), {"a.jpg": b"x"}),
    good("only like dots", TAR, lambda: tar([("\u2025/a.jpg", b"x")]), {"\u2025/a.jpg": b"x"}),
    good("whole tar", GZ, lambda: gzip.compress(tar(DATA)), dict(DATA)),
    good("whole zip", ZIP, lambda: zipped(DATA), dict(DATA)),
]
