"""Why a photo has no pixels, and from what size on none are made."""

from __future__ import annotations

from typing import Literal

MAX_PIXELS = 120_000_000
"""Largest photo that is decoded, in pixels: 360 MB of RGB, and 0.9 GB on the way there, of WEBP 1.8."""

Reason = Literal["missing", "empty", "truncated", "not_an_image", "too_large"]
"""Why a photo has no pixels.

`missing`: there is no file (said by whoever looks for it); `empty`: no bytes; `not_an_image`: none of the
formats read here; `too_large`: more than `MAX_PIXELS`, or built so that it would take as long; `truncated`: a
photo whose data is cut short or too damaged to read.
"""


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


def refuse_too_large(width: int, height: int) -> None:
    """Raise UnreadablePhoto for sides, in pixels, of more than MAX_PIXELS together."""
    if width * height > MAX_PIXELS:
        raise UnreadablePhoto(
            "too_large", f"{width} x {height} pixels are more than the {MAX_PIXELS:,} that are decoded."
        )
