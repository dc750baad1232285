"""Small photos of every kind that is read, drawn here."""

import io
import struct
import zlib

import numpy as np
import pillow_heif
from PIL import Image

from snake_assets_tests.fuzz.target import Seed

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def picture(width: int, height: int) -> Image.Image:
    """A smooth coloured picture without symmetry."""
    coarse = np.random.default_rng(0).integers(20, 236, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """The picture as the bytes of a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif(orientation: int, count: int = 1) -> bytes:
    """EXIF data with an orientation, of which it claims to hold `count`."""
    entry = struct.pack("<HHII", 0x0112, 3, count, orientation)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)


def with_right_checksums(data: bytes) -> bytes:
    """A PNG whose chunks, as far as they can be told, have the checksums of what they hold."""
    mended, position = data[:8], 8
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        body = data[position + 4 : position + 8 + length]
        if len(body) < 4 + length:
            break
        mended += data[position : position + 4] + body + struct.pack(">I", zlib.crc32(body))
        position += 12 + length
    return mended + data[position:]


def photo_seeds() -> list[Seed]:
    """Every format that is read, in its variants."""
    pillow_heif.register_heif_opener()
    rgb = picture(40, 33)
    small, frames = picture(24, 17), [picture(24, 17).rotate(90 * turn) for turn in range(3)]
    wide = Image.fromarray((np.arange(24 * 17).reshape(17, 24) * 160).astype(np.uint16))
    transparent = small.convert("RGBA")
    transparent.putalpha(Image.linear_gradient("L").resize(small.size))
    jpegs = {
        "plain": encoded(rgb, "JPEG", quality=80),
        "progressive": encoded(rgb, "JPEG", quality=80, progressive=True),
        "restarts": encoded(rgb, "JPEG", quality=80, restart_marker_blocks=2),
        "grey": encoded(rgb.convert("L"), "JPEG"),
        "cmyk": encoded(rgb.convert("CMYK"), "JPEG"),
        "exif": encoded(rgb, "JPEG", exif=exif(6), icc_profile=b"no profile" * 9),
        "mpo": encoded(rgb, "MPO", save_all=True, append_images=[small]),
    }
    pngs = {
        "rgb": encoded(small, "PNG"),
        "palette": encoded(small.convert("P"), "PNG", transparency=3),
        "bits": encoded(small.convert("1"), "PNG"),
        "wide": encoded(wide, "PNG"),
        "transparent": encoded(transparent, "PNG", exif=exif(5)[6:]),
        "animated": encoded(frames[0], "PNG", save_all=True, append_images=frames[1:]),
    }
    others = {
        "gif": encoded(small, "GIF", comment=b"a"),
        "animated gif": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "webp": encoded(small, "WEBP"),
        "lossless webp": encoded(transparent, "WEBP", lossless=True, exif=exif(3)),
        "animated webp": encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:]),
        "tiff": encoded(small, "TIFF"),
        "packed tiff": encoded(small, "TIFF", compression="tiff_lzw"),
        "deflated tiff": encoded(transparent, "TIFF", compression="tiff_adobe_deflate"),
        "float tiff": encoded(
            Image.fromarray(np.linspace(0, 1, 408, dtype=np.float32).reshape(17, 24)), "TIFF"
        ),
        "bmp": encoded(small, "BMP"),
        "palette bmp": encoded(small.convert("P"), "BMP"),
        "heic": encoded(small, "HEIF"),
        "avif": encoded(transparent, "AVIF", exif=exif(6)[6:]),
        "jpeg 2000": encoded(small, "JPEG2000"),
        "codestream": encoded(small, "JPEG2000", no_jp2=True, tile_size=(8, 8)),
    }
    return [
        *(Seed(name, data) for name, data in (jpegs | others).items()),
        *(Seed(f"png {name}", data, with_right_checksums) for name, data in pngs.items()),
    ]
