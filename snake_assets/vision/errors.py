"""What can be wrong with a photo, with a backbone, and with the pass that it makes over photos."""

from __future__ import annotations

from typing import Literal


class BackboneError(ValueError):
    """A backbone that cannot be used; the message names what was found, where, and what to do."""


class EmbeddingError(RuntimeError):
    """The embedding pass could not go on; the message says why, and what to do."""


class FinetuningError(RuntimeError):
    """A training of a backbone could not go on; the message says why, and what to do."""


class EngineError(RuntimeError):
    """What spreads a pass over machines cannot go on; the message says why, and what to do."""


Reason = Literal["missing", "empty", "truncated", "not_an_image", "too_large"]
"""Why a photo has no pixels.

`missing`: there is no file (said by whoever looks for it); `empty`: no bytes; `not_an_image`: none of the
formats read here; `too_large`: more than `MAX_PIXELS` (containers.py), or built so that it would take as
long; `truncated`: a photo whose data is cut short or too damaged to read.
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
