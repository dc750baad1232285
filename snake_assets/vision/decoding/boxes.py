"""The boxes of a HEIC, AVIF or JPEG 2000 file (ISO/IEC 14496-12, 4.2): whether it is whole."""

import struct
from collections.abc import Iterator

JP2_SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
JPEG2000_SIGNATURE = b"\xff\x4f\xff\x51"
JPEG2000_END = b"\xff\xd9"
# A file has five or so; PIL takes microseconds for each, and for those within the header of a JP2.
MOST_BOXES = 10_000
MOST_HEADER_BYTES = 1 << 20


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
        number > MOST_BOXES or (kind == b"jp2h" and end - start > MOST_HEADER_BYTES)
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
