"""A sheet of thumbnails of a table's photos."""

import io

from PIL import Image, ImageDraw

from snake_assets.figures.captions import abbreviated, fitting
from snake_assets.storage.tables import Table
from snake_assets.vision.photos import decode
from snake_assets.vision.unreadable import UnreadablePhoto

# They are in the event log, of every split.
COLUMNS, ROWS = 5, 2
TILE = 80
CAPTION = 16
FONT_SIZE = 10
GAP = 4
PAPER, INK = (255, 255, 255), (40, 40, 40)


def contact_sheet(table: Table) -> bytes:
    """A WebP of up to 10 photos, evenly spread over `image_table`, each with its species or observation."""
    rows = table.sample(COLUMNS * ROWS, ["image", "binomial_name", "observation_id"]).to_pylist()
    height = -(-max(1, len(rows)) // COLUMNS) * (TILE + CAPTION + GAP) + GAP
    sheet = Image.new("RGB", (COLUMNS * (TILE + GAP) + GAP, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    for position, row in enumerate(rows):
        left = GAP + position % COLUMNS * (TILE + GAP)
        top = GAP + position // COLUMNS * (TILE + CAPTION + GAP)
        sheet.paste(_thumbnail(row["image"]), (left, top))
        species = row["binomial_name"]
        caption = abbreviated(species) if species else str(row["observation_id"])
        pen.text(
            (left, top + TILE + 1), fitting(caption, TILE, FONT_SIZE, pen), fill=INK, font_size=FONT_SIZE
        )
    encoded = io.BytesIO()
    sheet.save(encoded, "WEBP", quality=30, method=6)
    return encoded.getvalue()


def _thumbnail(data: bytes) -> Image.Image:
    """The photo's middle as a square tile; a photo that cannot be decoded shows as a crossed one."""
    try:
        photo = Image.fromarray(decode(data, at_least=TILE))
    except UnreadablePhoto:
        tile = Image.new("RGB", (TILE, TILE), (225, 225, 225))
        ImageDraw.Draw(tile).line([(0, 0), (TILE, TILE)], fill=(160, 60, 60), width=3)
        return tile
    side = min(photo.size)
    left, top = (photo.width - side) // 2, (photo.height - side) // 2
    return photo.resize((TILE, TILE), Image.Resampling.LANCZOS, (left, top, left + side, top + side))
