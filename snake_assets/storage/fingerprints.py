"""Digests: of files, and of whatever decides what a table holds."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


def fingerprint(value: Json) -> str:
    """SHA-256, as hex, of a JSON value in its canonical form; equal values have equal fingerprints."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256, as hex, of a file's bytes, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def bytes_digest(data: bytes) -> str:
    """SHA-256, as hex, of some bytes."""
    return hashlib.sha256(data).hexdigest()
