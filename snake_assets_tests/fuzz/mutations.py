"""Random changes of bytes, as fuzzers make them: a part is replaced by something else."""

import random
import struct
from collections.abc import Sequence

# Where lengths and counts go wrong.
INTERESTING = (
    *(0, 1, 2, 3, 4, 7, 8, 16, 31, 32, 64, 100, 127, 128, 255, 256, 1000, 4096, 32767, 32768, 65535, 65536),
    *(2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1),
)
NUMBER_FORMATS = ("B", "<H", ">H", "<I", ">I", "<Q", ">Q")
TOKENS = (
    *(b"\0", b"\n", b"\r", b'"', b",", b"../", b"/", b"\\", b"\xff", b"\xff\xd9"),
    *(b"-1", b"1e999", b"NaN", b"["),
)
KINDS = (
    *("bit", "bit", "byte", "number", "number", "decimal", "insert"),
    *("delete", "repeat", "move", "splice", "truncate", "blank"),
)
LARGEST = 1 << 20


def mutated(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    """The data after one to four changes, rarely more."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4, 12))):
        if not data:
            break
        start, end, instead = _change(data, rng, rng.choice(others))
        data = (data[:start] + instead + data[end:])[:LARGEST]
    return data


def _change(data: bytes, rng: random.Random, other: bytes) -> tuple[int, int, bytes]:
    """Where the part to be replaced begins and ends, and what takes its place."""
    size, at = len(data), rng.randrange(len(data))
    # Mostly short, sometimes of any length.
    end = at + rng.randint(1, size - at if rng.random() < 0.3 else min(size - at, 16))
    match rng.choice(KINDS):
        case "bit":
            return at, at + 1, bytes([data[at] ^ (1 << rng.randrange(8))])
        case "byte":
            return at, at + 1, rng.randbytes(1)
        case "number":
            layout = rng.choice(NUMBER_FORMATS)
            width = struct.calcsize(layout)
            return at, at + width, struct.pack(layout, rng.choice(INTERESTING) % (1 << 8 * width))
        case "decimal":
            digits = [place for place, byte in enumerate(data) if 48 <= byte <= 57] or [at]
            place = rng.choice(digits)
            return place, place + 1, str(rng.choice(INTERESTING)).encode()
        case "insert":
            return at, at, rng.choice(TOKENS) if rng.random() < 0.5 else rng.randbytes(rng.randrange(1, 20))
        case "delete":
            return at, end, b""
        case "repeat":
            return end, end, data[at:end] * rng.choice((1, 2, 10, 100))
        case "move":
            there = rng.randrange(size)
            return there, there + end - at, data[at:end]
        case "splice":
            return at, size, other[rng.randrange(len(other) + 1) :]
        case "truncate":
            return at, size, b""
        case _:
            return at, end, rng.choice((b"\0", b"\xff")) * (end - at)
