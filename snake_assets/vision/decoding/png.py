"""The chunks of a PNG file: whether it is whole, and holds all its rows; PIL leaves missing ones black."""

import struct
import zlib
from collections.abc import Iterator

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Of 8 kB each, as libpng writes them, 800 MB.
MOST_CHUNKS = 100_000

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Start column, start row, column step, row step of each pass (PNG specification, 8.2: Adam7).
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PIECE = 1 << 20


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
        piece = stream.decompress(rest, _PIECE)
        if not piece and not stream.unconsumed_tail:
            break
        size, rest = size + len(piece), stream.unconsumed_tail
    return size
