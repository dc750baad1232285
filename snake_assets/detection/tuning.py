"""How strict finders are: what a user may set for all of them alike."""

from dataclasses import dataclass

from snake_assets.detection.errors import DetectionError


@dataclass(frozen=True)
class FinderTuning:
    """What decides which finds count.

    Attributes:
        confidence: finds of a lower score are left out, 0 to 1; None: the finder's own (YOLO 0.25, OWL 0.1,
            SAM without a prompter 0.88, which is a predicted IoU). With a prompter it is the prompter's.
        iou: of finds that overlap by more than this, the best is kept, 0 to 1.
        image_size: the longer side that YOLO scales photos to, pixels, a multiple of 32; None: that of its
            training. OWL and SAM take photos at that of theirs alone.
        queries: what OWL is to look for, in words. YOLO and SAM take none.
        most: finds per photo, at most.
    """

    confidence: float | None = None
    iou: float = 0.7
    image_size: int | None = None
    queries: tuple[str, ...] = ("a photo of a snake",)
    most: int = 10

    def __post_init__(self) -> None:
        """Refuse what no finder can follow. Raises DetectionError."""
        shares = [share for share in (self.confidence, self.iou) if share is not None]
        if not all(0 < share < 1 for share in shares) or self.most < 1:
            raise DetectionError(
                "The confidence and the IoU lie between 0 and 1, and the finds number 1 or more."
            )
        if not self.queries or not all(query.strip() for query in self.queries):
            raise DetectionError("There is no query, or one without words: say what OWL is to look for.")
