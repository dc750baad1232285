"""Metadata that leads elsewhere, fills the memory, or would be taken for a formula."""

import os
from collections.abc import Callable
from pathlib import Path

from snake_assets.data_quality.labels import submission_against
from snake_assets.snakeclef.csv_reader import MAX_BYTES
from snake_assets.snakeclef.errors import DataError
from snake_assets.snakeclef.metadata import METADATA_FILES, read_metadata
from snake_assets.snakeclef.submission import submission_csv
from snake_assets_tests.hostile.case import Case, refused

NAME = METADATA_FILES["test"][0].name
HEADER = b"observation_id,filename\n"


def laid(folder: Path, content: bytes) -> Path:
    """A data root whose test metadata is this."""
    (folder / "metadata").mkdir()
    (folder / "metadata" / NAME).write_bytes(content)
    return folder


def refusal(make: Callable[[], bytes], *words: str) -> Callable[[Path], None]:
    """Metadata that must be refused."""

    def run(folder: Path) -> None:
        root = laid(folder, make())
        refused(DataError, lambda: read_metadata(root, "test", {}), NAME, *words)

    return run


def reading(content: bytes, *rows: tuple[str, str]) -> Callable[[Path], None]:
    """Metadata that must be read as these observations and photos, and answered in the same letters."""

    def run(folder: Path) -> None:
        read = read_metadata(laid(folder, content), "test", {})
        assert [(row.observation_id, row.image_id) for row in read] == list(rows)
        observations = list(dict.fromkeys(row.observation_id for row in read))
        (folder / "submission.csv").write_text(
            submission_csv(dict.fromkeys(observations, 1)), encoding="utf-8"
        )
        assert not submission_against(folder / "submission.csv", observations).faults

    return run


def no_file(make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Something in the place of the metadata that is no file."""

    def run(folder: Path) -> None:
        (folder / "metadata").mkdir()
        make(folder / "metadata" / NAME)
        refused(DataError, lambda: read_metadata(folder, "test", {}), NAME)

    return run


def too_large(folder: Path) -> None:
    root = laid(folder, HEADER)
    os.truncate(folder / "metadata" / NAME, MAX_BYTES + 1)
    refused(DataError, lambda: read_metadata(root, "test", {}), NAME, str(MAX_BYTES))


def exact(observation: str) -> Case:
    quoted = '"' + observation.replace('"', '""') + '"'
    content = HEADER + f"{quoted},a.jpg\n".encode()
    return Case(f"observation {observation!r}", reading(content, (observation, "a.jpg")))


OUTSIDE = ["../a.jpg", "../../etc/passwd", "/etc/passwd", "a/../../b.jpg", "a\\b.jpg", ".", "a\x07.jpg"]
FORMULAS = ["=cmd|' /C calc'!A0", "=1+1", "+1", "-1", "@SUM(1)", '=HYPERLINK("http://x","y")']
ODD = [" 12", "12 ", "a,b", '"', "<script>alert(1)</script>", "\u202e12", "\xa03", "\u2028x", "$(touch x)"]

CASES = [
    *(
        Case(f"path {path!r}", refusal(lambda p=path: HEADER + f"1,{p}\n".encode(), "line 2", "'filename'"))
        for path in OUTSIDE
    ),
    Case("path of 5,000 letters", refusal(lambda: HEADER + b"1," + b"a" * 5000 + b"\n", "line 2", "5000")),
    Case("NUL", refusal(lambda: HEADER + b"1,a\0.jpg\n", "line 2", "NUL")),
    *(
        Case(
            f"observation with {letter!r}",
            refusal(lambda c=letter: HEADER + f'"1{c}2",a.jpg\n'.encode(), "'observation_id'", "control"),
        )
        for letter in ("\n", "\r", "\x1b", "\x7f", "\x85")
    ),
    Case("line of 100 MB", refusal(lambda: HEADER + b"1," + b"a" * 100_000_000 + b"\n", "line 2"), slow=True),
    Case("header of 100 MB", refusal(lambda: b"a" * 100_000_000, "line 1"), slow=True),
    Case("quote that is never closed", refusal(lambda: HEADER + b'1,"' + b"a\n" * 1_000_000, "line ")),
    Case(
        "200,000 columns",
        refusal(
            lambda: HEADER[:-1] + b"".join(b",c%d" % n for n in range(200_000)) + b"\n", "line 1", "columns"
        ),
    ),
    Case(
        "a million cells", refusal(lambda: HEADER + b"1,a.jpg" + b"," * 1_000_000 + b"\n", "line 2", "cells")
    ),
    Case("file of 256 MB and a byte", too_large),
    Case("line of 1 MB", refusal(lambda: HEADER + b"1," + b"a" * 1_000_000 + b"\n", "line 2")),
    Case("pipe", no_file(os.mkfifo)),
    Case("folder", no_file(Path.mkdir)),
    Case("link to a device", no_file(lambda path: path.symlink_to("/dev/zero"))),
    *(
        Case(
            f"encoded as {name}",
            refusal(lambda n=name: "observation_id,filename\n1,ä.jpg\n".encode(n), "UTF-8"),
        )
        for name in ("utf-32", "latin-1")
    ),
    Case("encoded as utf-16", reading((HEADER.decode() + "1,ä.jpg\n").encode("utf-16"), ("1", "ä.jpg"))),
    Case("UTF-16 that is cut", refusal(lambda: HEADER.decode().encode("utf-16")[:-1], "UTF-16")),
    Case("byte order mark", reading(b"\xef\xbb\xbf" + HEADER + b"1,a.jpg\n", ("1", "a.jpg"))),
    Case(
        "two byte order marks",
        refusal(lambda: b"\xef\xbb\xbf" * 2 + HEADER + b"1,a.jpg\n", "line 1", "'observation_id'"),
    ),
    Case("surrogates", refusal(lambda: HEADER + b"\xed\xa0\x80,a.jpg\n", "line 2", "UTF-8")),
    Case("photo twice", refusal(lambda: HEADER + b"1,a.jpg\n2,a.jpg\n", "line 3", "line 2")),
    Case("no row", refusal(lambda: HEADER, "empty")),
    Case("empty file", refusal(lambda: b"", "line 1")),
    *map(exact, FORMULAS),
    *map(exact, ODD),
    Case(
        "letters that only look like dots",
        reading(HEADER + "1,\u2025/a.jpg\n".encode(), ("1", "\u2025/a.jpg")),
    ),
]
