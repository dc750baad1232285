"""A sheet of the most costly mistakes for the UI: each with the training photos that look most like it."""

import io

from PIL import Image, ImageDraw

from snake_assets.figures.captions import abbreviated, fitting
from snake_assets.figures.report_photos import ReportPhotos
from snake_assets.learning.mistakes import Mistake
from snake_assets.learning.report import Judgement

TILE, GAP, LINE = 92, 6, 17
NEIGHBOURS, COLUMNS = 3, 2
BLOCK_WIDTH, BLOCK_HEIGHT = (NEIGHBOURS + 1) * (TILE + GAP) + 3 * GAP, TILE + 2 * LINE + 2 * GAP
FONT_SIZE = 11
# The page has more of them; this sheet is in the event log.
SHOWN = 2
PAPER, INK, FAINT, BLANK = (255, 255, 255), (30, 30, 30), (100, 100, 100), (225, 225, 225)


def mistake_sheet(judgement: Judgement, photos: ReportPhotos) -> bytes:
    """A WebP with the two most costly mistakes: each one's photo, then its three nearest training photos."""
    mistakes = judgement.mistakes[:SHOWN]
    lines = max(1, -(-len(mistakes) // COLUMNS))
    sheet = Image.new("RGB", (COLUMNS * BLOCK_WIDTH, lines * BLOCK_HEIGHT), PAPER)
    pen = ImageDraw.Draw(sheet)
    if not mistakes:
        pen.text((GAP, GAP), "There is no mistake to show.", fill=INK, font_size=FONT_SIZE)
    for number, mistake in enumerate(mistakes):
        row, column = divmod(number, COLUMNS)
        block = _block(mistake, judgement, photos)
        sheet.paste(block, (column * BLOCK_WIDTH, row * BLOCK_HEIGHT))
    encoded = io.BytesIO()
    sheet.save(encoded, "WEBP", quality=35, method=6)
    return encoded.getvalue()


def _block(mistake: Mistake, judgement: Judgement, photos: ReportPhotos) -> Image.Image:
    def name(class_id: int) -> str:
        return abbreviated(judgement.names.get(class_id, str(class_id)))

    words = (
        f"{name(mistake.truth)} taken for {name(mistake.predicted)} "
        f"({100 * mistake.probability:.0f} %, cost {mistake.cost})"
    )
    tiles = [(photos.val, mistake.photos[0] if mistake.photos else "", "")]
    tiles += [
        (photos.train, one.image_id, f"{one.cosine:.2f} {name(one.class_id)}")
        for one in mistake.nearest[:NEIGHBOURS]
    ]
    block = Image.new("RGB", (BLOCK_WIDTH, BLOCK_HEIGHT), PAPER)
    pen = ImageDraw.Draw(block)
    pen.text((GAP, GAP), fitting(words, BLOCK_WIDTH - 2 * GAP, FONT_SIZE, pen), fill=INK, font_size=FONT_SIZE)
    for column, (split, image_id, caption) in enumerate(tiles):
        # The mistaken photo stands a little apart from those that resemble it.
        left, top = GAP + column * (TILE + GAP) + (GAP if column else 0), GAP + LINE
        block.paste(_tile(split.get(image_id)), (left, top))
        caption = fitting(caption, TILE, FONT_SIZE - 1, pen)
        pen.text((left, top + TILE + 2), caption, fill=FAINT, font_size=FONT_SIZE - 1)
    return block


def _tile(thumbnail: bytes | None) -> Image.Image:
    """The whole photo in the middle of a square; a grey one where there is no picture."""
    tile = Image.new("RGB", (TILE, TILE), BLANK)
    if thumbnail is not None:
        photo = Image.open(io.BytesIO(thumbnail))
        photo.thumbnail((TILE, TILE))
        tile.paste(photo, ((TILE - photo.width) // 2, (TILE - photo.height) // 2))
    return tile
