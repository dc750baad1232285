"""The colour of every point of a snake's skin: pattern, scales, head and eyes, light on the round body."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snake_assets.demo.bodies import Body
from snake_assets.demo.noise import Floats, wobble
from snake_assets.demo.species import Look, Pattern


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
