"""How all charts look: colours that colour-blind people tell apart, and the way a figure becomes a file."""

import io
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito, "Color Universal Design" (2008).
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
HARMLESS, VENOMOUS = PALETTE[0], PALETTE[5]
DPI = 100
# Inches: the UI shows pictures in a window of 820 pixels.
WIDEST = 8.2
COLOURS = 24


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure of so many inches; independent of any display and of pyplot's global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def to_png(figure: "Figure") -> bytes:
    """The figure as a PNG file of at most 24 colours; the same figure gives the same bytes."""
    drawn, encoded = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png")
    image = Image.open(drawn).convert("RGB")
    # A quarter of the bytes, which the UI loads each time; a colour of few pixels is kept too.
    few_colours = image.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few_colours.save(encoded, "PNG", optimize=True)
    return encoded.getvalue()
