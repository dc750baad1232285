"""From a centre line to pixels: which point of the skin every pixel of the canvas shows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snake_assets.demo.noise import Floats
from snake_assets.demo.poses import Curve
from snake_assets.demo.species import Head

# Finer than a pixel's diagonal allows, so that the outside of a bend shows no holes.
_STEP = 0.5

_HEAD_OUTLINES: dict[Head, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "oval": (
        (0.0, 0.18, 0.42, 0.62, 0.8, 0.9, 0.96, 1.0),
        (0.76, 0.86, 0.98, 0.9, 0.7, 0.54, 0.38, 0.08),
    ),
    "triangular": (
        (0.0, 0.12, 0.24, 0.36, 0.6, 0.82, 0.93, 1.0),
        (0.48, 0.6, 1.02, 1.14, 0.9, 0.6, 0.42, 0.1),
    ),
}


@dataclass(frozen=True)
class Body:
    """The pixels of a canvas that show the body, and where on the body each of them lies.

    `mask` is bool [height, width]; the other arrays are float32 [pixels] in the order of its true pixels.
    `along` runs from 0 (tail) to 1 (snout), `across` from -1 to 1, `half_width` is in pixels,
    `normal_x`, `normal_y` are the direction of growing `across`. `covered` is the share of light that parts
    of the same body lying on top take away. `head_share` is the head's length over the body's.
    """

    mask: NDArray[np.bool_]
    along: Floats
    across: Floats
    half_width: Floats
    normal_x: Floats
    normal_y: Floats
    covered: Floats
    head_share: float
    length_px: float


def head_share(girth: float, head: Head) -> float:
    """The head's length over the body's length."""
    return girth * (1.55 if head == "oval" else 1.45)


def _outline(along: NDArray[np.float64], girth: float, head: Head) -> NDArray[np.float64]:
    share = head_share(girth, head)
    at, wide = _HEAD_OUTLINES[head]
    body_at = np.array([0.0, 0.02, 0.1, 0.22, 0.4, 0.6, 0.8, 1 - 2.4 * share, 1 - share])
    body_wide = np.array([0.04, 0.12, 0.42, 0.74, 0.96, 1.0, 0.94, 0.84, wide[0]])
    stations = np.concatenate([body_at, 1 - share + share * np.array(at[1:])])
    widths = np.concatenate([body_wide, wide[1:]])
    return np.asarray(0.5 * girth * np.interp(along, stations, widths))


def _covered(order: NDArray[np.int32], rows: int, reach: float) -> Floats:
    """Light taken away, [height, width], where the body to the upper left lies nearer to the head."""
    taken = np.zeros(order.shape, np.float32)
    for share, weight in ((0.25, 0.3), (0.5, 0.22), (0.8, 0.14)):
        shift = max(1, round(reach * share))
        above = order[:-shift, :-shift] - order[shift:, shift:] > rows
        taken[shift:, shift:][above] += np.float32(weight)
    return taken


def rasterise(curve: Curve, scale: float, girth: float, head: Head, size: tuple[int, int]) -> Body:
    """The body around `curve` ([points, 2] in pixels, tail first) on a canvas of `size` (width, height).

    Every skin point is put into the pixel where it lands, tail first, so that the head's side lies on top
    where the body crosses itself.
    """
    width, height = size
    stations = max(64, int(scale / _STEP))
    along = np.linspace(0, 1, stations)
    at = np.linspace(0, 1, len(curve))
    points = np.stack([np.interp(along, at, curve[:, axis]) for axis in (0, 1)], axis=1)
    tangent = np.gradient(points, axis=0)
    tangent /= np.maximum(np.hypot(tangent[:, 0], tangent[:, 1]), 1e-9)[:, None]
    half = np.maximum(_outline(along, girth, head) * scale, 0.6)
    lanes = max(9, int(2 * half.max() / _STEP))
    across = np.linspace(-1, 1, lanes, dtype=np.float32)

    offset = half[:, None].astype(np.float32) * across
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1).astype(np.float32)
    x = (points[:, :1].astype(np.float32) + offset * normal[:, :1]).astype(np.int32)
    y = (points[:, 1:].astype(np.float32) + offset * normal[:, 1:]).astype(np.int32)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    shown: NDArray[np.int32] = np.full((height, width), -1, np.int32)
    shown.ravel()[(y * width + x)[inside]] = np.arange(x.size, dtype=np.int32).reshape(x.shape)[inside]
    mask = shown >= 0
    station, lane = np.divmod(shown[mask], lanes)
    covered = _covered(shown, int(1.8 * girth * stations) * lanes, float(half.max()))
    return Body(
        mask=mask,
        along=along.astype(np.float32)[station],
        across=across[lane],
        half_width=half.astype(np.float32)[station],
        normal_x=normal[station, 0],
        normal_y=normal[station, 1],
        covered=covered[mask],
        head_share=head_share(girth, head),
        length_px=scale,
    )
