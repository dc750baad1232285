"""Random changes of bytes, as fuzzers make them."""

import random
import struct
from collections.abc import Callable, Sequence

Mutation = Callable[[bytes, random.Random, bytes], bytes]

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
LARGEST = 1 << 20


def mutated(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    """The data after one to four changes, rarely more."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4, 12))):
        if not data:
            break
        data = rng.choice(MUTATIONS)(data, rng, rng.choice(others))[:LARGEST]
    return data


def span(data: bytes, rng: random.Random) -> tuple[int, int]:
    """A part: mostly short, sometimes of any length."""
    start = rng.randrange(len(data))
    most = len(data) - start
    return start, start + rng.randint(1, most if rng.random() < 0.3 else min(most, 16))


def flip_bit(data: bytes, rng: random.Random, _: bytes) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def set_byte(data: bytes, rng: random.Random, _: bytes) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + rng.randbytes(1) + data[at + 1 :]


def set_number(data: bytes, rng: random.Random, _: bytes) -> bytes:
    """Put an interesting number in the place of 1, 2, 4 or 8 bytes."""
    layout = rng.choice(NUMBER_FORMATS)
    size = struct.calcsize(layout)
    at = rng.randrange(max(1, len(data) - size))
    return data[:at] + struct.pack(layout, rng.choice(INTERESTING) % (1 << 8 * size)) + data[at + size :]


def set_decimal(data: bytes, rng: random.Random, _: bytes) -> bytes:
    """Put an interesting number in the place of a digit."""
    digits = [at for at, byte in enumerate(data) if 48 <= byte <= 57]
    if not digits:
        return data
    at = rng.choice(digits)
    return data[:at] + str(rng.choice(INTERESTING)).encode() + data[at + 1 :]


def insert(data: bytes, rng: random.Random, _: bytes) -> bytes:
    """Insert a token or random bytes."""
    at = rng.randrange(len(data) + 1)
    added = rng.choice(TOKENS) if rng.random() < 0.5 else rng.randbytes(rng.randrange(1, 20))
    return data[:at] + added + data[at:]


def delete(data: bytes, rng: random.Random, _: bytes) -> bytes:
    start, end = span(data, rng)
    return data[:start] + data[end:]


def repeat(data: bytes, rng: random.Random, _: bytes) -> bytes:
    start, end = span(data, rng)
    return data[:end] + data[start:end] * rng.choice((1, 2, 10, 100)) + data[end:]


def move(data: bytes, rng: random.Random, _: bytes) -> bytes:
    """Copy a part over another."""
    start, end = span(data, rng)
    at = rng.randrange(len(data))
    return data[:at] + data[start:end] + data[at + end - start :]


def splice(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """Go on with the rest of another file."""
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def truncate(data: bytes, rng: random.Random, _: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def blank(data: bytes, rng: random.Random, _: bytes) -> bytes:
    """Fill a part with zeros or ones."""
    start, end = span(data, rng)
    return data[:start] + rng.choice((b"\0", b"\xff")) * (end - start) + data[end:]


MUTATIONS: tuple[Mutation, ...] = (
    *(flip_bit, flip_bit, set_byte, set_number, set_number, set_decimal),
    *(insert, delete, repeat, move, splice, truncate, blank),
)
