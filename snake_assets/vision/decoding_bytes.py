"""How many bytes a photo takes while it is decoded and resized: upper bounds, measured on 40 megapixels."""

from PIL import Image

from snake_assets.vision.decoding.jpeg import jpeg_scans

# Of a pixel: RGB, and with it what turning it takes, or PIL's copy where PIL resizes (resampling.py).
RGB, RESIZED = 3, 8
# A progressive JPEG keeps the coefficients of all pixels until its last scan, at any scale.
COEFFICIENTS = 6
# WEBP's decoder keeps three copies of a photo. The others keep PIL's own pixels beside the RGB.
WEBP, BY_PIL = 19, 12


def decoding_bytes(data: bytes, image: Image.Image, scale: int = 1) -> int:
    """Most bytes that a photo takes, with its resizing, beside the file's own.

    Args:
        data: the file's bytes.
        image: the same, opened by PIL.
        scale: 1, or what a JPEG's sides are divided by as it is decoded.
    """
    width, height = image.size
    pixels = width * height
    if image.format == "WEBP":
        return WEBP * pixels
    if image.format not in ("JPEG", "MPO") or image.mode == "CMYK":
        return BY_PIL * pixels
    kept = COEFFICIENTS * pixels if jpeg_scans(data) > 1 else 0
    scaled = pixels // scale**2
    return max(kept + RGB * scaled, RESIZED * scaled)
