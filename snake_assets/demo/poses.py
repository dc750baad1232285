"""How a snake lies: centre lines of length 1, from tail to head."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

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
