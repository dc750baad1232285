"""Draws a photo of a demo snake: ground, a body along a curve, the species' pattern on its skin, light."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from snake_assets.demo.species import Colour, DemoSpecies, Look

# float32 wherever it is stored; the annotation also admits what mixed arithmetic yields.
Floats = NDArray[np.floating[Any]]
Size = tuple[int, int]
Draws = np.random.Generator

# Everything is drawn twice as large as asked and then reduced, which smooths all edges at once.
OVERSAMPLING = 2


@dataclass(frozen=True)
class Scatter:
    """What lies or grows on a ground.

    Attributes:
        outline: points of one piece of length 1 or so, which may be turned by `lean` radians (one sigma).
        colours: of the pieces.
        size: of the largest, as a share of the photo's height.
    """

    outline: tuple[tuple[float, float], ...]
    colours: tuple[Colour, ...]
    size: float
    lean: float = 9.0


@dataclass(frozen=True)
class Ground:
    """A ground: colour, how much it varies in bumps and grains (shares of brightness), and `count` pieces."""

    colour: Colour
    bumps: float
    grain: float
    count: int
    scatter: Scatter
    planks: bool = False


LEAVES = Scatter(
    ((-1.3, 0), (-1, 0), (-0.5, 0.28), (0.1, 0.32), (1, 0), (0.1, -0.32), (-0.5, -0.28), (-1, 0)),
    ((122, 84, 48), (150, 106, 62), (98, 66, 40), (172, 130, 82), (134, 74, 40), (186, 150, 100)),
    0.1,
)
BLADES = Scatter(
    ((-0.07, 0), (-0.04, -0.5), (0.05, -1), (0.05, -0.5), (0.07, 0)),
    ((86, 128, 48), (112, 150, 60), (66, 104, 40), (134, 164, 78), (98, 136, 44), (170, 166, 96)),
    0.24,
    lean=0.45,
)
STONES = Scatter(
    ((1, 0.1), (0.6, 0.6), (0, 0.8), (-0.7, 0.5), (-0.9, 0), (-0.6, -0.6), (0.1, -0.7), (0.8, -0.5)),
    ((150, 144, 136), (124, 118, 112), (172, 160, 144), (138, 122, 104), (106, 104, 104), (184, 178, 168)),
    0.04,
)
GROUNDS: Mapping[str, Ground] = {
    "litter": Ground((70, 52, 36), 0.5, 0.05, 190, LEAVES),
    "grass": Ground((62, 84, 36), 0.5, 0.05, 550, BLADES),
    "gravel": Ground((128, 118, 104), 0.25, 0.12, 360, STONES),
    "sand": Ground((214, 184, 138), 0.12, 0.06, 12, STONES),
    "wood": Ground((158, 122, 82), 0.12, 0.06, 3, LEAVES, planks=True),
}


def _noise(draws: Draws, shape: Size, *cells: tuple[float, float]) -> Floats:
    """Noise of `shape` (height, width), about -1 to 1, float32: bumps of so many pixels down and across."""
    total = np.zeros(shape, np.float32)
    for octave, cell in enumerate(cells):
        knots = [max(2, round(side / bump) + 1) for side, bump in zip(shape, cell, strict=True)]
        coarse = Image.fromarray(draws.uniform(-1, 1, knots).astype(np.float32))
        total += 0.5**octave * np.asarray(coarse.resize(shape[::-1], Image.Resampling.BICUBIC))
    return total


def _draw_ground(draws: Draws, ground: Ground, size: Size) -> Image.Image:
    shape = (size[1] // 2, size[0] // 2)
    bumps = _noise(draws, shape, *([(4, 60), (2, 40)] if ground.planks else [(40, 40), (20, 20), (10, 10)]))
    texture = ground.bumps * bumps + ground.grain * draws.standard_normal(shape, dtype=np.float32)
    if ground.planks:
        rows = np.arange(shape[0]) * draws.uniform(4, 7) / shape[0]
        texture += draws.uniform(-0.16, 0.16, 8)[rows.astype(int), None]
        texture[np.abs(rows - np.round(rows)) < 0.03] = -0.6
    rgb = np.asarray(ground.colour) * (1 + texture)[:, :, None]
    image = Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
    _strew(draws, image, ground.scatter, ground.count)
    return image


def _strew(draws: Draws, image: Image.Image, scatter: Scatter, count: int) -> None:
    """Draw pieces with their shadows at random places onto an RGB image, those further down on top."""
    at = draws.uniform(0, 1.1, (count, 2)) * image.size
    turn = draws.normal(0, scatter.lean, count)
    size = draws.uniform(0.35, 1, count) * scatter.size * image.size[1]
    turned = np.stack(
        [np.stack([np.cos(turn), np.sin(turn)], -1), np.stack([-np.sin(turn), np.cos(turn)], -1)], 1
    )
    pieces = np.asarray(scatter.outline) @ turned * size[:, None, None] + at[:, None, :]
    colours = np.asarray(scatter.colours)[draws.integers(len(scatter.colours), size=count)]
    colours = np.clip(colours * draws.uniform(0.75, 1.18, (count, 1)), 0, 255).astype(int)
    shadow = 0.008 * image.size[1]
    pen = ImageDraw.Draw(image)
    for number in np.argsort(at[:, 1]).tolist():
        r, g, b = colours[number].tolist()
        pen.polygon((pieces[number] + shadow).ravel().tolist(), fill=(r // 3, g // 3, b // 3))
        pen.polygon(
            pieces[number].ravel().tolist(), fill=(r, g, b), outline=(r * 8 // 10, g * 8 // 10, b * 8 // 10)
        )


def _pose(draws: Draws, girth: float) -> Floats:
    """How a snake lies: a curve [400, 2] of length 1, tail first; one in five is coiled."""
    along = np.linspace(0, 1, 400)
    if draws.random() < 0.2:
        # A spiral whose turns lie beside each other: its radius grows by a girth each turn.
        inner, growth = draws.uniform(1.0, 1.3) * girth, draws.uniform(0.95, 1.15) * girth / (2 * np.pi)
        heading = ((np.sqrt(inner**2 + 2 * growth * along) - inner) / growth)[:: draws.choice([-1, 1])]
    else:
        swing = draws.uniform(0.4, 1.6) * np.sin(2 * np.pi * (draws.uniform(1, 2) * along + draws.uniform()))
        heading = swing + draws.uniform(-1.5, 1.5) * along
    # A bent head looks broken: the last stretch keeps the direction in which the neck arrives.
    neck = round(len(along) * (1 - 2.2 * girth))
    heading[neck:] = heading[neck]
    heading = heading + draws.uniform(0, 2 * np.pi)
    return np.cumsum(np.stack([np.cos(heading), np.sin(heading)], axis=1), axis=0) / len(along)


def _placed(draws: Draws, curve: Floats, girth: float, size: Size) -> tuple[Floats, float]:
    """The curve in pixels of a frame of `size` (width, height), and the pixels of the snake's length.

    A long snake is not drawn thinner than can be seen. Where it does not fit, its tail is cut off.
    """
    frame = np.array(size)
    scale = float(draws.uniform(0.75, 1) * np.min(frame / (np.ptp(curve, axis=0) + girth)))
    scale = float(np.clip(scale, 0.085 * min(size) / girth, 0.17 * min(size) / girth))
    points = curve * scale
    low, high = points.min(axis=0), points.max(axis=0)
    room = np.maximum(frame - (high - low), 0.12 * frame)
    points = points + frame / 2 - (low + high) / 2 + draws.uniform(-0.3, 0.3, 2) * room
    return points + np.clip(points[-1], 0.12 * frame, 0.88 * frame) - points[-1], scale


@dataclass(frozen=True)
class _Body:
    """The pixels of a canvas that show the body, and where on the body each lies.

    `mask` is bool [height, width], the others are float32 [pixels] in its order: `along` from 0 (tail) to 1
    (snout), `across` from -1 to 1, `half_width` in pixels, `normal` [pixels, 2] the way that `across` grows.
    """

    mask: NDArray[np.bool_]
    along: Floats
    across: Floats
    half_width: Floats
    normal: Floats


def _rasterised(curve: Floats, scale: float, look: Look, size: Size) -> _Body:
    """The body around a curve; tail first, so that the head's side lies on top where it crosses itself."""
    width, height = size
    # Finer than a pixel's diagonal, so that the outside of a bend shows no holes.
    along = np.linspace(0, 1, max(64, int(2 * scale)))
    points = np.stack([np.interp(along, np.linspace(0, 1, len(curve)), axis) for axis in curve.T], axis=1)
    tangent = np.gradient(points, axis=0)
    tangent /= np.maximum(np.hypot(*tangent.T), 1e-9)[:, None]
    head = _head_length(look)
    neck, cheek = (0.5, 1.14) if look.wide_head else (0.78, 0.98)
    stations = [0, 0.02, 0.1, 0.22, 0.4, 0.6, 0.8, 1 - 2.4 * head, 1 - head]
    stations += [1 - head * left for left in (0.65, 0.4, 0.15, 0)]
    widths = [0.04, 0.12, 0.42, 0.74, 0.96, 1, 0.94, 0.84, neck, cheek, 0.9, 0.55, 0.1]
    half = np.maximum(0.5 * look.girth * scale * np.interp(along, stations, widths), 0.6)
    across = np.linspace(-1, 1, max(9, int(4 * half.max())))
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    at = points[:, None] + (half[:, None] * across)[:, :, None] * normal[:, None]
    x, y = at.astype(np.int32).transpose(2, 0, 1)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    shown: NDArray[np.int64] = np.full((height, width), -1)
    shown[y[inside], x[inside]] = np.flatnonzero(inside)
    station, lane = np.divmod(shown[shown >= 0], len(across))
    columns = (along[station], across[lane], half[station], normal[station])
    return _Body(shown >= 0, *(column.astype(np.float32) for column in columns))


def _head_length(look: Look) -> float:
    """Over the body's length."""
    return 1.5 * look.girth


def _repeat(phase: Floats) -> Floats:
    """Distance from the middle of the repeat, -0.5 to 0.5."""
    return phase - np.floor(phase) - 0.5


def _speckles(phase: Floats, side: Floats, draws: Draws) -> Floats:
    row, column = (side * 6).astype(int) + 6, (phase * 3.2).astype(int)
    luck: Floats = draws.random((256, 13))[column % 256, row]
    return luck - 0.3


# Name -> how wide the rim of a marking is, and the distance to the nearest marking, below 0 inside. `phase`
# counts repeats from the tail, `side` runs from -1 to 1 round the visible half in equal steps of skin.
PATTERNS: Mapping[str, tuple[float, Callable[[Floats, Floats, Draws], Floats]]] = {
    "rings": (0.14, lambda phase, side, _: np.abs(_repeat(phase)) - 0.18),
    "bands": (0.06, lambda phase, side, _: np.abs(_repeat(phase)) - 0.17 - 0.07 * np.abs(side)),
    "blotches": (0.2, lambda phase, side, _: np.hypot(_repeat(phase) / 0.34, side / 0.52) - 0.8),
    "diamonds": (0.22, lambda phase, side, _: 2 * np.abs(_repeat(phase)) + 1.15 * np.abs(side) - 0.78),
    "zigzag": (0.1, lambda phase, side, _: np.abs(side - 1.2 * np.abs(_repeat(phase)) + 0.3) - 0.24),
    "stripes": (0, lambda phase, side, _: np.minimum(np.abs(side), np.abs(np.abs(side) - 0.62)) - 0.1),
    "plain": (0.3, lambda phase, side, _: 0.9 - np.abs(side)),
    "sideline": (0.1, lambda phase, side, _: np.abs(np.abs(side) - 0.66) - 0.1),
    "speckles": (0.14, _speckles),
    "net": (
        0.06,
        lambda phase, side, _: np.abs([_repeat(phase + lean * side) for lean in (-0.42, 0.42)]).min(0) - 0.08,
    ),
}


def _skin(body: _Body, scale: float, look: Look, draws: Draws) -> Floats:
    """The colour of every body pixel without light, float32 [pixels, 3], 0 to 255."""
    side = np.arcsin(body.across) / np.float32(np.pi / 2)
    # Markings are irregular, and each snake's are its own.
    ragged = [np.interp(body.along, np.linspace(0, 1, 80), draws.uniform(-1, 1, 80)) for _ in range(2)]
    phase = body.along * look.repeats * draws.uniform(0.92, 1.08) + draws.uniform() + 0.1 * ragged[0]
    rim, distance_to_marking = PATTERNS[look.pattern]
    distance = distance_to_marking(phase, np.clip(side + 0.04 * ragged[1], -1, 1), draws)
    colours = np.asarray(look.colours, np.float32)
    rgb: Floats = colours[np.select([distance < 0, distance < rim], [1, 2])]
    # A lattice of scales.
    rows, columns = side * 5.5, body.along * 9 / look.girth
    rgb *= (
        1.06 - 0.75 * np.maximum(np.abs([_repeat(columns + rows), _repeat(columns - rows)]).max(0) - 0.3, 0)
    )[:, None]
    head = _head_length(look)
    into = (body.along - (1 - head)) / head
    rgb[into > 0] = 0.92 * colours[0]
    eye = np.hypot((into - 0.6) * head * scale, (np.abs(body.across) - 0.66) * body.half_width) / (
        head * scale
    )
    rgb[eye < 0.09] = (16, 14, 12)
    rgb[eye < 0.025] = (250, 250, 250)
    return rgb


def draw_photo(species: DemoSpecies, size: Size, snake: Draws, moment: Draws) -> NDArray[np.uint8]:
    """One photo, uint8 [height, width, 3] sRGB. The same states of the generators give the same bytes.

    Args:
        species: what it shows.
        size: width and height, pixels.
        snake: gives what the photos of one observation share: colours, markings, the place, the time of day.
        moment: gives the rest: how the snake lies, the framing, the light.
    """
    look = species.look
    tint = snake.uniform(0.88, 1.1) * snake.uniform(0.94, 1.06, 3)
    ground = GROUNDS[snake.choice(look.grounds if snake.random() < 0.75 else list(GROUNDS))]
    daylight = snake.uniform(0.86, 1.12) * (1 + snake.normal(0, 0.045) * np.array([1, 0.2, -1]))
    large = (size[0] * OVERSAMPLING, size[1] * OVERSAMPLING)
    image = _draw_ground(moment, ground, large)
    curve, scale = _placed(moment, _pose(moment, look.girth), look.girth, large)
    body = _rasterised(curve, scale, look, large)
    angle = moment.uniform(0, 2 * np.pi)
    light = np.array([np.cos(angle), np.sin(angle)], np.float32)
    _cast_shadow(image, body.mask, 0.3 * look.girth * scale, light)
    facing = 0.75 * np.sqrt(1 - body.across**2) + 0.5 * body.across * (body.normal @ light)
    shine = 30 * np.clip((facing - 0.8) / 0.12, 0, 1) ** 2
    lit = (
        _skin(body, scale, look, snake) * tint * (0.42 + 0.72 * np.clip(facing, 0, 1))[:, None]
        + shine[:, None]
    )
    canvas = np.array(image)
    canvas[body.mask] = np.clip(lit, 0, 255).astype(np.uint8)
    image = Image.fromarray(canvas)
    if moment.random() < 0.5:
        _strew(moment, image, ground.scatter, int(moment.integers(1, 12)))
    return _exposed(image.reduce(OVERSAMPLING), daylight, moment)


def _cast_shadow(image: Image.Image, mask: NDArray[np.bool_], drop: float, light: Floats) -> None:
    small = Image.fromarray(mask.astype(np.uint8) * 255).reduce(4)
    away = [round(-float(side) * drop / 4) for side in light]
    fallen = Image.new("L", small.size)
    fallen.paste(small.filter(ImageFilter.GaussianBlur(max(1.0, drop / 4))), (away[0], away[1]))
    dark = fallen.point(lambda value: value * 0.7).resize(image.size, Image.Resampling.BILINEAR)
    image.paste((18, 14, 12), (0, 0), dark)


def _exposed(image: Image.Image, daylight: Floats, moment: Draws) -> NDArray[np.uint8]:
    """As a camera sees it: a little blurred at times, darker towards the corners, with noise."""
    if moment.random() < 0.35:
        image = image.filter(ImageFilter.GaussianBlur(moment.uniform(0.3, 0.8)))
    rows, columns = (np.linspace(-1, 1, side) - moment.uniform(-0.3, 0.3) for side in image.size[::-1])
    vignette = 1 - moment.uniform(0.02, 0.16) * (rows[:, None] ** 2 + columns**2)
    noise = moment.uniform(1, 5) * moment.standard_normal(vignette.shape)
    exposed = np.asarray(image) * vignette[:, :, None] * daylight + noise[:, :, None]
    return np.clip(exposed, 0, 255).astype(np.uint8)
