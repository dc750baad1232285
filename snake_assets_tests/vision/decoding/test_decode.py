"""Every kind of file in, pixels or a reason out."""

from __future__ import annotations

import io
import pickle
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from snake_assets.vision.decoding.containers import MAX_PIXELS
from snake_assets.vision.decoding.decode import PhotoHeader, decode, probe
from snake_assets.vision.errors import UnreadablePhoto
from snake_assets_tests.vision.conftest import encode, mean_difference, picture, png

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

    @pytest.mark.parametrize(
        ("mode", "kinds", "most_off"),
        [
            ("L", ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF"), 2),
            ("1", ("PNG", "TIFF", "GIF", "BMP"), 0),
            ("P", ("PNG", "TIFF", "GIF", "BMP"), 0),
            ("CMYK", ("JPEG", "TIFF"), 3),
            ("LAB", ("TIFF",), 4),
        ],
    )
    def test_modes_other_than_rgb(self, mode, kinds, most_off):
        stored = PHOTO.convert(mode)
        shown = np.asarray(stored.convert("RGB")) if mode in ("L", "1", "P") else PIXELS
        for kind in kinds:
            pixels = decode(encode(stored, kind))
            assert pixels.shape == shown.shape and pixels.dtype == np.uint8, kind
            assert pixels.flags.writeable and pixels.flags.c_contiguous, kind
            assert mean_difference(pixels, shown) <= most_off, kind

    def test_sixteen_bits_keep_their_high_byte(self):
        wide = np.linspace(0, 65535, 61 * 97).reshape(61, 97).astype(np.uint16)
        for kind in ("PNG", "TIFF"):
            grey = decode(encode(Image.fromarray(wide), kind))
            np.testing.assert_array_equal(grey[:, :, 0], (wide >> 8).astype(np.uint8))
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
        assert pixels.shape == PIXELS.shape and pixels.flags.writeable and pixels.flags.c_contiguous
        assert mean_difference(pixels, PIXELS) < (2 if kind == "JPEG" else 0.01)

    def test_scaled_decode_and_heic_turn_too(self):
        turned = picture(400, 200)
        turned.getexif()[0x0112] = 6
        assert decode(encode(turned, exif=turned.getexif()), at_least=100).shape == (200, 100, 3)
        assert decode(encode(turned, "HEIF")).shape == (400, 200, 3)


NOT_PHOTOS = {  # reason, and words of its detail
    "empty": (b"", "empty", ""),
    "zeros": (b"\x00" * 4096, "not_an_image", ""),
    "psd": (b"8BPS\x00\x01" + bytes(40), "not_an_image", ""),
    "bmp signature": (b"BM", "not_an_image", ""),
    "jpeg signature": (b"\xff\xd8\xff", "truncated", ""),
    "png signature": (b"\x89PNG\r\n\x1a\nhello, this is no chunk", "truncated", ""),
    **{kind: (encode(PHOTO, kind), "not_an_image", "") for kind in ("ICO", "PPM", "TGA", "PCX", "EPS")},
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "not_an_image", "Git LFS pointer"),
    "annex": (b"/annex/objects/MD5E-s1--0.jpg\n", "not_an_image", "git-annex pointer"),
    "html": (b"\n<!DOCTYPE html><title>403</title>", "not_an_image", "page of HTML"),
    "pdf": (b"%PDF-1.7\n", "not_an_image", "PDF"),
    "jxl": (b"\xff\x0a" + bytes(40), "not_an_image", "JPEG XL"),
    "jxl in boxes": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40), "not_an_image", "JPEG XL"),
}


class TestUnreadable:
    @pytest.mark.parametrize("name", NOT_PHOTOS)
    def test_what_is_no_photo_is_named_for_what_it_is(self, name):
        data, reason, words = NOT_PHOTOS[name]
        assert reason_of(decode, data) == reason
        with pytest.raises(UnreadablePhoto, match=words or None) as caught:
            probe(data)
        assert caught.value.reason == reason

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

    def test_other_jpegs_that_are_cut_with_an_end_marker_glued_on(self):
        restarted = encode(picture(320, 240), quality=90, restart_marker_rows=1)
        marks = [
            at for at in range(len(restarted)) if restarted[at] == 0xFF and restarted[at + 1] & 0xF8 == 0xD0
        ]
        assert reason_of(decode, restarted[: marks[3]] + END) == "truncated"
        cmyk = encode(picture(320, 240).convert("CMYK"), quality=90)
        odd = with_stray_bytes(encode(picture(320, 240), quality=90))
        for data in (cmyk, odd):
            assert reason_of(decode, data[: len(data) // 2] + END) == "truncated"

    def test_end_marker_of_the_thumbnail_does_not_count(self):
        thumbnail = encode(picture(64, 48))
        data = encode(PHOTO, exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00" + thumbnail)
        assert END in data[:-2]
        probe(data)
        assert reason_of(probe, data[:-40]) == "truncated"

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

    def test_too_large(self):
        assert reason_of(probe, png(12_000, 10_001, bits=8, colour=2, body=b"")) == "too_large"
        assert MAX_PIXELS == 12_000 * 10_000

    def test_survives_pickling(self):
        error = pickle.loads(pickle.dumps(UnreadablePhoto("empty", "The file has no bytes.")))
        assert (error.reason, error.detail, str(error)) == ("empty", *["The file has no bytes."] * 2)


def test_stray_bytes_between_markers_and_a_grey_corner_are_no_damage():
    data = encode(PHOTO)
    for odd in (with_stray_bytes(data), data[:-2] + b"stray" + END):
        probe(odd)
        np.testing.assert_array_equal(decode(odd), decode(data))
    assert (decode(encode(Image.new("RGB", (64, 64), (128, 128, 128)))) == 128).all()


@pytest.mark.parametrize(
    ("size", "kind", "at_least", "shape"),
    [
        ((800, 600), "JPEG", None, (600, 800)),
        ((800, 600), "JPEG", 301, (600, 800)),
        ((800, 600), "JPEG", 300, (300, 400)),
        ((800, 600), "JPEG", 150, (150, 200)),
        ((800, 600), "JPEG", 1, (75, 100)),
        ((801, 600), "JPEG", 50, (600, 801)),  # would be stretched
        ((804, 600), "JPEG", 50, (150, 201)),
        ((97, 61), "PNG", 8, (61, 97)),
    ],
)
def test_a_scaled_decode_keeps_the_shortest_side_at_or_above(size, kind, at_least, shape):
    assert decode(encode(picture(*size), kind), at_least=at_least).shape == (*shape, 3)


@pytest.mark.real
def test_every_real_photo_is_read(shared_data):
    suffixes = (".jpg", ".jpeg", ".png")
    photos = [p for p in (shared_data / "philippine-snakes").rglob("*") if p.suffix.lower() in suffixes]
    assert len(photos) == 1296
    for path in photos:
        data = path.read_bytes()
        header = probe(data)
        assert decode(data).shape == (header.height, header.width, 3), path.name


def with_stray_bytes(jpeg: bytes) -> bytes:
    """The JPEG with bytes that belong to nothing behind its first segment."""
    behind = 4 + int.from_bytes(jpeg[4:6], "big")
    return jpeg[:behind] + b"\x01\x02\x03" + jpeg[behind:]
