"""The segments of a JPEG file, stepped over by their lengths: whether it is whole, and what it would cost."""

import re
import struct
from collections.abc import Iterator

JPEG_SIGNATURE = b"\xff\xd8\xff"
JPEG_END = b"\xff\xd9"
END, START_OF_SCAN = 0xD9, 0xDA
# 64 kB each: a photo with a depth map has some hundred.
MOST_SEGMENTS = 10_000
MOST_STRAY_BYTES = 1 << 16

# Not 0xFF00, a byte of scan data; nor restart markers and fill bytes, which have no length.
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")


def jpeg_is_cut(data: bytes) -> bool:
    """Whether a JPEG lacks its end marker.

    The header's segments are stepped over by their lengths, since an embedded thumbnail has an end marker of
    its own. Scan data never holds one (0xFF is followed by 0x00 there), so the first found behind the scan's
    start is the photo's.
    """
    for marker, position in _segments(data):
        if marker == START_OF_SCAN:
            return not data.endswith(JPEG_END) and data.find(JPEG_END, position) < 0
    return True


def jpeg_lacks_a_segment(data: bytes) -> bool:
    """Whether a segment ends behind the data: it was cut there, whatever stands at the end."""
    ends = (position + 2 + _length(data, position) for _, position in _segments(data))
    return max(ends, default=2) > len(data) - len(JPEG_END)


def jpeg_scans(data: bytes) -> int:
    """How often a decoder goes over the whole picture: once in a plain photo, ten times in a progressive one.

    Where there are more than MOST_SEGMENTS they are not counted: as many as there are bytes.
    """
    scans = 0
    for number, (marker, _) in enumerate(_segments(data), 1):
        if number > MOST_SEGMENTS:
            return len(data)
        scans += marker == START_OF_SCAN
    return scans


def jpeg_is_overgrown(data: bytes) -> bool:
    """Whether its header has more segments or stray bytes than any camera's, which PIL takes minutes for."""
    expected, stray = 2, 0
    for number, (marker, position) in enumerate(_segments(data), 1):
        stray += position - expected
        if number > MOST_SEGMENTS or stray > MOST_STRAY_BYTES:
            return True
        if marker == START_OF_SCAN:
            return False
        expected = position + 2 + _length(data, position)
    return len(data) - expected > MOST_STRAY_BYTES


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Marker and position of each segment, up to the end marker or where the data ends."""
    position = 2
    while (found := _MARKER.search(data, position)) is not None:
        marker, start = data[found.start() + 1], found.start()
        if marker == END or start + 4 > len(data):
            return
        yield marker, start
        position = start + 2 + _length(data, start)


def _length(data: bytes, position: int) -> int:
    (length,) = struct.unpack_from(">H", data, position + 2)
    return int(length)
