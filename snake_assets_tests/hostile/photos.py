"""Photos that would fill the memory or take minutes, that lie, or that are two things at once."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from snake_assets.vision.decoding.decode import decode, probe
from snake_assets.vision.errors import UnreadablePhoto
from snake_assets_tests.fuzz.photo_seeds import encoded, exif, photo_seeds, picture, with_right_checksums
from snake_assets_tests.hostile.archives import zipped
from snake_assets_tests.hostile.case import Case

PHOTO = picture(40, 33)
JPEG, PNG = encoded(PHOTO, "JPEG", quality=92), encoded(PHOTO, "PNG")
SHOWN = np.asarray(PHOTO)


def bad(name: str, make: Callable[[], bytes], reason: str) -> Case:
    """A photo that must be refused for this reason, at the latest when it is decoded."""

    def run(_: Path) -> None:
        with pytest.raises(UnreadablePhoto) as told:
            decode(make())
        assert told.value.reason == reason, told.value.detail

    return Case(name, run)


def good(name: str, make: Callable[[], bytes], most_off: float = 5.0, shown: np.ndarray = SHOWN) -> Case:
    """A photo that must be read, as this picture, off by so much of 255 on average."""

    def run(_: Path) -> None:
        data = make()
        probe(data)
        pixels = decode(data)
        assert pixels.shape == shown.shape
        off = np.abs(pixels.astype(int) - shown).mean()
        assert off <= most_off, f"off by {off}"

    return Case(name, run)


def prefixes(name: str, data: bytes, most: int | None = None) -> Case:
    """Cut after any byte (or `most` of them), a file is refused or read as the whole is."""
    step = 1 if most is None else -(-len(data) // most)

    def run(_: Path) -> None:
        whole = decode(data)
        for end in range(0, len(data), step):
            try:
                pixels = decode(data[:end])
            except UnreadablePhoto as fault:
                assert fault.reason in ("empty", "truncated", "not_an_image")
            else:
                assert np.array_equal(pixels, whole), f"other pixels when cut at {end} of {len(data)}"

    return Case(f"{name} cut after every {step} bytes", run, slow=most is None)


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_header(width: int, height: int) -> bytes:
    """The photo's PNG with another size in its header."""
    return with_right_checksums(PNG[:16] + struct.pack(">II", width, height) + PNG[24:])


def jpeg_header(width: int, height: int) -> bytes:
    """The photo's JPEG with another size in its header."""
    at = JPEG.find(b"\xff\xc0") + 5
    return JPEG[:at] + struct.pack(">HH", height, width) + JPEG[at + 4 :]


def gif_header(width: int, height: int) -> bytes:
    """A GIF with a larger canvas."""
    return b"GIF89a" + struct.pack("<HH", width, height) + encoded(PHOTO, "GIF")[10:]


def webp_canvas(width: int, height: int) -> bytes:
    """An animated WEBP with a canvas far larger than its frame."""
    data = bytearray(encoded(PHOTO, "WEBP", save_all=True, append_images=[PHOTO.rotate(90)]))
    at = data.find(b"VP8X") + 12
    data[at : at + 6] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(data)


def tiff_tag(tag: int, value: int) -> bytes:
    """A TIFF with another value of a tag."""
    data = bytearray(encoded(PHOTO, "TIFF"))
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, at) == (tag,):
            struct.pack_into("<HII", data, at + 2, 4, 1, value)
    return bytes(data)


def many_scans(times: int) -> bytes:
    """A progressive JPEG of 4000 x 4000 whose last scan stands there many times more."""
    data = encoded(Image.new("RGB", (4000, 4000), (9, 99, 199)), "JPEG", progressive=True)
    last = data[data.rfind(b"\xff\xda") : -2]
    return data[:-2] + last * times + data[-2:]


def polyglot(front: bytes = b"", behind: bytes = b"") -> bytes:
    """A JPEG with something else within and behind it."""
    comment = b"\xff\xfe" + struct.pack(">H", len(front) + 2) + front if front else b""
    return JPEG[:2] + comment + JPEG[2:] + behind


def two_colours() -> Image.Image:
    """A picture all of the second colour of its palette."""
    image = Image.new("P", (40, 33), 1)
    image.putpalette([9, 9, 9, 200, 10, 20])
    return image


def turned(orientation: int, kind: str) -> bytes:
    """The photo stored in this orientation."""
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = PHOTO.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else PHOTO
    data = exif(orientation)
    return encoded(stored, kind, exif=data if kind == "JPEG" else data[6:])


def cut_between_scans(_: Path) -> None:
    """A progressive JPEG cut within the tables of a scan, with an end marker put behind the cut."""
    data = encoded(PHOTO, "JPEG", progressive=True)
    tables = [at for at in range(len(data)) if data.startswith(b"\xff\xc4", at)][1:]
    assert len(tables) > 3
    for at in tables:
        for end in range(at + 4, at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")):
            bad("", lambda cut=data[:end] + b"\xff\xd9": cut, "truncated").run(_)


def white(kind: str, size: tuple[int, int]) -> Case:
    shown = np.full((size[1], size[0], 3), 255)
    name = f"{kind} of {size[0]} x {size[1]}"
    return good(name, lambda: encoded(Image.new("RGB", size, "white"), kind), 2, shown)


def animated(kind: str, **options: object) -> Case:
    frames = {"save_all": True, "append_images": [PHOTO.rotate(180)]}
    return good(f"animated {kind}", lambda: encoded(PHOTO, kind, **frames, **options), 14)


def exif_photo(name: str, data: bytes) -> Case:
    return good(name, lambda: encoded(PHOTO, "JPEG", exif=data))


def png_with(kind: bytes, head: bytes) -> bytes:
    return PNG[:33] + chunk(kind, head + zlib.compress(bytes(20 << 20))) + PNG[33:]


ZIPPED = zipped([("../../a.jpg", b"x")])
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PROFILES = {"ICC": SRGB, "broken ICC": b"\xff" * 300, "cut ICC": SRGB[:100]}
HTML = b"<html><script>alert(1)</script>"
DEEP = np.repeat(np.linspace(0, 65535, 40 * 33).reshape(33, 40)[..., None], 3, axis=2)
HUGE = 60_000
BLACK = np.zeros((33, 40, 3), np.uint8)
HEADERS = {"PNG": png_header, "JPEG": jpeg_header, "GIF": gif_header, "WEBP": webp_canvas}
TEXT_CHUNKS = {b"zTXt": b"a\0\0", b"iCCP": b"a\0\0", b"iTXt": b"a\0\1\0\0\0"}
EXIF_OF_ITSELF = b"Exif\0\0II*\0" + struct.pack("<IHHHIII", 8, 1, 0x8769, 4, 1, 8, 8)

CASES = [
    *(
        bad(f"{name} that says {w} x {h}", lambda m=make, w=w, h=h: m(w, h), "too_large")
        for name, make in HEADERS.items()
        for w, h in [(HUGE, HUGE), (65_535, 2_000)]
    ),
    bad("PNG that says 2^31 - 1", lambda: png_header(2**31 - 1, 2**31 - 1), "too_large"),
    bad("PNG of 0 x 0", lambda: png_header(0, 0), "not_an_image"),
    bad("TIFF that says 2^32 - 1", lambda: tiff_tag(256, 2**32 - 1), "too_large"),
    bad("TIFF with 2^31 values a pixel", lambda: tiff_tag(277, 2**31), "not_an_image"),
    bad("TIFF with a strip behind its end", lambda: tiff_tag(273, 2**31), "truncated"),
    bad("PNG of large size, little data", lambda: png_header(10_000, 10_000), "truncated"),
    *(
        bad(f"PNG with {kind!r} of 20 MB", lambda k=kind, h=head: png_with(k, h), "not_an_image")
        for kind, head in TEXT_CHUNKS.items()
    ),
    bad("100,000 chunks", lambda: PNG[:33] + chunk(b"tEXt", b"a\0b") * 100_000 + PNG[33:], "too_large"),
    bad("a megabyte of stray bytes", lambda: JPEG[:20] + bytes(1 << 20) + JPEG[20:], "too_large"),
    bad("20,000 segments", lambda: JPEG[:20] + b"\xff\xfe\0\2" * 20_000 + JPEG[20:], "too_large"),
    bad("JPEG with 1,000 scans", lambda: many_scans(1000), "too_large"),
    bad("GIF of 33 MB", lambda: encoded(PHOTO, "GIF")[:-1] + bytes(33 << 20), "too_large"),
    Case("JPEG cut between two scans", cut_between_scans),
    good("JPEG and ZIP", lambda: polyglot(behind=ZIPPED)),
    good("JPEG and HTML", lambda: polyglot(front=HTML, behind=HTML)),
    good("JPEG and PNG", lambda: polyglot(behind=PNG)),
    good("PNG and ZIP", lambda: PNG + ZIPPED, 0),
    bad("HTML before a JPEG", lambda: HTML + JPEG, "not_an_image"),
    bad("ZIP before a JPEG", lambda: ZIPPED + JPEG, "not_an_image"),
    good("16 bits", lambda: encoded(Image.fromarray(DEEP[..., 0].astype(np.uint16)), "PNG"), 1, DEEP / 257),
    good("CMYK of Adobe, inverted", lambda: encoded(PHOTO.convert("CMYK"), "JPEG", quality=95)),
    good("transparent colour", lambda: encoded(two_colours(), "PNG", transparency=1), 0, BLACK + 255),
    *map(animated, ("GIF", "PNG", "TIFF", "MPO")),
    animated("WEBP", lossless=True),
    *(white(kind, (1, 1)) for kind in ("JPEG", "PNG", "GIF", "WEBP")),
    *(white(kind, size) for kind in ("JPEG", "PNG") for size in [(HUGE, 2), (2, HUGE)]),
    *(
        good(f"{kind} in orientation {o}", lambda o=o, k=kind: turned(o, k))
        for kind in ("JPEG", "PNG", "WEBP")
        for o in range(1, 9)
    ),
    *(exif_photo(f"orientation {value}", exif(value)) for value in (0, 9, 99, 65535)),
    exif_photo("EXIF with 2^32 - 1 orientations", exif(6, 2**32 - 1)),
    exif_photo("EXIF that is cut", exif(6)[:15]),
    exif_photo("EXIF that names itself", EXIF_OF_ITSELF),
    exif_photo("EXIF with a thumbnail of 60,000 x 60,000", exif(1) + jpeg_header(HUGE, HUGE)),
    *(
        good(f"{name} profile in {kind}", lambda k=kind, p=data: encoded(PHOTO, k, icc_profile=p), 6)
        for name, data in PROFILES.items()
        for kind in ("JPEG", "PNG", "WEBP", "TIFF")
    ),
    *(prefixes(seed.name, seed.data, most) for seed in photo_seeds() for most in (None, 120)),
]
