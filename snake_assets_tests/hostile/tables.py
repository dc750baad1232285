"""Metadata that leads elsewhere, fills the memory, or would be taken for a formula."""

import os
from collections.abc import Callable
from pathlib import Path

from snake_assets.data_quality.labels import submission_against
from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.csv_reader import MAX_BYTES
from snake_assets.snakeclef.metadata import METADATA_FILES, read_metadata
from snake_assets.snakeclef.submission import submission_csv
from snake_assets_tests.hostile.case import Case, refused

NAME = METADATA_FILES["test"][0].name
HEADER = b"observation_id,filename\n"
BOM = b"\xef\xbb\xbf"


def bad(name: str, make: Callable[[], bytes], *words: str, slow: bool = False) -> Case:
    """Metadata that must be refused."""
    return no_file(name, lambda path: path.write_bytes(make()), *words, slow=slow)


def no_file(name: str, put: Callable[[Path], object], *words: str, slow: bool = False) -> Case:
    """Something put in the place of the metadata that must be refused."""

    def run(folder: Path) -> None:
        (folder / "metadata").mkdir()
        put(folder / "metadata" / NAME)
        refused(DataError, lambda: read_metadata(folder, "test", {}), NAME, *words)

    return Case(name, run, slow)


def good(name: str, content: bytes, *rows: tuple[str, str]) -> Case:
    """Metadata that must be read as these observations and photos, and answered in the same letters."""

    def run(folder: Path) -> None:
        (folder / "metadata").mkdir()
        (folder / "metadata" / NAME).write_bytes(content)
        read = read_metadata(folder, "test", {})
        assert [(row.observation_id, row.image_id) for row in read] == list(rows)
        observations = list(dict.fromkeys(row.observation_id for row in read))
        answers = submission_csv(dict.fromkeys(observations, 1))
        (folder / "submission.csv").write_text(answers, encoding="utf-8")
        assert not submission_against(folder / "submission.csv", observations).faults

    return Case(name, run)


def exact(observation: str) -> Case:
    quoted = '"' + observation.replace('"', '""') + '"'
    content = HEADER + f"{quoted},a.jpg\n".encode()
    return good(f"observation {observation!r}", content, (observation, "a.jpg"))


OUTSIDE = ["../a.jpg", "../../etc/passwd", "/etc/passwd", "a/../../b.jpg", "a\\b.jpg", ".", "a\x07.jpg"]
FORMULAS = ["=cmd|' /C calc'!A0", "=1+1", "+1", "-1", "@SUM(1)", '=HYPERLINK("http://x","y")']
ODD = [" 12", "12 ", "a,b", '"', "<script>alert(1)</script>", "\u202e12", "\xa03", "\u2028x", "$(touch x)"]
CONTROL = ("\n", "\r", "\x1b", "\x7f", "\x85")
COLUMNS = b"".join(b",c%d" % number for number in range(200_000))
FOREIGN = "observation_id,filename\n1,ä.jpg\n"


def row(text: str) -> bytes:
    return HEADER + f"{text}\n".encode()


CASES = [
    *(bad(f"path {path!r}", lambda p=path: row(f"1,{p}"), "line 2", "'filename'") for path in OUTSIDE),
    bad("path of 5,000 letters", lambda: row("1," + "a" * 5000), "line 2", "5000"),
    bad("NUL", lambda: row("1,a\0.jpg"), "line 2", "NUL"),
    *(
        bad(f"observation with {c!r}", lambda c=c: row(f'"1{c}2",a.jpg'), "'observation_id'", "control")
        for c in CONTROL
    ),
    bad("line of 100 MB", lambda: row("1," + "a" * 100_000_000), "line 2", slow=True),
    bad("header of 100 MB", lambda: b"a" * 100_000_000, "line 1", slow=True),
    bad("quote that is never closed", lambda: HEADER + b'1,"' + b"a\n" * 1_000_000, "line "),
    bad("200,000 columns", lambda: HEADER[:-1] + COLUMNS + b"\n", "line 1", "columns"),
    bad("a million cells", lambda: row("1,a.jpg" + "," * 1_000_000), "line 2", "cells"),
    bad("line of 1 MB", lambda: row("1," + "a" * 1_000_000), "line 2"),
    no_file(
        "file of 256 MB and a byte",
        lambda path: (path.write_bytes(HEADER), os.truncate(path, MAX_BYTES + 1)),
        str(MAX_BYTES),
    ),
    no_file("pipe", os.mkfifo),
    no_file("folder", Path.mkdir),
    no_file("link to a device", lambda path: path.symlink_to("/dev/zero")),
    bad("UTF-32", lambda: FOREIGN.encode("utf-32"), "UTF-8"),
    bad("Mac OS Roman", lambda: FOREIGN.encode("mac_roman"), "UTF-8"),
    good("Windows-1252", FOREIGN.encode("cp1252"), ("1", "ä.jpg")),
    good("UTF-16", FOREIGN.encode("utf-16"), ("1", "ä.jpg")),
    bad("UTF-16 that is cut", lambda: FOREIGN.encode("utf-16")[:-1], "UTF-16"),
    good("byte order mark", BOM + row("1,a.jpg"), ("1", "a.jpg")),
    bad("two byte order marks", lambda: BOM * 2 + row("1,a.jpg"), "line 1", "'observation_id'"),
    bad("surrogates", lambda: HEADER + b"\xed\xa0\x80,a.jpg\n", "line 2", "UTF-8"),
    bad("photo twice", lambda: row("1,a.jpg\n2,a.jpg"), "line 3", "line 2"),
    bad("no row", lambda: HEADER, "empty"),
    bad("empty file", lambda: b"", "line 1"),
    *map(exact, FORMULAS + ODD),
    good("letters that only look like dots", row("1,\u2025/a.jpg"), ("1", "\u2025/a.jpg")),
]
