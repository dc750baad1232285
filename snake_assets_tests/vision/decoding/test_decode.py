"""Every kind of file in, pixels or a reason out."""

from __future__ import annotations

import io
import pickle
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from snake_assets.vision.decoding.containers import MAX_PIXELS
from snake_assets.vision.decoding.decode import PhotoHeader, decode, probe
from snake_assets.vision.errors import UnreadablePhoto
from snake_assets_tests.vision.conftest import SHARED, encode, mean_difference, needs_real, picture

# What PIL says about damaged files on the way to an error is not under test.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")

END = b"\xff\xd9"
PHOTO = picture(97, 61)
PIXELS = np.asarray(PHOTO)
JPEG_VARIANTS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "full chroma": {"subsampling": 0},
    "restart markers": {"restart_marker_rows": 1},
    "optimized": {"optimize": True},
}


def reason_of(call, data: bytes) -> str:
    with pytest.raises(UnreadablePhoto) as caught:
        call(data)
    assert caught.value.detail.endswith((".", "!")) or len(caught.value.detail) > 20
    return caught.value.reason


class TestFormats:
    @pytest.mark.parametrize("options", JPEG_VARIANTS.values(), ids=JPEG_VARIANTS.keys())
    def test_jpeg_decodes_as_pil_does(self, options):
        data = encode(PHOTO, quality=92, **options)
        assert probe(data) == PhotoHeader(97, 61, "JPEG")
        with Image.open(io.BytesIO(data)) as image:
            np.testing.assert_array_equal(decode(data), np.asarray(image.convert("RGB")))

    @pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
    def test_lossless_formats_keep_every_pixel(self, kind):
        data = encode(PHOTO, kind, **({"lossless": True} if kind == "WEBP" else {}))
        assert probe(data) == PhotoHeader(97, 61, kind)
        np.testing.assert_array_equal(decode(data), PIXELS)

    @pytest.mark.parametrize("kind", ["HEIF", "AVIF", "JPEG2000"])
    @pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
    def test_formats_of_phones_and_scanners(self, kind, mode):
        data = encode(PHOTO.convert(mode), kind)
        assert probe(data) == PhotoHeader(97, 61, kind)
        expected = np.asarray(PHOTO.convert("L").convert("RGB")) if mode == "L" else PIXELS
        assert mean_difference(decode(data), expected) < 4

    def test_heic_without_its_reader_says_what_to_install(self, monkeypatch):
        data = encode(PHOTO, "HEIF")
        monkeypatch.setitem(sys.modules, "pillow_heif", None)
        with pytest.raises(UnreadablePhoto, match="pillow-heif, which reads it, is not installed"):
            probe(data)

    def test_heic_from_a_phone_held_upright(self):
        upright = PHOTO.copy()
        upright.getexif()[0x0112] = 6
        assert decode(encode(upright, "HEIF")).shape == (97, 61, 3)

    def test_result_is_writable_and_contiguous(self):
        exif = Image.Exif()
        exif[0x0112] = 6
        for data in (encode(PHOTO), encode(PHOTO, "PNG"), encode(PHOTO, exif=exif)):
            pixels = decode(data)
            assert pixels.dtype == np.uint8
            assert pixels.flags.c_contiguous
            pixels[0, 0] = 0

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF"])
    def test_grey(self, kind):
        grey = PHOTO.convert("L")
        pixels = decode(encode(grey, kind))
        assert pixels.shape == (61, 97, 3)
        assert (np.ptp(pixels, axis=2) <= (1 if kind == "WEBP" else 0)).all()
        assert mean_difference(pixels[:, :, 1], np.asarray(grey)) < 2

    @pytest.mark.parametrize("kind", ["PNG", "TIFF", "GIF", "BMP"])
    def test_bilevel(self, kind):
        black_and_white = PHOTO.convert("1")
        np.testing.assert_array_equal(
            decode(encode(black_and_white, kind)), np.asarray(black_and_white.convert("RGB"))
        )

    @pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "TIFF"])
    def test_palette(self, kind):
        palette = PHOTO.convert("P", palette=Image.Palette.ADAPTIVE, colors=64)
        np.testing.assert_array_equal(decode(encode(palette, kind)), np.asarray(palette.convert("RGB")))

    @pytest.mark.parametrize("kind", ["PNG", "TIFF"])
    def test_sixteen_bit_grey_keeps_its_high_byte(self, kind):
        wide = np.linspace(0, 65535, 61 * 97).reshape(61, 97).astype(np.uint16)
        expected = (wide >> 8).astype(np.uint8)
        np.testing.assert_array_equal(decode(encode(Image.fromarray(wide), kind))[:, :, 0], expected)

    def test_sixteen_bit_colour_png(self):
        rows = b"".join(b"\x00" + b"\x12\x99\x34\x99\x56\x99" * 3 for _ in range(2))
        data = png(3, 2, bits=16, colour=2, body=zlib.compress(rows))
        np.testing.assert_array_equal(decode(data), np.full((2, 3, 3), (0x12, 0x34, 0x56)))

    @pytest.mark.parametrize("dtype", [np.int32, np.float32])
    def test_wide_grey_is_stretched(self, dtype):
        values = np.linspace(-3, 1000, 6).reshape(2, 3).astype(dtype)
        pixels = decode(encode(Image.fromarray(values), "TIFF"))
        assert pixels[0, 0].tolist() == [0, 0, 0]
        assert pixels[1, 2].tolist() == [255, 255, 255]
        assert decode(encode(Image.fromarray(np.full((2, 2), 7, dtype)), "TIFF")).max() == 0

    @pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
    def test_transparent_pixels_become_white(self, kind):
        seen = PHOTO.copy()
        seen.putalpha(Image.linear_gradient("L").resize(PHOTO.size))
        pixels = decode(encode(seen, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {})))
        assert (pixels[0] >= 253).all()
        assert mean_difference(pixels[-1], PIXELS[-1]) < 3

    def test_transparency_of_grey_palette_and_colour_key(self):
        grey_alpha = PHOTO.convert("LA")
        grey_alpha.putalpha(0)
        assert (decode(encode(grey_alpha, "PNG")) == 255).all()
        palette = Image.new("P", (4, 3), 1)
        palette.putpalette([9, 9, 9, 200, 10, 20])
        assert (decode(encode(palette, "PNG", transparency=1)) == 255).all()
        assert (decode(encode(palette, "GIF", transparency=1)) == 255).all()
        assert decode(encode(palette, "PNG", transparency=0))[0, 0].tolist() == [200, 10, 20]
        assert (
            decode(encode(Image.new("RGB", (4, 3), (1, 2, 3)), "PNG", transparency=(1, 2, 3))) == 255
        ).all()

    @pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
    def test_cmyk(self, kind):
        data = encode(PHOTO.convert("CMYK"), kind)
        assert probe(data).format == kind
        assert mean_difference(decode(data), PIXELS) < 3

    def test_ycbcr_and_lab_tiff(self):
        for mode in ("YCbCr", "LAB"):
            converted = PHOTO.convert("YCbCr") if mode == "YCbCr" else PHOTO.convert("LAB")
            assert mean_difference(decode(encode(converted, "TIFF")), PIXELS) < 4


class TestOrientation:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
    def test_stored_in_any_orientation_comes_out_upright(self, kind, orientation):
        undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Image.Transpose that stores an upright picture so
        stored = PHOTO.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else PHOTO
        exif = Image.Exif()
        exif[0x0112] = orientation
        options = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
        data = encode(stored, kind, exif=exif, **options)
        assert probe(data) == PhotoHeader(*stored.size, kind)
        pixels = decode(data)
        assert pixels.shape == PIXELS.shape
        assert mean_difference(pixels, PIXELS) < (2 if kind == "JPEG" else 0.01)

    def test_scaled_decode_turns_too(self):
        exif = Image.Exif()
        exif[0x0112] = 6
        data = encode(picture(400, 200), exif=exif)
        assert decode(data, at_least=100).shape == (200, 100, 3)


class TestUnreadable:
    def test_empty(self):
        assert reason_of(probe, b"") == reason_of(decode, b"") == "empty"

    @pytest.mark.parametrize(
        "data",
        [
            b"<html><body>404 Not Found</body></html>",
            b"\x00" * 4096,
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF",
            b"P6 2 2 255 " + bytes(12),
            b"8BPS\x00\x01" + bytes(40),
            b"\xff\xd8\xff",
            b"\x89PNG\r\n\x1a\nhello, this is no chunk",
            b"BM",
        ],
        ids=["html", "zeros", "eps", "ppm", "psd", "jpeg signature", "png signature", "bmp signature"],
    )
    def test_not_a_photo(self, data):
        expected = "truncated" if data.startswith((b"\xff\xd8\xff", b"\x89PNG")) else "not_an_image"
        assert reason_of(probe, data) == reason_of(decode, data) == expected

    @pytest.mark.parametrize("kind", ["ICO", "PPM", "TGA", "PCX", "EPS"])
    def test_images_of_other_formats_are_not_opened(self, kind):
        assert reason_of(probe, encode(PHOTO, kind)) == "not_an_image"

    @pytest.mark.parametrize("fraction", [0.02, 0.3, 0.5, 0.9, 0.999])
    @pytest.mark.parametrize("options", JPEG_VARIANTS.values(), ids=JPEG_VARIANTS.keys())
    def test_cut_jpeg(self, options, fraction):
        data = encode(picture(320, 240), quality=90, **options)
        cut = data[: max(4, int(len(data) * fraction))]
        assert reason_of(probe, cut) == reason_of(decode, cut) == "truncated"

    @pytest.mark.parametrize("scale", [None, 60])
    @pytest.mark.parametrize("fraction", [0.3, 0.5, 0.9])
    @pytest.mark.parametrize("options", JPEG_VARIANTS.values(), ids=JPEG_VARIANTS.keys())
    def test_cut_jpeg_with_an_end_marker_glued_on(self, options, fraction, scale):
        data = encode(picture(320, 240), quality=90, **options)
        glued = data[: int(len(data) * fraction)] + END
        assert reason_of(lambda d: decode(d, at_least=scale), glued) == "truncated"

    def test_jpeg_cut_at_a_restart_marker_with_an_end_marker_glued_on(self):
        data = encode(picture(320, 240), quality=90, restart_marker_rows=1)
        third = [i for i in range(len(data) - 1) if data[i] == 0xFF and 0xD0 <= data[i + 1] <= 0xD7][3]
        assert reason_of(decode, data[:third] + END) == "truncated"

    def test_cut_cmyk_jpeg_with_an_end_marker_glued_on(self):
        data = encode(picture(320, 240).convert("CMYK"), quality=90)
        assert reason_of(decode, data[: len(data) // 2] + END) == "truncated"

    def test_cut_behind_a_harmless_oddity(self):
        data = with_stray_bytes(encode(picture(320, 240), quality=90))
        assert reason_of(decode, data[: len(data) // 2] + END) == "truncated"

    def test_end_marker_of_the_thumbnail_does_not_count(self):
        thumbnail = encode(picture(64, 48))
        data = encode(PHOTO, exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00" + thumbnail)
        assert END in data[:-2]
        probe(data)
        assert reason_of(probe, data[:-40]) == "truncated"

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
            (b"/annex/objects/MD5E-s1--0.jpg\n", "git-annex pointer"),
            (b"\n<!DOCTYPE html><title>403</title>", "page of HTML"),
            (b"%PDF-1.7\n", "PDF"),
            (b"\xff\x0a" + bytes(40), "JPEG XL"),
            (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40), "JPEG XL"),
        ],
    )
    def test_what_is_no_photo_is_named_for_what_it_is(self, data, words):
        with pytest.raises(UnreadablePhoto, match=words) as caught:
            probe(data)
        assert caught.value.reason == "not_an_image"

    @pytest.mark.parametrize("kind", ["PNG", "WEBP", "HEIF", "AVIF", "JPEG2000"])
    @pytest.mark.parametrize("fraction", [0.01, 0.3, 0.9, 0.999])
    def test_cut_png_webp_and_files_of_boxes(self, kind, fraction):
        data = encode(picture(320, 240), kind)
        cut = data[: max(20, int(len(data) * fraction))]
        assert reason_of(probe, cut) == reason_of(decode, cut) == "truncated"

    @pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF"])
    def test_other_cut_files_fail_in_decode(self, kind):
        data = encode(picture(320, 240), kind)
        assert reason_of(decode, data[: len(data) // 2]) == "truncated"

    def test_png_with_too_little_data_before_its_end_chunk(self):
        whole = zlib.compress(bytes(200 * 601))
        data = png(200, 200, bits=8, colour=2, body=whole[: len(whole) // 2])
        probe(data)
        assert reason_of(decode, data) == "truncated"

    def test_too_large(self):
        assert reason_of(probe, png(12_000, 10_001, bits=8, colour=2, body=b"")) == "too_large"
        assert reason_of(decode, png(60_000, 60_000, bits=1, colour=0, body=b"")) == "too_large"
        jpeg = bytearray(encode(PHOTO))
        frame = jpeg.find(b"\xff\xc0")
        jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 65500, 65500)
        assert reason_of(probe, bytes(jpeg)) == reason_of(decode, bytes(jpeg)) == "too_large"
        assert MAX_PIXELS == 12_000 * 10_000

    def test_survives_pickling(self):
        error = pickle.loads(pickle.dumps(UnreadablePhoto("empty", "The file has no bytes.")))
        assert (error.reason, error.detail, str(error)) == ("empty", *["The file has no bytes."] * 2)


class TestHarmless:
    def test_stray_bytes_between_markers(self):
        data = encode(PHOTO)
        for odd in (with_stray_bytes(data), data[:-2] + b"stray" + END):
            probe(odd)
            np.testing.assert_array_equal(decode(odd), decode(data))

    def test_grey_corner_alone_is_no_damage(self):
        grey = Image.new("RGB", (64, 64), (128, 128, 128))
        assert (decode(encode(grey)) == 128).all()


class TestScaledDecode:
    @pytest.mark.parametrize(
        ("at_least", "shape"),
        [
            (None, (600, 800)),
            (301, (600, 800)),
            (300, (300, 400)),
            (150, (150, 200)),
            (75, (75, 100)),
            (1, (75, 100)),
        ],
    )
    def test_shortest_side_stays_at_or_above(self, at_least, shape):
        data = encode(picture(800, 600))
        assert decode(data, at_least=at_least).shape == (*shape, 3)

    def test_uneven_sizes_are_not_stretched(self):
        assert decode(encode(picture(801, 600)), at_least=50).shape == (600, 801, 3)
        assert decode(encode(picture(804, 600)), at_least=50).shape == (150, 201, 3)

    def test_close_to_the_full_decode(self):
        data = encode(picture(800, 600), quality=90)

        def small(pixels):
            return np.asarray(Image.fromarray(pixels).resize((100, 75), Image.Resampling.BICUBIC))

        full = small(decode(data))
        assert mean_difference(small(decode(data, at_least=150)), full) < 1.0
        assert mean_difference(small(decode(data, at_least=300)), full) < 0.6

    def test_other_formats_ignore_it(self):
        assert decode(encode(PHOTO, "PNG"), at_least=8).shape == PIXELS.shape


SUFFIXES = (".jpg", ".jpeg", ".png")


@pytest.mark.real
@needs_real("philippine-snakes")
def test_every_real_photo_is_read():
    photos = [p for p in sorted((SHARED / "philippine-snakes").rglob("*")) if p.suffix.lower() in SUFFIXES]
    assert len(photos) == 1296
    for path in photos:
        data = path.read_bytes()
        header = probe(data)
        assert decode(data).shape == (header.height, header.width, 3), path.name


def png(width: int, height: int, *, bits: int, colour: int, body: bytes) -> bytes:
    """A PNG with the given header and image data, whether they fit each other or not."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def with_stray_bytes(jpeg: bytes) -> bytes:
    """The JPEG with bytes that belong to nothing behind its first segment."""
    behind = 4 + int.from_bytes(jpeg[4:6], "big")
    return jpeg[:behind] + b"\x01\x02\x03" + jpeg[behind:]
