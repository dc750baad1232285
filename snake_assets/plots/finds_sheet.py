"""A sheet of photos with what a person drew, and what a detector found or missed."""

from snake_assets.detection.box_files import pixels_of
from snake_assets.detection.judging import JudgedPhoto, Judgement
from snake_assets.plots.photo_sheets import TILE, BoxCell, DrawnBox, box_sheet

SHOWN = 20


def finds_sheet(judgement: Judgement) -> bytes:
    """A WebP of up to 20 photos that were held out, most misses and wrong finds first.

    Finds count from the confidence with the highest F1 on; at an overlap of 0.5 or more they are right.

    Raises:
        DetectionError: a photo cannot be read any more.
    """
    least = judgement.best_confidence or 0.0
    ranked = sorted(judgement.photos, key=lambda judged: -sum(_faults(judged, least)))
    return box_sheet([_cell(judged, least) for judged in ranked[:SHOWN]])


def _faults(judged: JudgedPhoto, least: float) -> tuple[int, int]:
    """Boxes that were missed, and finds that are wrong."""
    counted = sum(find.score >= least for find in judged.finds)
    right = int(judged.right[:counted, 0].sum())
    return len(judged.photo.boxes) - right, counted - right


def _cell(judged: JudgedPhoto, least: float) -> BoxCell:
    drawn = [DrawnBox(x0, y0, x1, y1, kind="truth") for x0, y0, x1, y1 in judged.photo.boxes.tolist()]
    for find, right in zip(judged.finds, judged.right[:, 0], strict=True):
        if find.score >= least:
            sides = (find.x0, find.y0, find.x1, find.y1)
            drawn.append(DrawnBox(*sides, f"{find.score:.2f}", "find" if right else "wrong"))
    missed, wrong = _faults(judged, least)
    told = [f"{missed} missed"] * bool(missed) + [f"{wrong} wrong"] * bool(wrong) or ["right"]
    return BoxCell(pixels_of(judged.photo, 2 * TILE), drawn, f"{', '.join(told)}: {judged.photo.name}")
