"""Thumbnails of a table's photos, and sheets of them with captions."""

import io
import re
from collections.abc import Collection, Sequence

import numpy as np
from PIL import Image, ImageDraw

from snake_assets.plots.charts import PALETTE
from snake_assets.storage.tables.table import Table
from snake_assets.vision.decoding.decode import decode
from snake_assets.vision.errors import UnreadablePhoto
from snake_assets.vision.preprocessing.regions import Region, regions_of

LONGEST_SIDE = 176
MOST_BYTES = 8 * 1024
QUALITIES = (80, 68, 55, 40, 25, 10)


def thumbnail(data: bytes, side: int = LONGEST_SIDE, most_bytes: int = MOST_BYTES) -> bytes | None:
    """The whole photo as a JPEG of at most so many pixels a side and bytes; None if it cannot be decoded."""
    photo = _decoded(data, side)
    if photo is None:
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


# Sheets are in the event log, of every split: few photos, and small.
COLUMNS, GAP, CAPTION, FONT_SIZE = 5, 4, 16, 10
PAPER, INK, BLANK = (255, 255, 255), (40, 40, 40), (225, 225, 225)
# Pixels a side, and how many.
PHOTO_SIDE, PHOTOS_SHOWN = 80, 10
FIND_SIDE, FINDS_SHOWN = 132, 15
LINE = 3


def abbreviated(species: str) -> str:
    """A species with its genus as an initial, as biologists write it: "N. naja"; other names as they are."""
    genus, _, epithet = species.partition(" ")
    return f"{genus[:1]}. {epithet}" if epithet else species


def sheet(
    tiles: Sequence[tuple[Image.Image, str]], side: int, columns: int = COLUMNS, quality: int = 45
) -> bytes:
    """A WebP of square tiles of `side` pixels with captions, of a line or more; without any, it says so."""
    rows = max(1, -(-len(tiles) // columns))
    lines = max((caption.count("\n") + 1 for _, caption in tiles), default=1)
    height = side + CAPTION + (lines - 1) * (FONT_SIZE + 2) + GAP
    size = (columns * (side + GAP) + GAP, rows * height + GAP)
    whole = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(whole)
    if not tiles:
        pen.text((GAP, GAP), "There is no photo to show.", fill=INK, font_size=FONT_SIZE)
    for number, (tile, caption) in enumerate(tiles):
        row, column = divmod(number, columns)
        left, top = GAP + column * (side + GAP), GAP + row * height
        whole.paste(tile, (left, top))
        for line, text in enumerate(caption.split("\n")):
            at = left, top + side + 1 + line * (FONT_SIZE + 2)
            pen.text(at, _fitting(text, side, pen), fill=INK, font_size=FONT_SIZE)
    encoded = io.BytesIO()
    whole.save(encoded, "WEBP", quality=quality, method=6)
    return encoded.getvalue()


def tile_of(photo: Image.Image | None, side: int, find: Region | None = None) -> Image.Image:
    """The whole photo in the middle of a square, with a find's box and score; crossed where there is none."""
    tile = Image.new("RGB", (side, side), BLANK)
    pen = ImageDraw.Draw(tile)
    if photo is None:
        pen.line([(0, 0), (side, side)], fill=(160, 60, 60), width=LINE)
        return tile
    # A thin strip keeps one pixel, so that its box has a place.
    width, height = (max(1, round(length * side / max(photo.size))) for length in photo.size)
    left, top = (side - width) // 2, (side - height) // 2
    tile.paste(photo.resize((width, height), Image.Resampling.LANCZOS), (left, top))
    if find:
        x0, y0 = left + find.x0 * (width - 1), top + find.y0 * (height - 1)
        x1, y1 = left + find.x1 * (width - 1), top + find.y1 * (height - 1)
        pen.rectangle((x0, y0, x1, y1), outline=PALETTE[1], width=LINE)
        text = f"{find.score:.2f}"
        room = pen.textlength(text, font_size=FONT_SIZE) + 4
        at = min(x0, side - room), max(0, y0 - FONT_SIZE - 3)
        pen.rectangle((*at, at[0] + room - 1, at[1] + FONT_SIZE + 2), fill=PALETTE[1])
        pen.text((at[0] + 2, at[1]), text, fill=(0, 0, 0), font_size=FONT_SIZE)
    return tile


def contact_sheet(table: Table) -> bytes:
    """A WebP of up to 10 photos, evenly spread over `image_table`, each with its species or observation.

    Where the table tells of licences and rights holders, these stand below.
    """
    rights = [name for name in ("licence", "rights_holder") if name in table.schema.names]
    rows = table.sample(PHOTOS_SHOWN, ["image", "binomial_name", "observation_id", *rights]).to_pylist()
    tiles = [
        (
            tile_of(_decoded(row["image"], PHOTO_SIDE), PHOTO_SIDE),
            "\n".join(
                [
                    abbreviated(row["binomial_name"] or row["observation_id"]),
                    *(_short(row[name] or "rights unknown") for name in rights),
                ]
            ),
        )
        for row in rows
    ]
    return sheet(tiles, PHOTO_SIDE, quality=30)


def _short(rights: str) -> str:
    """The address of a Creative Commons licence as its usual name: CC BY-NC 4.0; other texts as they are."""
    match = re.search(r"creativecommons\.org/(?:licenses|publicdomain)/([a-z-]+)/(\d\.\d)", rights)
    kind = {"zero": "0", "mark": " PDM"}.get(match[1], f" {match[1].upper()}") if match else ""
    return f"CC{kind} {match[2]}" if match else rights


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
    places = np.linspace(0, max(0, len(ranked) - 1), min(FINDS_SHOWN, len(ranked))).round().astype(int)
    shown = [scores["image_id"][place].as_py() for place in ranked[np.unique(places)].tolist()]
    photos = images.matching("image_id", shown, ["image_id", "image"])
    image_of = dict(zip(*(column.to_pylist() for column in photos.itercolumns()), strict=True))
    finds = crops.matching("image_id", shown, crops.schema.names)
    found = zip(regions_of(finds), finds["finds"].to_pylist(), strict=True)
    tiles = {}
    for name, (region, count) in zip(finds["image_id"].to_pylist(), found, strict=True):
        photo = _decoded(image_of.get(name, b""), FIND_SIDE)
        tiles[name] = (
            tile_of(photo, FIND_SIDE, region if count else None),
            region.label if count else "no find",
        )
    return sheet([tiles[name] for name in shown], FIND_SIDE)


def answer_sheet(photos: Sequence[tuple[bytes, str]]) -> bytes:
    """A WebP of photos, each with what is said of it; one that cannot be decoded is crossed."""
    return sheet([(tile_of(_decoded(data, FIND_SIDE), FIND_SIDE), said) for data, said in photos], FIND_SIDE)


def _decoded(data: bytes, side: int) -> Image.Image | None:
    try:
        return Image.fromarray(decode(data, at_least=side))
    except UnreadablePhoto:
        return None


def _fitting(text: str, width: int, pen: ImageDraw.ImageDraw) -> str:
    """The text, cut to `width` pixels with an ellipsis at its end."""
    while len(text) > 1 and pen.textlength(text, font_size=FONT_SIZE) > width:
        text = f"{text[:-2]}…"
    return text
