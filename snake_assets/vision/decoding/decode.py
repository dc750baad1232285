"""From the bytes of a photo to its pixels, or to the reason why there are none.

`probe` is the cheap look at ingest; `decode` gives the pixels. Whatever the bytes are, the only exception
that leaves this module is `UnreadablePhoto`, so that one bad file never takes its batch along.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from snake_assets.vision.decoding.containers import (
    JPEG_SIGNATURE,
    MAX_PIXELS,
    boxes_are_cut,
    is_cut,
    is_heif,
    is_overgrown,
    png_lacks_rows,
    refuse_too_large,
)
from snake_assets.vision.decoding.decoders import jpeg_pixels, pil_pixels
from snake_assets.vision.errors import UnreadablePhoto

# Named from the plugins, which registers them: Image.open never gets to try any other parser (EPS, PSD, FITS,
# ...). Two photos in one file (MPO) open as JPEG.
_FORMATS = (
    JpegImagePlugin.JpegImageFile.format,
    PngImagePlugin.PngImageFile.format,
    WebPImagePlugin.WebPImageFile.format,
    GifImagePlugin.GifImageFile.format,
    BmpImagePlugin.BmpImageFile.format,
    TiffImagePlugin.TiffImageFile.format,
    AvifImagePlugin.AvifImageFile.format,
    Jpeg2KImagePlugin.Jpeg2KImageFile.format,
)
_JXL_SIGNATURES = (b"\xff\x0a", b"\0\0\0\x0cJXL ")


@dataclass(frozen=True)
class PhotoHeader:
    """What a photo says of itself.

    `width` and `height` are those of the pixels as the file stores them, before any EXIF rotation: a phone
    photo held upright may say 4032 x 3024 here and come out of `decode` as 4032 high and 3024 wide. `format`
    is PIL's name for what the bytes are (JPEG, MPO, PNG, WEBP, GIF, BMP, TIFF, HEIF, AVIF, JPEG2000),
    whatever the file's extension claims. HEIF alone tells its size after rotation.
    """

    width: int
    height: int
    format: str


def probe(data: bytes) -> PhotoHeader:
    """Read the header and check that the file is whole, without decoding pixels (30 µs for a JPEG).

    A file that passes may still fail in `decode`: damage inside the compressed data shows only there.

    Raises:
        UnreadablePhoto: "empty", "not_an_image", "too_large", or "truncated" where a JPEG has no end marker
            after its scan data, a PNG no IEND chunk, or a WEBP, HEIF, AVIF or JPEG 2000 fewer bytes than it
            announces. Bytes after the end are fine.
    """
    with _identified(data) as image:
        width, height = image.size
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            # For TIFF alone PIL answers with the size after rotation.
            width = int(image.tag_v2[TiffImagePlugin.IMAGEWIDTH])
            height = int(image.tag_v2[TiffImagePlugin.IMAGELENGTH])
        header = PhotoHeader(width, height, str(image.format))
    if is_cut(data):
        raise UnreadablePhoto("truncated", f"The {header.format} data ends before the picture does.")
    return header


def decode(data: bytes, *, at_least: int | None = None) -> NDArray[np.uint8]:
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

    Raises:
        UnreadablePhoto: for any bytes that give no whole picture; never another exception. A JPEG whose data
            runs out is "truncated" even if an end marker was put behind the cut. Damage that leaves the
            picture whole (stray bytes between markers, a broken code word) is let through, as other readers
            do.
    """
    with _identified(data) as image:
        try:
            if data.startswith(JPEG_SIGNATURE):
                pixels = jpeg_pixels(data, image, at_least)
            else:
                if image.format == "PNG" and png_lacks_rows(data):
                    raise UnreadablePhoto("truncated", "The PNG data ends before the picture does.")
                if boxes_are_cut(data):
                    raise UnreadablePhoto(
                        "truncated", f"The {image.format} data ends before the picture does."
                    )
                pixels = pil_pixels(image)
            # After the pixels: PNG may keep its EXIF behind them, and TIFF comes already turned.
            return np.ascontiguousarray(_upright(pixels, _orientation(image)))
        except UnreadablePhoto:
            raise
        except Exception as error:  # PIL's parsers raise nearly anything on damaged bytes
            raise UnreadablePhoto(
                "truncated", f"The {image.format} data is cut short or damaged: {error}"
            ) from error


def _identified(data: bytes) -> Image.Image:
    """Open a photo of an allowed format and size; no pixel is decoded yet."""
    if not data:
        raise UnreadablePhoto("empty", "The file has no bytes.")
    if is_overgrown(data):
        raise UnreadablePhoto("too_large", "The file has more parts than a photo has.")
    formats = _formats(data)
    try:
        image = Image.open(io.BytesIO(data), formats=formats)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadablePhoto(
            "too_large", f"More than {MAX_PIXELS:,} pixels are not decoded: {error}"
        ) from error
    except Exception as error:  # PIL's parsers raise nearly anything on damaged bytes
        if is_cut(data):
            raise UnreadablePhoto("truncated", "The data ends within the header.") from error
        raise UnreadablePhoto("not_an_image", _what_it_is(data)) from error
    refuse_too_large(*image.size)
    return image


def _formats(data: bytes) -> tuple[str, ...]:
    """What PIL may take the bytes for."""
    if not is_heif(data):
        return _FORMATS
    # Here, since it takes longer to import than a photo to decode, few sets have any, and its licence is one
    # that somebody may do without (docs/licences.md).
    try:
        import pillow_heif
    except ImportError as error:
        raise UnreadablePhoto(
            "not_an_image", "The file is HEIC, and pillow-heif, which reads it, is not installed: install it."
        ) from error
    pillow_heif.register_heif_opener()
    return (str(pillow_heif.HeifImageFile.format),)


def _what_it_is(data: bytes) -> str:
    """A sentence on bytes that are no photo, by what they are where that can be told."""
    start = data[:512].lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        return "The file is a Git LFS pointer, not the photo: run `git lfs pull` where it was cloned."
    if b"/annex/objects/" in start:
        return "The file is a git-annex pointer, not the photo: run `git annex get` where it was cloned."
    if start.startswith((b"<!doctype html", b"<html")):
        return "The file is a page of HTML, such as a site sends for want of the photo: fetch it again."
    if start.startswith(b"%pdf-"):
        return "The file is a PDF: save its picture as JPEG or PNG."
    if data.startswith(_JXL_SIGNATURES):
        return "The file is JPEG XL, which is not read: convert it to JPEG, PNG or WEBP."
    return "The bytes are no JPEG, PNG, WEBP, GIF, BMP, TIFF, HEIC, AVIF or JPEG 2000 that can be opened."


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
