"""The colour of every point of a snake's skin: pattern, scales, head and eyes, light on the round body."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snake_assets.demo.noise import Floats, wobble
from snake_assets.demo.species import Head, Look, Pattern

# How a snake lies: centre lines of length 1, from tail to head.


Curve = NDArray[np.float64]

_POINTS = 400


def _walk(heading: NDArray[np.float64]) -> Curve:
    steps = np.stack([np.cos(heading), np.sin(heading)], axis=1) / len(heading)
    return np.cumsum(steps, axis=0)


def _straight_head(heading: NDArray[np.float64], girth: float) -> NDArray[np.float64]:
    # A bent head looks broken, so the last stretch keeps the direction in which the neck arrives.
    neck = max(1, round(len(heading) * (1 - 2.2 * girth)))
    heading[neck:] = heading[neck]
    return heading


def _serpentine(rng: np.random.Generator, girth: float) -> Curve:
    along = np.linspace(0, 1, _POINTS)
    waves = rng.uniform(1.3, 2.4)
    swing = rng.uniform(0.75, 1.25) * (1 + 0.35 * np.sin(2 * np.pi * (along + rng.uniform())))
    bend = rng.uniform(-1.2, 1.2) * along
    return _walk(_straight_head(swing * np.sin(2 * np.pi * (waves * along + rng.uniform())) + bend, girth))


def _stretched(rng: np.random.Generator, girth: float) -> Curve:
    along = np.linspace(0, 1, _POINTS)
    wave = 0.4 * np.sin(2 * np.pi * (rng.uniform(0.8, 1.8) * along + rng.uniform()))
    return _walk(_straight_head(wave + rng.uniform(-1.6, 1.6) * along, girth))


def _meander(rng: np.random.Generator, girth: float) -> Curve:
    along = np.linspace(0, 1, _POINTS)
    waves = rng.uniform(1.3, 1.9)
    swing = rng.uniform(1.5, 1.85) * np.minimum(1, 1.4 * (1.08 - along))
    return _walk(_straight_head(swing * np.sin(2 * np.pi * (waves * along + rng.uniform())), girth))


def _loop(rng: np.random.Generator, girth: float) -> Curve:
    # One full turn in the middle of the body, so that the snake lies across itself.
    along = np.linspace(0, 1, _POINTS)
    turn = (
        2
        * np.pi
        * rng.uniform(0.9, 1.1)
        / (1 + np.exp(-(along - rng.uniform(0.4, 0.55)) / rng.uniform(0.1, 0.15)))
    )
    wave = 0.45 * np.sin(2 * np.pi * (1.5 * along + rng.uniform()))
    return _walk(_straight_head((turn + wave) * rng.choice([-1, 1]), girth))


def _coil(rng: np.random.Generator, girth: float) -> Curve:
    spacing = rng.uniform(0.92, 1.12) * girth / (2 * np.pi)
    inner = rng.uniform(1.0, 1.3) * girth
    turn = (np.sqrt(inner**2 + 2 * spacing) - inner) / spacing
    angle = np.linspace(0, turn, 4 * _POINTS)
    radius = inner + spacing * angle
    spiral = np.stack([radius * np.cos(angle), radius * np.sin(angle) * rng.uniform(0.78, 1.0)], axis=1)
    if rng.random() < 0.6:
        spiral = spiral[::-1]
    travelled = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(spiral, axis=0).T))])
    at = np.linspace(0, travelled[-1], _POINTS + 1)
    evenly = np.stack([np.interp(at, travelled, spiral[:, axis]) for axis in (0, 1)], axis=1)
    step = np.diff(evenly, axis=0)
    return _walk(_straight_head(np.unwrap(np.arctan2(step[:, 1], step[:, 0])), girth))


_POSES: tuple[tuple[Callable[[np.random.Generator, float], Curve], float], ...] = (
    (_serpentine, 0.34),
    (_meander, 0.2),
    (_stretched, 0.14),
    (_loop, 0.14),
    (_coil, 0.18),
)


def lie_down(rng: np.random.Generator, girth: float) -> Curve:
    """A random pose: a float64 curve [points, 2] of (x, y), length about 1, tail first, head last.

    `girth` is the body's largest width over its length; it keeps the turns wider than the body.
    """
    choice = rng.choice(len(_POSES), p=[share for _, share in _POSES])
    return _POSES[choice][0](rng, girth)


def place_in_frame(
    rng: np.random.Generator, curve: Curve, girth: float, fill: float, size: tuple[int, int]
) -> tuple[Curve, float]:
    """The curve turned, scaled and moved into a frame of `size` (width, height); and pixels per length.

    `fill` is the share of the frame that the snake should take. Some snakes stick out of the frame: a long
    one is not drawn thinner than can be seen, and one in eight photos is off centre.
    """
    width, height = size
    best: tuple[float, Curve] | None = None
    for angle in rng.uniform(0, 2 * np.pi, 3):
        turned = curve @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        extent = np.ptp(turned, axis=0) + girth
        scale = fill * min(width / extent[0], height / extent[1])
        if best is None or scale > best[0]:
            best = scale, turned
    assert best is not None
    scale = float(np.clip(best[0], 0.062 * min(size) / girth, 0.17 * min(size) / girth))
    points = best[1] * scale
    low, high = points.min(axis=0), points.max(axis=0)
    room = np.array([width, height]) - (high - low)
    off_centre = 0.75 if rng.random() < 0.125 else 0.3
    shift = rng.uniform(-off_centre, off_centre, 2) * np.maximum(room, 0.12 * np.array([width, height]))
    centre = np.array([width, height]) / 2 - (low + high) / 2 + shift
    if np.any(room < 0):
        # The head tells most, so where the snake does not fit, it is the tail that is cut off.
        moved_head = points[-1] + centre
        inside = np.clip(moved_head, 0.12 * np.array([width, height]), 0.88 * np.array([width, height]))
        centre = centre + (inside - moved_head)
    return points + centre, scale


# From a centre line to pixels: which point of the skin every pixel of the canvas shows.


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


@dataclass(frozen=True)
class Skin:
    """Where the painted points lie: float32 [pixels] each.

    `phase` counts the pattern's repeats from the tail, `side` runs from -1 to 1 around the visible half of
    the body in equal steps of skin. `colours` is float32 [colours, 3], `seed` individual to the snake.
    """

    phase: Floats
    side: Floats
    colours: Floats
    seed: int


def _soft(distance: Floats, width: float) -> Floats:
    weight: Floats = np.clip(0.5 - distance / np.float32(width), 0, 1)[:, None]
    return weight


def _mix(under: Floats, over: Floats, weight: Floats) -> Floats:
    return under + (over - under) * weight


def _repeat(phase: Floats) -> Floats:
    """Distance from the middle of the repeat, -0.5..0.5."""
    return phase - np.floor(phase) - np.float32(0.5)


def _hash(a: NDArray[np.int64], b: NDArray[np.int64], word: int) -> Floats:
    mixed = (a * 73856093) ^ (b * 19349663) ^ (word * 83492791)
    mixed = (mixed ^ (mixed >> 13)) * 1274126177
    return ((mixed & 0xFFFF) / 65535).astype(np.float32)


def _rings(skin: Skin) -> Floats:
    ends = np.array([0.40, 0.52, 0.88, 1.0] if len(skin.colours) == 4 else [0.5, 1.0])
    ring = np.searchsorted(ends, np.clip(_repeat(skin.phase) + 0.5, 0, 0.9999), side="right")
    colours: Floats = skin.colours[ring]
    return colours


def _bands(skin: Skin) -> Floats:
    distance = np.abs(_repeat(skin.phase)) - np.float32(0.17) - 0.07 * np.abs(skin.side)
    darker = _mix(skin.colours[:1], skin.colours[2:3], _soft(np.abs(distance) - 0.06, 0.1))
    return _mix(darker, skin.colours[1:2], _soft(distance, 0.08))


def _blotches(skin: Skin) -> Floats:
    middle = np.hypot(_repeat(skin.phase) / np.float32(0.34), skin.side / np.float32(0.52))
    flank = np.hypot(
        _repeat(skin.phase + np.float32(0.5)) / np.float32(0.24), (np.abs(skin.side) - 0.82) / np.float32(0.2)
    )
    distance = np.minimum(middle, flank) - 1
    edged = _mix(skin.colours[:1], skin.colours[2:3], _soft(distance, 0.12))
    return _mix(edged, skin.colours[1:2], _soft(distance + 0.22, 0.12))


def _diamonds(skin: Skin) -> Floats:
    distance = 2 * np.abs(_repeat(skin.phase)) + 1.15 * np.abs(skin.side) - np.float32(0.9)
    edged = _mix(skin.colours[:1], skin.colours[2:3], _soft(np.abs(distance) - 0.1, 0.1))
    filled = _mix(edged, skin.colours[1:2], _soft(distance + 0.12, 0.1))
    heart = _mix(skin.colours[:1], skin.colours[1:2], np.float32(0.35) * np.ones_like(filled[:, :1]))
    return _mix(filled, heart, _soft(distance + 0.52, 0.12))


def _zigzag(skin: Skin) -> Floats:
    swing = 4 * np.abs(_repeat(skin.phase)) - 1
    distance = np.abs(skin.side - np.float32(0.3) * swing) - np.float32(0.24)
    spots = np.hypot(
        _repeat(skin.phase + np.where(skin.side > 0, np.float32(0.5), np.float32(0))) / np.float32(0.2),
        (np.abs(skin.side) - 0.78) / np.float32(0.13),
    )
    pale = _mix(skin.colours[:1], skin.colours[2:3], _soft(np.abs(distance) - 0.08, 0.1))
    dotted = _mix(pale, skin.colours[1:2], np.float32(0.75) * _soft(spots - 1, 0.3))
    return _mix(dotted, skin.colours[1:2], _soft(distance, 0.08))


def _stripes(skin: Skin) -> Floats:
    lines = np.minimum(
        np.abs(skin.side) - np.float32(0.11), np.abs(np.abs(skin.side) - 0.62) - np.float32(0.1)
    )
    lowest = _mix(skin.colours[:1], skin.colours[2:3], _soft(0.82 - np.abs(skin.side), 0.1))
    return _mix(lowest, skin.colours[1:2], _soft(lines, 0.07))


def _plain(skin: Skin) -> Floats:
    belly = _soft(0.9 - np.abs(skin.side), 0.2)
    back = _mix(skin.colours[:1], skin.colours[2:3], 0.55 * _soft(np.abs(skin.side) - 0.25, 0.5))
    return _mix(back, skin.colours[1:2], belly)


def _sideline(skin: Skin) -> Floats:
    line = np.abs(np.abs(skin.side) - 0.68) - np.float32(0.1)
    below = np.abs(np.abs(skin.side) - 0.84) - np.float32(0.05)
    crossbars = 0.4 * _soft(np.abs(_repeat(skin.phase)) - 0.12, 0.1)
    barred = _mix(skin.colours[:1], 0.72 * skin.colours[:1], crossbars)
    return _mix(_mix(barred, skin.colours[2:3], _soft(below, 0.06)), skin.colours[1:2], _soft(line, 0.06))


def _speckles(skin: Skin) -> Floats:
    row = np.floor(skin.side * 6).astype(np.int64)
    column = np.floor(skin.phase * 3.2 + 0.5 * (row % 2)).astype(np.int64)
    luck = _hash(row, column, skin.seed)
    dark = np.where(luck[:, None] > 0.86, skin.colours[2], skin.colours[0])
    speckled: Floats = np.where(luck[:, None] < 0.3, skin.colours[1], dark)
    return speckled


def _net(skin: Skin) -> Floats:
    lean = np.float32(0.42) * skin.side
    mesh = np.minimum(np.abs(_repeat(skin.phase + lean)), np.abs(_repeat(skin.phase - lean)))
    distance = mesh - np.float32(0.075)
    gilded = _mix(skin.colours[:1], skin.colours[2:3], _soft(distance - 0.07, 0.05))
    return _mix(gilded, skin.colours[1:2], _soft(distance, 0.05))


_PATTERNS: dict[Pattern, Callable[[Skin], Floats]] = {
    "rings": _rings,
    "bands": _bands,
    "blotches": _blotches,
    "diamonds": _diamonds,
    "zigzag": _zigzag,
    "stripes": _stripes,
    "plain": _plain,
    "sideline": _sideline,
    "speckles": _speckles,
    "net": _net,
}


def _scale_relief(body: Body, side: Floats, girth: float, keel: float) -> Floats:
    """Brightness factor of the scales, about 0.85..1.1: a lattice of lozenges, keeled on rough skins."""
    rows = side * np.float32(5.5)
    columns = body.along * np.float32(9 / girth)
    u, v = columns + rows, columns - rows
    u, v = u - np.floor(u) - np.float32(0.5), v - np.floor(v) - np.float32(0.5)
    edge = np.maximum(np.abs(u), np.abs(v))
    relief = 1.06 - 0.75 * np.maximum(edge - np.float32(0.3), 0)
    keeled: Floats = relief - np.float32(keel) * (np.abs(u - v) < 0.16)
    return keeled


def _paint_head(
    rgb: Floats, into: Floats, across: Floats, half_width: Floats, head_px: float, look: Look
) -> Floats:
    """The colours `rgb` with the head over them; `into` runs from 0 at the nape to 1 at the snout."""
    head_colour = np.asarray(look.head_colour, np.float32)
    painted = _mix(rgb, head_colour, _soft(0.12 - into, 0.2))
    if look.pattern == "rings":
        nape = np.abs(into - 0.32) - np.float32(0.17)
        painted = _mix(painted, np.asarray(look.colours[1], np.float32), _soft(nape, 0.08))
    if look.head == "triangular":
        # A dark line from eye to jaw, as many vipers have.
        cheek = np.maximum(np.abs(np.abs(across) - 0.7) - 0.14, np.abs(into - 0.35) - 0.22)
        painted = _mix(painted, 0.45 * head_colour, np.float32(0.8) * _soft(cheek, 0.08))
    eye_at = 0.62 if look.head == "oval" else 0.6
    off_x = (into - np.float32(eye_at)) * np.float32(head_px)
    off_y = (np.abs(across) - np.float32(0.66)) * half_width
    size = np.float32(0.078 * head_px)
    eye = np.hypot(off_x, off_y * np.float32(1.25))
    iris = np.array([226, 178, 70] if look.head == "triangular" else [120, 84, 44], np.float32)
    painted = _mix(painted, np.array([16, 14, 12], np.float32), _soft((eye - size * 1.15) / size, 0.4))
    painted = _mix(painted, iris, _soft((eye - size * 0.8) / size, 0.4))
    slit = np.hypot(off_x * np.float32(2.4 if look.head == "triangular" else 1.2), off_y)
    painted = _mix(painted, np.array([8, 8, 8], np.float32), _soft((slit - size * 0.6) / size, 0.4))
    glint = np.hypot(off_x - size * 0.3, off_y - size * 0.25)
    return _mix(painted, np.array([250, 250, 250], np.float32), _soft((glint - size * 0.25) / size, 0.3))


def paint_skin(body: Body, look: Look, tint: Floats, pattern_seed: int, light: tuple[float, float]) -> Floats:
    """The colour of every body pixel: float32 [pixels, 3], sRGB bytes 0..255.

    `tint` is a float32 [3] factor on all colours (individuals differ), `pattern_seed` fixes how irregular
    one individual's markings are, `light` is the direction (x, y) that the light comes from.
    """
    rng = np.random.default_rng(pattern_seed)
    side = (np.arcsin(np.clip(body.across, -1, 1)) / np.float32(np.pi / 2)).astype(np.float32)
    phase = body.along * np.float32(look.repeats * rng.uniform(0.92, 1.08)) + np.float32(rng.uniform())
    phase += 0.1 * wobble(rng, body.along, 50) + 0.05 * wobble(rng, body.along, 200) * side
    ragged = side + 0.045 * wobble(rng, body.along, 150)
    skin = Skin(phase, ragged, np.asarray(look.colours, np.float32), pattern_seed)
    rgb = _PATTERNS[look.pattern](skin)
    rgb = rgb * _scale_relief(body, side, look.girth, 0.1 if look.gloss < 0.1 else 0.0)[:, None]
    into = (body.along - np.float32(1 - body.head_share)) / np.float32(body.head_share)
    head = np.flatnonzero(into > 0)
    rgb[head] = _paint_head(
        rgb[head],
        into[head],
        body.across[head],
        body.half_width[head],
        body.head_share * body.length_px,
        look,
    )
    rgb = rgb * tint

    round_up = np.sqrt(np.maximum(1 - body.across**2, 0))
    facing = 0.75 * round_up + 0.5 * body.across * (body.normal_x * light[0] + body.normal_y * light[1])
    shade = (0.42 + 0.72 * np.clip(facing, 0, 1)) * (1 - body.covered)
    shine = np.clip((facing - 0.8) / 0.12, 0, 1) ** 2 * (1 - body.covered) * np.float32(70 * look.gloss)
    return np.asarray(np.clip(rgb * shade[:, None] + shine[:, None], 0, 255), np.float32)
