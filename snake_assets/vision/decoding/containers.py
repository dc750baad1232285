"""How the file of a photo is built: whether it is whole, holds all its rows, and what it would cost to read.

Nothing is decoded here. JPEG goes by segments (ITU-T T.81, annex B), PNG by chunks, HEIC, AVIF and JPEG 2000
by boxes (ISO/IEC 14496-12, 4.2).
"""

import re
import struct
import zlib
from collections.abc import Iterator

from snake_assets.vision.errors import UnreadablePhoto

MAX_PIXELS = 120_000_000
"""Largest photo that is decoded, in pixels: 360 MB of RGB, and 0.9 GB on the way there, of WEBP 1.8."""


def refuse_too_large(width: int, height: int) -> None:
    """Raise UnreadablePhoto for sides, in pixels, of more than MAX_PIXELS together."""
    if width * height > MAX_PIXELS:
        raise UnreadablePhoto(
            "too_large", f"{width} x {height} pixels are more than the {MAX_PIXELS:,} that are decoded."
        )


# A block of a GIF may have one byte, and PIL takes a microsecond for each.
MAX_GIF_BYTES = 32 << 20


def is_cut(data: bytes) -> bool:
    """Whether the file's own structure runs past its last byte; False for formats without one."""
    if data.startswith(JPEG_SIGNATURE):
        return jpeg_is_cut(data)
    if data.startswith(PNG_SIGNATURE):
        return png_is_cut(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        (announced,) = struct.unpack_from("<I", data, 4)
        return bool(len(data) < announced + 8)
    return boxes_are_cut(data)


def is_overgrown(data: bytes) -> bool:
    """Whether there is no end to its header, over which PIL would go."""
    return (
        (data.startswith(JPEG_SIGNATURE) and jpeg_is_overgrown(data))
        or (data.startswith(PNG_SIGNATURE) and png_is_overgrown(data))
        or (data.startswith(b"GIF8") and len(data) > MAX_GIF_BYTES)
        or boxes_are_overgrown(data)
    )


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


PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Of 8 kB each, as libpng writes them, 800 MB.
MOST_CHUNKS = 100_000

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Start column, start row, column step, row step of each pass (PNG specification, 8.2: Adam7).
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PNG_PIECE = 1 << 20


def png_lacks_rows(data: bytes) -> bool:
    """Whether the image data of a PNG file inflates to less than its header promises.

    What cannot be inflated at all is left to the decoder to refuse: False.
    """
    (width, height, depth, colour, _, _, interlaced) = struct.unpack_from(">IIBBBBB", data, 16)
    if colour not in _CHANNELS:
        return False
    bits = depth * _CHANNELS[colour]
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    promised = 0
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            promised += rows * (1 + (columns * bits + 7) // 8)
    try:
        return _inflated_size(_image_data(data), promised) < promised
    except zlib.error:
        return False


def png_is_cut(data: bytes) -> bool:
    """Whether a PNG file ends before its last chunk (IEND) does."""
    for kind, _, end in _chunks(data):
        if kind == b"IEND":
            return end > len(data)
    return True


def png_is_overgrown(data: bytes) -> bool:
    """Whether it has more chunks than any encoder writes, which PIL takes minutes for."""
    return any(number > MOST_CHUNKS for number, _ in enumerate(_chunks(data), 1))


def _image_data(data: bytes) -> bytes:
    return b"".join(data[start : end - 4] for kind, start, end in _chunks(data) if kind == b"IDAT")


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind of each chunk, where its content starts, and where the chunk ends, perhaps behind the data."""
    position = len(PNG_SIGNATURE)
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        yield kind, position + 8, position + 12 + length
        position += 12 + length


def _inflated_size(compressed: bytes, enough: int) -> int:
    """Bytes that a zlib stream inflates to, as far as they are needed; never more than a piece is held."""
    stream, size, rest = zlib.decompressobj(), 0, compressed
    while size < enough and not stream.eof:
        piece = stream.decompress(rest, _PNG_PIECE)
        if not piece and not stream.unconsumed_tail:
            break
        size, rest = size + len(piece), stream.unconsumed_tail
    return size


JP2_SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
JPEG2000_SIGNATURE = b"\xff\x4f\xff\x51"
JPEG2000_END = b"\xff\xd9"
# A file has five or so; PIL takes microseconds for each, and for those within the header of a JP2.
MOST_BOXES = 10_000
MOST_JP2_HEADER_BYTES = 1 << 20


def is_heif(data: bytes) -> bool:
    """Whether it is HEIC, or another HEIF that is not AVIF; by the brands of its first box."""
    if data[4:8] != b"ftyp":
        return False
    (size,) = struct.unpack_from(">I", data)
    brands = data[8 : min(size, 256)]
    return b"avi" not in brands and any(brand in brands for brand in (b"hei", b"hev", b"mif1", b"msf1"))


def boxes_are_cut(data: bytes) -> bool:
    """Whether the last box runs past the last byte, or a JPEG 2000 lacks its end marker; False for others."""
    if data.startswith(JPEG2000_SIGNATURE):
        return not data.rstrip(b"\0").endswith(JPEG2000_END)
    if not (data.startswith(JP2_SIGNATURE) or data[4:8] == b"ftyp"):
        return False
    kinds = set()
    for kind, _, end in _boxes(data):
        if end > len(data):
            return True
        kinds.add(kind)
    # Cut between two boxes, it has no picture: that lies in one of these.
    return kinds.isdisjoint((b"mdat", b"jp2c", b"idat", b"meta")) or kinds == {b"ftyp", b"meta"}


def boxes_are_overgrown(data: bytes) -> bool:
    """Whether a JPEG 2000 has more boxes, or a larger header, than any encoder writes."""
    return data.startswith(JP2_SIGNATURE) and any(
        number > MOST_BOXES or (kind == b"jp2h" and end - start > MOST_JP2_HEADER_BYTES)
        for number, (kind, start, end) in enumerate(_boxes(data), 1)
    )


def _boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind of each box, where it starts, and where it ends, perhaps behind the data."""
    position = 0
    while position + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        if size == 1 and position + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, position + 8)
        # 0: up to the end of the file. Less than its own header is damage, which the decoder tells.
        end = len(data) if size < 8 else position + size
        yield kind, position, end
        position = end
