"""How all charts look: colours that colour-blind people tell apart, and the way a figure becomes a file."""

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito, "Color Universal Design" (2008).
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
HARMLESS, VENOMOUS = PALETTE[0], PALETTE[5]
DPI = 110


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure of so many inches; independent of any display and of pyplot's global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def to_png(figure: "Figure") -> bytes:
    """The figure as a PNG file; the same figure gives the same bytes."""
    encoded = io.BytesIO()
    figure.savefig(encoded, format="png", metadata={"Software": None})
    return encoded.getvalue()
