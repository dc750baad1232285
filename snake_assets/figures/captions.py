"""Words on sheets of photos, cut to the room there is."""

from PIL import ImageDraw


def abbreviated(species: str) -> str:
    """A species with its genus as an initial, as biologists write it: "N. naja"; other names as they are."""
    genus, _, epithet = species.partition(" ")
    return f"{genus[:1]}. {epithet}" if epithet else species


def fitting(text: str, width: int, font_size: int, pen: ImageDraw.ImageDraw) -> str:
    """The text, cut to `width` pixels with an ellipsis at its end."""
    while len(text) > 1 and pen.textlength(text, font_size=font_size) > width:
        text = f"{text[:-2]}…"
    return text
