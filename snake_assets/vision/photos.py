"""From the bytes of a photo to its pixels, or to the reason why there are none.

`probe` is the cheap look at ingest; `decode` gives the pixels. Whatever the bytes are, the only exception
that leaves this module is `UnreadablePhoto`, so that one bad file never takes its batch along.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from snake_assets.vision.decoding_bytes import decoding_bytes
from snake_assets.vision.errors import MemoryCeilingError
from snake_assets.vision.jpeg import (
    JPEG_SIGNATURE,
    jpeg_is_cut,
    jpeg_is_overgrown,
    jpeg_lacks_a_segment,
    jpeg_scans,
)
from snake_assets.vision.png import PNG_SIGNATURE, png_is_cut, png_is_overgrown, png_lacks_rows
from snake_assets.vision.room import Take, unbounded

MAX_PIXELS = 120_000_000
"""Largest photo that is decoded, in pixels: 360 MB of RGB, and 0.9 GB on the way there, of WEBP 1.8."""

# A progressive photo has ten scans or so. 400 kB can hold thousands, each of which takes as long as a photo.
MAX_SCANNED_PIXELS = 10 * MAX_PIXELS
_PIXELS_A_SCAN_IS_WORTH = 10_000
# A block of a GIF may have one byte, and PIL takes a microsecond for each.
MAX_GIF_BYTES = 32 << 20

Reason = Literal["missing", "empty", "truncated", "not_an_image", "too_large"]
"""Why a photo has no pixels.

`missing`: there is no file (said by whoever looks for it); `empty`: no bytes; `not_an_image`: none of the
formats read here; `too_large`: more than `MAX_PIXELS`, or built so that it would take as long; `truncated`: a
photo whose data is cut short or too damaged to read.
"""

# Named from the plugins, which registers them: Image.open never gets to try any other parser (EPS, PSD, FITS,
# ...). Two photos in one file (MPO) open as JPEG.
_FORMATS = (
    JpegImagePlugin.JpegImageFile.format,
    PngImagePlugin.PngImageFile.format,
    WebPImagePlugin.WebPImageFile.format,
    GifImagePlugin.GifImageFile.format,
    BmpImagePlugin.BmpImageFile.format,
    TiffImagePlugin.TiffImageFile.format,
)

# libjpeg's words for "the data ended and I invented the rest", the second where the cut met a restart marker.
_CUT_JPEG = ("premature end", "found marker 0xd9 instead of rst")

# What libjpeg paints where it has no data: DCT coefficients of zero.
_MISSING_GREY = 128

_JPEG_SCALES = (8, 4, 2)

# Of what PIL decoded, this much at a time is brought to RGB.
_PIECE_PIXELS = 4_000_000


class UnreadablePhoto(Exception):
    """A photo that cannot be read: `reason` for a table's column, `detail` a sentence for a person."""

    def __init__(self, reason: Reason, detail: str) -> None:
        """Keep both parts; the message is the detail."""
        super().__init__(detail)
        self.reason: Reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[UnreadablePhoto], tuple[Reason, str]]:
        """Rebuild from both parts: the error crosses process borders by pickle."""
        return type(self), (self.reason, self.detail)


@dataclass(frozen=True)
class PhotoHeader:
    """What a photo says of itself.

    `width` and `height` are those of the pixels as the file stores them, before any EXIF rotation: a phone
    photo held upright may say 4032 x 3024 here and come out of `decode` as 4032 high and 3024 wide. `format`
    is PIL's name for what the bytes are (JPEG, MPO, PNG, WEBP, GIF, BMP, TIFF), whatever the file's extension
    claims.
    """

    width: int
    height: int
    format: str


def probe(data: bytes) -> PhotoHeader:
    """Read the header and check that the file is whole, without decoding pixels (30 µs for a JPEG).

    A file that passes may still fail in `decode`: damage inside the compressed data shows only there.

    Raises:
        UnreadablePhoto: "empty", "not_an_image", "too_large", or "truncated" where a JPEG has no end marker
            after its scan data, a PNG no IEND chunk, or a WEBP fewer bytes than it announces. Bytes after the
            end are fine.
    """
    with _identified(data) as image:
        width, height = image.size
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            # For TIFF alone PIL answers with the size after rotation.
            width = int(image.tag_v2[TiffImagePlugin.IMAGEWIDTH])
            height = int(image.tag_v2[TiffImagePlugin.IMAGELENGTH])
        header = PhotoHeader(width, height, str(image.format))
    if _is_cut(data):
        raise UnreadablePhoto("truncated", f"The {header.format} data ends before the picture does.")
    return header


def decode(data: bytes, *, at_least: int | None = None, take: Take = unbounded) -> NDArray[np.uint8]:
    """Decode a photo to upright RGB: uint8 [H, W, 3], writable and contiguous.

    EXIF orientation is applied. Transparent pixels are laid over white, so that what was invisible stays so.
    16-bit grey keeps its high byte, as PIL does for 16-bit colour; 32-bit and float grey, which have no
    agreed white, are stretched from their own minimum to their own maximum. CMYK is converted without a
    colour profile, as browsers' fallback and PIL do; colour profiles are ignored. Of an animation the first
    frame is read.

    Args:
        data: the file's bytes.
        at_least: the shortest side, in pixels, that the caller needs. A JPEG whose sides divide evenly may
            then be decoded at 1/2, 1/4 or 1/8 of its size, so long as its shortest side stays at `at_least`
            or above: a quarter faster to decode and far less to resize. Other formats, uneven sizes and
            damaged JPEGs come at full size. None: always full size.
        take: told how many bytes the photo takes, with its resizing, before it does; may wait, or refuse.

    Raises:
        UnreadablePhoto: for any bytes that give no whole picture; never another exception, but what `take`
            raises. A JPEG whose data
            runs out is "truncated" even if an end marker was put behind the cut. Damage that leaves the
            picture whole (stray bytes between markers, a broken code word) is let through, as other readers
            do.
    """
    with _identified(data) as image:
        try:
            if data.startswith(JPEG_SIGNATURE):
                pixels = _jpeg_pixels(data, image, at_least, take)
            else:
                if image.format == "PNG" and png_lacks_rows(data):
                    raise UnreadablePhoto("truncated", "The PNG data ends before the picture does.")
                take(decoding_bytes(data, image))
                pixels = _pil_pixels(image)
            # After the pixels: PNG may keep its EXIF behind them, and TIFF comes already turned.
            return np.ascontiguousarray(_upright(pixels, _orientation(image)))
        except (UnreadablePhoto, MemoryCeilingError):
            raise
        except Exception as error:  # PIL's parsers raise nearly anything on damaged bytes
            raise UnreadablePhoto(
                "truncated", f"The {image.format} data is cut short or damaged: {error}"
            ) from error


def _identified(data: bytes) -> Image.Image:
    """Open a photo of an allowed format and size; no pixel is decoded yet."""
    if not data:
        raise UnreadablePhoto("empty", "The file has no bytes.")
    _refuse_overgrown(data)
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadablePhoto(
            "too_large", f"More than {MAX_PIXELS:,} pixels are not decoded: {error}"
        ) from error
    except Exception as error:  # PIL's parsers raise nearly anything on damaged bytes
        if _is_cut(data):
            raise UnreadablePhoto("truncated", "The data ends within the header.") from error
        raise UnreadablePhoto(
            "not_an_image", "The bytes are no JPEG, PNG, WEBP, GIF, BMP or TIFF that can be opened."
        ) from error
    _refuse_too_large(*image.size)
    return image


def _refuse_too_large(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise UnreadablePhoto(
            "too_large", f"{width} x {height} pixels are more than the {MAX_PIXELS:,} that are decoded."
        )


def _refuse_overgrown(data: bytes) -> None:
    """Before PIL goes over the header of a file in which there is no end to it."""
    if (
        (data.startswith(JPEG_SIGNATURE) and jpeg_is_overgrown(data))
        or (data.startswith(PNG_SIGNATURE) and png_is_overgrown(data))
        or (data.startswith(b"GIF8") and len(data) > MAX_GIF_BYTES)
    ):
        raise UnreadablePhoto("too_large", "The file has more parts than a photo has.")


def _refuse_too_many_scans(data: bytes, width: int, height: int) -> None:
    if jpeg_scans(data) * (width * height + _PIXELS_A_SCAN_IS_WORTH) > MAX_SCANNED_PIXELS:
        raise UnreadablePhoto(
            "too_large",
            f"The JPEG data goes over {width} x {height} pixels more often than any photo's does.",
        )


def _is_cut(data: bytes) -> bool:
    """Whether the file's own structure (JPEG, PNG, WEBP) runs past its last byte; else False."""
    if data.startswith(JPEG_SIGNATURE):
        return jpeg_is_cut(data)
    if data.startswith(PNG_SIGNATURE):
        return png_is_cut(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        (announced,) = struct.unpack_from("<I", data, 4)
        return bool(len(data) < announced + 8)
    return False


def _jpeg_pixels(data: bytes, image: Image.Image, at_least: int | None, take: Take) -> NDArray[np.uint8]:
    """Decode by libjpeg-turbo without the GIL, as stored; by PIL what simplejpeg refuses for its colours."""
    _refuse_too_many_scans(data, *image.size)
    width, height = image.size
    take(decoding_bytes(data, image, _jpeg_scale(height, width, at_least)))
    if image.mode == "CMYK":
        # PIL knows the inverted CMYK of Adobe, but not that data ran out: let the strict decoder pass over it
        # first.
        _strict_jpeg(data, "CMYK", at_least=1)
        return _pil_pixels(image)
    pixels = _strict_jpeg(data, "RGB", at_least)
    if pixels is not None:
        return pixels
    # libjpeg found something odd and reports only the first oddity, behind which the data may still have run
    # out.
    if jpeg_is_cut(data) or jpeg_lacks_a_segment(data):
        raise UnreadablePhoto("truncated", "The JPEG data ends before the picture does.")
    take(decoding_bytes(data, image))
    try:
        pixels = simplejpeg.decode_jpeg(data, "RGB", strict=False)
    except ValueError:
        pixels = _pil_pixels(image)
    if (pixels[-8:, -8:] == _MISSING_GREY).all():
        raise UnreadablePhoto("truncated", "The JPEG data is damaged and the end of the picture is missing.")
    return pixels


def _strict_jpeg(data: bytes, colours: str, at_least: int | None) -> NDArray[np.uint8] | None:
    """Decode, smaller where `at_least` allows; None where libjpeg complains of anything but a cut."""
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data, strict=False)
        # Asked again: on damaged files PIL and libjpeg may read different sizes.
        _refuse_too_large(int(width), int(height))
        scale = _jpeg_scale(int(height), int(width), at_least)
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data,
            colours,
            min_height=int(height) // scale,
            min_width=int(width) // scale,
        )
        return pixels
    except ValueError as error:
        if any(words in str(error).lower() for words in _CUT_JPEG):
            raise UnreadablePhoto(
                "truncated", f"The JPEG data ends before the picture does: {error}"
            ) from error
        return None


def _jpeg_scale(height: int, width: int, at_least: int | None) -> int:
    """The largest divisor to decode by.

    Only divisors without a rest: libjpeg rounds sizes up, which would stretch the picture by a part of a
    pixel, and that moves an embedding ten times as far as the scaling itself (measured: cosine 0.994 against
    0.9995).
    """
    if at_least is None:
        return 1
    fitting = (
        s for s in _JPEG_SCALES if height % s == width % s == 0 and min(height, width) // s >= at_least
    )
    return next(fitting, 1)


def _pil_pixels(image: Image.Image) -> NDArray[np.uint8]:
    """Decode what PIL opened (the first frame), as stored, and bring its mode to RGB.

    Piece by piece: at once, a photo of MAX_PIXELS takes 3 GB on its way from one mode to the next.
    """
    image.load()
    width, height = image.size
    rows = max(1, _PIECE_PIXELS // width)
    tops = range(0, height, rows)

    def piece(top: int) -> Image.Image:
        return image.crop((0, top, width, min(top + rows, height)))

    to_rgb: Callable[[Image.Image], NDArray[np.uint8]] = _rgb
    if image.mode in ("I", "F"):
        ends = [(float(values.min()), float(values.max())) for values in map(_values, map(piece, tops))]
        to_rgb = partial(_stretched, low=min(low for low, _ in ends), high=max(high for _, high in ends))
    pixels = np.empty((height, width, 3), dtype=np.uint8)
    for top in tops:
        pixels[top : top + rows] = to_rgb(piece(top))
    return pixels


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith("I;16"):
        return _grey_to_rgb((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.asarray(image.convert("RGB"))


def _values(image: Image.Image) -> NDArray[np.float64]:
    return np.nan_to_num(np.asarray(image, dtype=np.float64))


def _stretched(image: Image.Image, low: float, high: float) -> NDArray[np.uint8]:
    stretch = 255.0 / (high - low) if high > low else 0.0
    return _grey_to_rgb(np.rint((_values(image) - low) * stretch).astype(np.uint8))


def _grey_to_rgb(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(grey[:, :, np.newaxis], 3, axis=2)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # broken EXIF is no reason to lose a photo: it is shown as stored
        return 1


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo an EXIF orientation (Exif 2.32, tag 0x0112: 1 to 8); other values change nothing."""
    turned = pixels.transpose(1, 0, 2) if orientation in (5, 6, 7, 8) else pixels
    if orientation in (3, 4, 7, 8):
        turned = turned[::-1]
    if orientation in (2, 3, 6, 7):
        turned = turned[:, ::-1]
    return turned
