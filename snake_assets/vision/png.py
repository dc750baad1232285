"""Whether a PNG file holds all its rows: PIL leaves the missing ones black without a word."""

import struct
import zlib

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


def _image_data(data: bytes) -> bytes:
    parts, position = [], 8
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"IDAT":
            parts.append(data[position + 8 : position + 8 + length])
        position += 12 + length
    return b"".join(parts)


def _inflated_size(compressed: bytes, enough: int) -> int:
    """Bytes that a zlib stream inflates to, as far as they are needed; never more than a piece is held."""
    stream, size, rest = zlib.decompressobj(), 0, compressed
    while size < enough and not stream.eof:
        piece = stream.decompress(rest, _PIECE)
        if not piece and not stream.unconsumed_tail:
            break
        size, rest = size + len(piece), stream.unconsumed_tail
    return size
