"""A PNG with missing rows is told from a whole one, whatever its kind."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from snake_assets.vision.decoding.containers import png_lacks_rows
from snake_assets.vision.decoding.decode import decode
from snake_assets.vision.errors import UnreadablePhoto
from snake_assets_tests.vision.conftest import png


def with_rows(rows: int, height: int = 20, width: int = 9) -> bytes:
    """A well-formed grey PNG whose data holds only some of its rows."""
    return png(width, height, 8, 0, zlib.compress((b"\0" + b"\x80" * width) * rows))


def test_missing_rows_are_seen_and_refused():
    assert not png_lacks_rows(with_rows(20))
    assert (decode(with_rows(20)) == 128).all()
    for rows in (0, 1, 19):
        assert png_lacks_rows(with_rows(rows))
        with pytest.raises(UnreadablePhoto) as caught:
            decode(with_rows(rows))
        assert caught.value.reason == "truncated"


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (17, 9), (64, 33)])
def test_whole_files_of_every_kind_are_whole(mode: str, size: tuple[int, int]):
    encoded = io.BytesIO()
    Image.new(mode, size).save(encoded, "PNG")
    assert not png_lacks_rows(encoded.getvalue())


@pytest.mark.parametrize(("width", "height"), [(1, 1), (8, 8), (5, 3), (17, 9), (2, 30)])
def test_interlaced_files_are_counted_pass_by_pass(width: int, height: int):
    starts = (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    )
    raw = b""
    for left, top, across, down in starts:
        columns, rows = len(range(left, width, across)), len(range(top, height, down))
        raw += (b"\0" + b"\x40" * columns) * rows if columns else b""
    whole, cut = (png(width, height, 8, 0, zlib.compress(rows), True) for rows in (raw, raw[:-1]))
    assert not png_lacks_rows(whole)
    assert np.asarray(Image.open(io.BytesIO(whole))).shape == (height, width)
    assert png_lacks_rows(cut)
