"""Photos that would fill the memory or take minutes, that lie, or that are two things at once."""

import struct
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from snake_assets.vision.decoding.decode import decode, probe
from snake_assets.vision.decoding.errors import UnreadablePhoto
from snake_assets_tests.fuzz.photo_seeds import encoded, exif, photo_seeds, picture, with_right_checksums
from snake_assets_tests.hostile.case import Case

PHOTO = picture(40, 33)
JPEG, PNG = encoded(PHOTO, "JPEG", quality=92), encoded(PHOTO, "PNG")
SHOWN = np.asarray(PHOTO)


def refusal(make: Callable[[], bytes], reason: str) -> Callable[[Path], None]:
    """A photo that must be refused for this reason, at the latest when it is decoded."""

    def run(_: Path) -> None:
        try:
            decode(make())
        except UnreadablePhoto as fault:
            assert fault.reason == reason, (fault.reason, fault.detail)
        else:
            raise AssertionError("it was read")

    return run


def reading(
    make: Callable[[], bytes], most_off: float = 5.0, shown: np.ndarray = SHOWN
) -> Callable[[Path], None]:
    """A photo that must be read, as this picture, off by so much of 255 on average."""

    def run(_: Path) -> None:
        probe(make())
        pixels = decode(make())
        assert pixels.shape == shown.shape
        off = np.abs(pixels.astype(int) - shown).mean()
        assert off <= most_off, f"off by {off}"

    return run


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


def zip_bytes() -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as bundle:
        bundle.writestr("../../a.jpg", b"x")
    return file.getvalue()


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
            refusal(lambda cut=data[:end] + b"\xff\xd9": cut, "truncated")(_)


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
HTML = b"<html><script>alert(1)</script>"
CMYK = encoded(PHOTO.convert("CMYK"), "JPEG", quality=95)
DEEP = np.repeat(np.linspace(0, 65535, 40 * 33).reshape(33, 40)[..., None], 3, axis=2)
HUGE = 60_000
BLACK = np.zeros((33, 40, 3), np.uint8)

CASES = [
    *(
        Case(f"{name} that says {w} x {h}", refusal(lambda m=make, w=w, h=h: m(w, h), "too_large"))
        for name, make in {
            "PNG": png_header,
            "JPEG": jpeg_header,
            "GIF": gif_header,
            "WEBP": webp_canvas,
        }.items()
        for w, h in [(HUGE, HUGE), (65_535, 2_000)]
    ),
    Case("PNG that says 2^31 - 1", refusal(lambda: png_header(2**31 - 1, 2**31 - 1), "too_large")),
    Case("PNG of 0 x 0", refusal(lambda: png_header(0, 0), "not_an_image")),
    Case("TIFF that says 2^32 - 1", refusal(lambda: tiff_tag(256, 2**32 - 1), "too_large")),
    Case("TIFF with 2^31 values a pixel", refusal(lambda: tiff_tag(277, 2**31), "not_an_image")),
    Case("TIFF with a strip behind its end", refusal(lambda: tiff_tag(273, 2**31), "truncated")),
    Case("PNG of large size, little data", refusal(lambda: png_header(10_000, 10_000), "truncated")),
    *(
        Case(
            f"PNG with {kind} of 20 MB",
            refusal(
                lambda k=kind, h=head: (
                    PNG[:33] + chunk(k.encode(), h + zlib.compress(bytes(20 << 20))) + PNG[33:]
                ),
                "not_an_image",
            ),
        )
        for kind, head in {"zTXt": b"a\0\0", "iCCP": b"a\0\0", "iTXt": b"a\0\1\0\0\0"}.items()
    ),
    Case(
        "PNG with 100,000 chunks",
        refusal(lambda: PNG[:33] + chunk(b"tEXt", b"a\0b") * 100_000 + PNG[33:], "too_large"),
    ),
    Case(
        "JPEG with a megabyte of stray bytes",
        refusal(lambda: JPEG[:20] + bytes(1 << 20) + JPEG[20:], "too_large"),
    ),
    Case(
        "JPEG with 20,000 segments",
        refusal(lambda: JPEG[:20] + b"\xff\xfe\0\2" * 20_000 + JPEG[20:], "too_large"),
    ),
    Case("JPEG with 1,000 scans", refusal(lambda: many_scans(1000), "too_large")),
    Case("GIF of 33 MB", refusal(lambda: encoded(PHOTO, "GIF")[:-1] + bytes(33 << 20), "too_large")),
    Case("JPEG cut between two scans", cut_between_scans),
    Case("JPEG and ZIP", reading(lambda: polyglot(behind=zip_bytes()))),
    Case("JPEG and HTML", reading(lambda: polyglot(front=HTML, behind=HTML))),
    Case("JPEG and PNG", reading(lambda: polyglot(behind=PNG))),
    Case("PNG and ZIP", reading(lambda: PNG + zip_bytes(), 0)),
    Case("HTML before a JPEG", refusal(lambda: HTML + JPEG, "not_an_image")),
    Case("ZIP before a JPEG", refusal(lambda: zip_bytes() + JPEG, "not_an_image")),
    Case(
        "16 bits a colour",
        reading(lambda: encoded(Image.fromarray(DEEP[..., 0].astype(np.uint16)), "PNG"), 1, DEEP / 257),
    ),
    Case("CMYK of Adobe, inverted", reading(lambda: CMYK)),
    Case(
        "palette with a transparent colour",
        reading(lambda: encoded(two_colours(), "PNG", transparency=1), 0, BLACK + 255),
    ),
    *(
        Case(
            f"animated {kind}",
            reading(
                lambda k=kind, o=options: encoded(
                    PHOTO, k, save_all=True, append_images=[PHOTO.rotate(180)], **o
                ),
                14,
            ),
        )
        for kind, options in {"GIF": {}, "PNG": {}, "WEBP": {"lossless": True}, "TIFF": {}, "MPO": {}}.items()
    ),
    *(
        Case(
            f"{kind} of 1 x 1",
            reading(lambda k=kind: encoded(Image.new("RGB", (1, 1), "white"), k), 2, BLACK[:1, :1] + 255),
        )
        for kind in ("JPEG", "PNG", "GIF", "WEBP")
    ),
    *(
        Case(
            f"{kind} of {size[0]} x {size[1]}",
            reading(
                lambda k=kind, s=size: encoded(Image.new("RGB", s, "white"), k),
                2,
                np.full((size[1], size[0], 3), 255),
            ),
        )
        for kind in ("JPEG", "PNG")
        for size in [(HUGE, 2), (2, HUGE)]
    ),
    *(
        Case(f"{kind} in orientation {o}", reading(lambda o=o, k=kind: turned(o, k)))
        for kind in ("JPEG", "PNG", "WEBP")
        for o in range(1, 9)
    ),
    *(
        Case(f"orientation {value}", reading(lambda v=value: encoded(PHOTO, "JPEG", exif=exif(v))))
        for value in (0, 9, 99, 65535)
    ),
    Case("EXIF with 2^32 - 1 orientations", reading(lambda: encoded(PHOTO, "JPEG", exif=exif(6, 2**32 - 1)))),
    Case("EXIF that is cut", reading(lambda: encoded(PHOTO, "JPEG", exif=exif(6)[:15]))),
    Case(
        "EXIF that names itself",
        reading(
            lambda: encoded(
                PHOTO, "JPEG", exif=b"Exif\0\0II*\0" + struct.pack("<IHHHIII", 8, 1, 0x8769, 4, 1, 8, 8)
            )
        ),
    ),
    Case(
        "EXIF with a thumbnail of 60,000 x 60,000",
        reading(lambda: encoded(PHOTO, "JPEG", exif=exif(1) + jpeg_header(HUGE, HUGE))),
    ),
    *(
        Case(
            f"{name} profile in {kind}",
            reading(lambda k=kind, p=profile: encoded(PHOTO, k, icc_profile=p), 6),
        )
        for name, profile in {"ICC": SRGB, "broken ICC": b"\xff" * 300, "cut ICC": SRGB[:100]}.items()
        for kind in ("JPEG", "PNG", "WEBP", "TIFF")
    ),
    *(prefixes(seed.name, seed.data, most) for seed in photo_seeds() for most in (None, 120)),
]
