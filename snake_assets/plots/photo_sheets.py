"""A sheet of thumbnails of a table's photos."""

import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from snake_assets.plots.charts import PALETTE
from snake_assets.storage.tables.table import Table
from snake_assets.vision.decoding.decode import decode
from snake_assets.vision.decoding.errors import UnreadablePhoto
from snake_assets.vision.preprocessing.regions import Region, regions_of

# A sheet of a split's photos with what a finder found in them.


LONGEST_SIDE = 176
MOST_BYTES = 8 * 1024
QUALITIES = (80, 68, 55, 40, 25, 10)


def thumbnail(data: bytes, side: int = LONGEST_SIDE, most_bytes: int = MOST_BYTES) -> bytes | None:
    """The whole photo as a JPEG of at most so many pixels a side and bytes; None if it cannot be decoded."""
    try:
        photo = Image.fromarray(decode(data, at_least=side))
    except UnreadablePhoto:
        return None
    photo.thumbnail((side, side), Image.Resampling.LANCZOS)
    for quality in QUALITIES:
        encoded = io.BytesIO()
        photo.save(encoded, "JPEG", quality=quality, optimize=True)
        if encoded.tell() <= most_bytes:
            break
    return encoded.getvalue()


def thumbnails(
    images: Table, image_ids: Collection[str], side: int = LONGEST_SIDE, most_bytes: int = MOST_BYTES
) -> dict[str, bytes]:
    """Thumbnails of some photos of `image_table`: image_id -> JPEG; what cannot be decoded has none.

    Of the photos, only the row groups that hold one of these are read.
    """
    rows = images.matching("image_id", image_ids, ["image_id", "image"])
    small = {
        name.as_py(): thumbnail(image.as_py(), side, most_bytes)
        for name, image in zip(*rows.itercolumns(), strict=True)
    }
    return {name: shown for name, shown in small.items() if shown is not None}


# Words on sheets of photos, cut to the room there is.


def abbreviated(species: str) -> str:
    """A species with its genus as an initial, as biologists write it: "N. naja"; other names as they are."""
    genus, _, epithet = species.partition(" ")
    return f"{genus[:1]}. {epithet}" if epithet else species


def fitting(text: str, width: int, font_size: int, pen: ImageDraw.ImageDraw) -> str:
    """The text, cut to `width` pixels with an ellipsis at its end."""
    while len(text) > 1 and pen.textlength(text, font_size=font_size) > width:
        text = f"{text[:-2]}…"
    return text


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


BOX_COLUMNS = 5
BOX_TILE, BOX_CAPTION, BOX_GAP = 132, 16, 4
BOX_FONT_SIZE = 10
BOX_PAPER, BOX_INK, BLANK = (255, 255, 255), (40, 40, 40), (225, 225, 225)
BOX_LINE = 3


@dataclass(frozen=True)
class DrawnBox:
    """A box: its sides in shares of the photo's width and height, and what stands beside it."""

    x0: float
    y0: float
    x1: float
    y1: float
    text: str = ""


@dataclass(frozen=True, eq=False)
class BoxCell:
    """A photo, uint8 [H, W, 3], or None where it cannot be shown; its boxes; and the words below it."""

    photo: NDArray[np.uint8] | None
    boxes: Sequence[DrawnBox]
    caption: str


def box_sheet(cells: Sequence[BoxCell], nothing: str = "There is no photo to show.") -> bytes:
    """A WebP of photos in rows of five, whole and with their boxes.

    Args:
        cells: the photos, in reading order.
        nothing: what the sheet says where there is none.
    """
    rows = max(1, -(-len(cells) // BOX_COLUMNS))
    size = (BOX_COLUMNS * (BOX_TILE + BOX_GAP) + BOX_GAP, rows * (BOX_TILE + BOX_CAPTION + BOX_GAP) + BOX_GAP)
    sheet = Image.new("RGB", size, BOX_PAPER)
    pen = ImageDraw.Draw(sheet)
    if not cells:
        pen.text((BOX_GAP, BOX_GAP), nothing, fill=BOX_INK, font_size=BOX_FONT_SIZE)
    for number, cell in enumerate(cells):
        row, column = divmod(number, BOX_COLUMNS)
        left, top = (
            BOX_GAP + column * (BOX_TILE + BOX_GAP),
            BOX_GAP + row * (BOX_TILE + BOX_CAPTION + BOX_GAP),
        )
        sheet.paste(_tile(cell), (left, top))
        caption = fitting(cell.caption, BOX_TILE, BOX_FONT_SIZE, pen)
        pen.text((left, top + BOX_TILE + 1), caption, fill=BOX_INK, font_size=BOX_FONT_SIZE)
    encoded = io.BytesIO()
    sheet.save(encoded, "WEBP", quality=45, method=6)
    return encoded.getvalue()


def _tile(cell: BoxCell) -> Image.Image:
    """The whole photo in the middle of a square, its boxes over it; a crossed square where there is none."""
    tile = Image.new("RGB", (BOX_TILE, BOX_TILE), BLANK)
    pen = ImageDraw.Draw(tile)
    if cell.photo is None:
        pen.line([(0, 0), (BOX_TILE, BOX_TILE)], fill=(160, 60, 60), width=3)
        return tile
    photo = Image.fromarray(cell.photo)
    # A thin strip keeps one pixel, so that its boxes have a place.
    scale = BOX_TILE / max(photo.size)
    width, height = (max(1, round(side * scale)) for side in photo.size)
    left, top = (BOX_TILE - width) // 2, (BOX_TILE - height) // 2
    tile.paste(photo.resize((width, height), Image.Resampling.LANCZOS), (left, top))
    for box in cell.boxes:
        colour = PALETTE[1]
        x0, x1 = left + box.x0 * (width - 1), left + box.x1 * (width - 1)
        y0, y1 = top + box.y0 * (height - 1), top + box.y1 * (height - 1)
        pen.rectangle((x0, y0, x1, y1), outline=colour, width=BOX_LINE)
        if box.text:
            _label(pen, box.text, (x0, y0), colour)
    return tile


def _label(pen: ImageDraw.ImageDraw, text: str, corner: tuple[float, float], colour: str) -> None:
    text = fitting(text, BOX_TILE - 4, BOX_FONT_SIZE, pen)
    width = pen.textlength(text, font_size=BOX_FONT_SIZE)
    left, top = min(corner[0], BOX_TILE - width - 4), max(0, corner[1] - BOX_FONT_SIZE - 3)
    pen.rectangle((left, top, left + width + 3, top + BOX_FONT_SIZE + 2), fill=colour)
    pen.text((left + 2, top), text, fill=(0, 0, 0), font_size=BOX_FONT_SIZE)


SHOWN = 15
SIDE = 132


def crop_sheet(images: Table, crops: Table) -> bytes:
    """A WebP of up to 15 photos with their boxes and scores, evenly spread from the surest find to none.

    Args:
        images: the split's `image_table`.
        crops: the `yolo_crops` that were made of it.

    Raises:
        StorageError: a shard cannot be read.
    """
    scores = crops.read(["image_id", "score"])
    ranked = np.argsort(-scores["score"].to_numpy(), kind="stable")
    places = np.unique(np.linspace(0, max(0, len(ranked) - 1), min(SHOWN, len(ranked))).round().astype(int))
    shown = [scores["image_id"][place].as_py() for place in ranked[places].tolist()]
    photos = images.matching("image_id", shown, ["image_id", "image"])
    image_of = dict(zip(*(column.to_pylist() for column in photos.itercolumns()), strict=True))
    finds = crops.matching("image_id", shown, crops.schema.names)
    found = zip(regions_of(finds), finds["finds"].to_pylist(), strict=True)
    found_in = dict(zip(finds["image_id"].to_pylist(), found, strict=True))
    return box_sheet([_cell(image_of.get(name), *found_in[name]) for name in shown], "There is no photo.")


def _cell(image: bytes | None, region: Region, finds: int) -> BoxCell:
    try:
        photo = None if image is None else decode(image, at_least=SIDE)
    except UnreadablePhoto:
        photo = None
    if not finds:
        return BoxCell(photo, [], "no find")
    box = DrawnBox(region.x0, region.y0, region.x1, region.y1, f"{region.score:.2f}")
    return BoxCell(photo, [box], region.label)


# Small copies of photos, of a bounded number of bytes.
