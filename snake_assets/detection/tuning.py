"""How strict finders are: what a user may set for all of them alike."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FinderTuning:
    """What decides which finds count.

    Attributes:
        confidence: finds of a lower score are left out, 0 to 1; None: the finder's own (YOLO 0.25, OWL 0.1).
        iou: of finds that overlap by more than this, the best is kept, 0 to 1.
        image_size: the longer side that YOLO scales photos to, pixels, a multiple of 32; None: 640. Other
            models have one size that they were trained at.
        queries: what OWL is to look for, in words. YOLO and SAM take none.
        most: finds per photo, at most.
    """

    confidence: float | None = None
    iou: float = 0.7
    image_size: int | None = None
    queries: tuple[str, ...] = ("a photo of a snake",)
    most: int = 10
