"""Draws a photo of a demo snake."""

import fcntl
import glob
import json
import shutil
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from snake_assets.demo.noise import Floats, fractal_noise, smooth_noise
from snake_assets.demo.snake import Body, Curve, lie_down, paint_skin, place_in_frame, rasterise
from snake_assets.demo.species import Colour, DemoSpecies, Ground

# What the snakes lie on, and what lies on them: leaves, grass, stones, sand, asphalt, wood.


_LEAF_COLOURS: tuple[Colour, ...] = (
    (122, 84, 48),
    (150, 106, 62),
    (98, 66, 40),
    (172, 130, 82),
    (134, 74, 40),
    (110, 92, 62),
    (186, 150, 100),
    (90, 84, 50),
)
_STONE_COLOURS: tuple[Colour, ...] = (
    (150, 144, 136),
    (124, 118, 112),
    (172, 160, 144),
    (138, 122, 104),
    (106, 104, 104),
    (184, 178, 168),
)
_LIVING_GREENS: tuple[Colour, ...] = (
    (86, 128, 48),
    (112, 150, 60),
    (66, 104, 40),
    (134, 164, 78),
    (98, 136, 44),
    (170, 166, 96),
)


def _textured(colour: Colour, texture: Floats, contrast: Floats | float) -> Image.Image:
    rgb = np.asarray(colour, np.float32) * (1 + texture * contrast)[:, :, None]
    return Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8))


def _grain(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return rng.standard_normal(shape, dtype=np.float32)


def _enlarged(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image.resize(size, Image.Resampling.BILINEAR)


def _shapes(
    outline: NDArray[np.float64],
    at: NDArray[np.float64],
    turn: NDArray[np.float64],
    size: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Copies [n, points, 2] of an `outline` ([points, 2] or [n, points, 2]), turned, scaled and moved."""
    cos, sin = np.cos(turn), np.sin(turn)
    rotation = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    turned: NDArray[np.float64] = outline @ rotation.transpose(0, 2, 1)
    return turned * size[:, None, None] + at[:, None, :]


def _flat(points: NDArray[np.float64]) -> list[list[float]]:
    flat: list[list[float]] = np.round(points.reshape(len(points), -1), 1).tolist()
    return flat


def _shaded(rng: np.random.Generator, colours: tuple[Colour, ...], count: int) -> list[Colour]:
    picked = np.asarray(colours, np.float64)[rng.integers(len(colours), size=count)]
    shaded = np.clip(picked * rng.uniform(0.72, 1.18, (count, 1)) + rng.normal(0, 5, (count, 3)), 0, 255)
    return [(r, g, b) for r, g, b in shaded.astype(int).tolist()]


def scatter_leaves(
    rng: np.random.Generator, image: Image.Image, count: int, colours: tuple[Colour, ...] = _LEAF_COLOURS
) -> None:
    """Draws `count` leaves with their shadows at random places onto an RGB image."""
    length = np.linspace(-1, 1, 9)
    width = 0.36 * (1 - length**2) * (1 - 0.35 * length)
    outline = np.concatenate(
        [np.stack([length, width], 1), np.stack([length[-2:0:-1], -width[-2:0:-1]], 1), [[-1.3, 0.02]]]
    )
    at = rng.uniform(0, 1, (count, 2)) * image.size
    turn = rng.uniform(0, 2 * np.pi, count)
    size = rng.uniform(0.04, 0.105, count) * image.size[1]
    leaves = _shapes(outline, at, turn, size)
    shadows = _flat(leaves + 0.008 * image.size[1])
    ribs = _flat(leaves[:, [0, 8]])
    draw = ImageDraw.Draw(image)
    for leaf, shadow, rib, colour in zip(
        _flat(leaves), shadows, ribs, _shaded(rng, colours, count), strict=True
    ):
        r, g, b = colour
        draw.polygon(shadow, fill=(r * 3 // 10, g * 3 // 10, b * 3 // 10))
        draw.polygon(leaf, fill=colour, outline=(r * 8 // 10, g * 8 // 10, b * 8 // 10))
        draw.line(rib, fill=(min(255, r * 12 // 10), min(255, g * 12 // 10), min(255, b * 12 // 10)), width=2)


def scatter_blades(rng: np.random.Generator, image: Image.Image, count: int, reach: float) -> None:
    """Draws `count` blades of grass, about `reach` of the image's height long, onto an RGB image."""
    at = rng.uniform(-0.05, 1.1, (count, 2)) * image.size
    at = at[np.argsort(at[:, 1])]
    length = rng.uniform(0.5, 1.3, count) * reach * image.size[1]
    lean = rng.normal(0, 0.45, count)
    bend = lean + rng.normal(0, 0.35, count)
    thick = rng.uniform(0.012, 0.022, count) * image.size[1] * 0.6
    middle = at + 0.55 * length[:, None] * np.stack([np.sin(lean), -np.cos(lean)], 1)
    tip = middle + 0.45 * length[:, None] * np.stack([np.sin(bend), -np.cos(bend)], 1)
    aside = np.stack([thick, 0.2 * thick], 1)
    blades = _flat(np.stack([at - aside, middle - 0.6 * aside, tip, middle + 0.6 * aside, at + aside], 1))
    draw = ImageDraw.Draw(image)
    for blade, colour in zip(blades, _shaded(rng, _LIVING_GREENS, count), strict=True):
        draw.polygon(blade, fill=colour)


def _scatter_stones(rng: np.random.Generator, image: Image.Image, count: int, largest: float) -> None:
    corner = np.linspace(0, 2 * np.pi, 9)[:-1]
    circle = np.stack([np.cos(corner), 0.78 * np.sin(corner)], 1)
    outlines = circle * rng.uniform(0.72, 1.1, (count, 8, 1))
    size = largest * image.size[1] * rng.uniform(0.25, 1, count) ** 1.6
    order = np.argsort(size)
    at = rng.uniform(0, 1, (count, 2)) * image.size
    stones = _shapes(outlines, at, rng.uniform(0, np.pi, count), size)[order]
    lit = stones.mean(axis=1, keepdims=True) * 0.25 + stones * 0.75 - 0.1 * size[order, None, None]
    shadows = _flat(stones + (0.16 * size[order])[:, None, None])
    draw = ImageDraw.Draw(image)
    coloured = zip(_flat(stones), _flat(lit), shadows, _shaded(rng, _STONE_COLOURS, count), strict=True)
    for stone, top, shadow, (r, g, b) in coloured:
        draw.polygon(shadow, fill=(r * 4 // 10, g * 4 // 10, b * 4 // 10))
        draw.polygon(stone, fill=(r * 85 // 100, g * 85 // 100, b * 85 // 100))
        draw.polygon(top, fill=(r, g, b))


def _cracks(rng: np.random.Generator, image: Image.Image, count: int, colour: Colour) -> None:
    draw = ImageDraw.Draw(image)
    for _ in range(count):
        heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.45, 14))
        steps = np.stack([np.cos(heading), np.sin(heading)], 1) * image.size[1] * 0.06
        path = rng.uniform(0, 1, 2) * image.size + np.cumsum(steps, axis=0)
        draw.line(path.ravel().tolist(), fill=colour, width=int(rng.integers(1, 4)))


def _litter(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    shape = (size[1] // 2, size[0] // 2)
    soil = _enlarged(_textured((70, 52, 36), fractal_noise(rng, shape, 40, 4), 0.5), size)
    scatter_leaves(rng, soil, int(rng.integers(150, 220)))
    return soil


def _sand(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    shape = (size[1] // 2, size[0] // 2)
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    angle = rng.uniform(0, np.pi)
    across = rows * np.float32(np.cos(angle)) + columns * np.float32(np.sin(angle))
    waves = np.sin(across / np.float32(rng.uniform(3.5, 6.5)) + 3 * smooth_noise(rng, shape, (45, 45)))
    texture = (
        rng.uniform(0.02, 0.09) * waves + 0.08 * fractal_noise(rng, shape, 70, 3) + 0.06 * _grain(rng, shape)
    )
    tone: Colour = ((214, 184, 138), (202, 168, 124), (222, 200, 164))[int(rng.integers(3))]
    sand = _enlarged(_textured(tone, texture.astype(np.float32), 1.0), size)
    _scatter_stones(rng, sand, int(rng.integers(4, 22)), 0.022)
    return sand


def _grass(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    shape = (size[1] // 2, size[0] // 2)
    turf = _enlarged(_textured((62, 84, 36), fractal_noise(rng, shape, 40, 4), 0.5), size)
    scatter_blades(rng, turf, int(rng.integers(450, 650)), rng.uniform(0.1, 0.2))
    return turf


def _gravel(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    shape = (size[1] // 2, size[0] // 2)
    dust = 0.25 * fractal_noise(rng, shape, 30, 3) + 0.12 * _grain(rng, shape)
    gravel = _enlarged(_textured((128, 118, 104), dust, 1.0), size)
    _scatter_stones(rng, gravel, int(rng.integers(300, 420)), rng.uniform(0.03, 0.055))
    return gravel


def _rock(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    shape = (size[1] // 2, size[0] // 2)
    relief = fractal_noise(rng, shape, 90, 6)
    # The slope towards the light makes the noise look like a surface.
    slope = np.zeros(shape, np.float32)
    slope[1:, 1:] = relief[:-1, :-1] - relief[1:, 1:]
    texture = 0.22 * relief + 2.2 * slope + 0.03 * _grain(rng, shape)
    tone: Colour = ((148, 144, 138), (162, 140, 116), (126, 124, 128))[int(rng.integers(3))]
    rgb = np.asarray(_textured(tone, texture, 1.0), np.float32)
    lichen = np.clip((fractal_noise(rng, shape, 50, 5) - 0.22) * 9, 0, 1)[:, :, None] * 0.55
    crust = np.asarray(((168, 176, 132), (206, 170, 84))[int(rng.integers(2))], np.float32)
    rock = _enlarged(Image.fromarray((rgb + (crust - rgb) * lichen).astype(np.uint8)), size)
    _cracks(rng, rock, int(rng.integers(1, 4)), (62, 56, 52))
    return rock


def _road(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    shape = (size[1] // 2, size[0] // 2)
    texture = 0.12 * fractal_noise(rng, shape, 80, 3) + 0.13 * _grain(rng, shape)
    road = _enlarged(_textured((104, 104, 108), texture, 1.0), size)
    if rng.random() < 0.5:
        paint: Colour = ((220, 218, 210), (214, 178, 70))[int(rng.integers(2))]
        middle, slope = rng.uniform(0.1, 0.9) * size[1], rng.uniform(-0.5, 0.5) * size[1]
        half = 0.035 * size[1]
        line = [(0, middle - half), (size[0], middle + slope - half), (size[0], middle + slope + half)]
        worn = Image.fromarray(
            np.clip(185 + 70 * _grain(rng, shape) + 60 * smooth_noise(rng, shape, (30, 30)), 60, 230).astype(
                np.uint8
            )
        )
        stripe = Image.new("L", size, 0)
        ImageDraw.Draw(stripe).polygon([*line, (0, middle + half)], fill=255)
        cover = Image.composite(_enlarged(worn, size), Image.new("L", size, 0), stripe)
        road.paste(paint, (0, 0), cover)
    _cracks(rng, road, int(rng.integers(0, 4)), (58, 58, 62))
    return road


def _wood(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    shape = (size[1] // 2, size[0] // 2)
    upright = rng.random() < 0.35
    grown = (shape[1], shape[0]) if upright else shape
    planks = int(rng.integers(4, 7))
    rows = np.arange(grown[0], dtype=np.float32) * planks / grown[0]
    bend = smooth_noise(rng, grown, (grown[0] / 9, grown[1] / 2.5))
    rings = np.sin((rows[:, None] * 9 + 3.2 * bend) * np.float32(2.2))
    texture = 0.09 * rings + 0.14 * smooth_noise(rng, grown, (1.6, 40)) + 0.05 * _grain(rng, grown)
    texture += rng.uniform(-0.16, 0.16, planks).astype(np.float32)[rows.astype(int)][:, None]
    gap = np.abs(rows - np.round(rows)) < 0.025
    texture[gap] = -0.62
    tone: Colour = ((158, 122, 82), (136, 118, 98), (176, 136, 88))[int(rng.integers(3))]
    board = _textured(tone, (texture.T if upright else texture).astype(np.float32), 1.0)
    return _enlarged(board, size)


_GROUNDS: dict[Ground, Callable[[np.random.Generator, tuple[int, int]], Image.Image]] = {
    "litter": _litter,
    "sand": _sand,
    "grass": _grass,
    "gravel": _gravel,
    "rock": _rock,
    "road": _road,
    "wood": _wood,
}
GROUND_NAMES: tuple[Ground, ...] = tuple(_GROUNDS)


def draw_ground(rng: np.random.Generator, ground: Ground, size: tuple[int, int]) -> Image.Image:
    """A piece of ground as an RGB image of `size` (width, height) in pixels."""
    return _GROUNDS[ground](rng, size)


# Folders that appear whole or not at all.


STAMP_NAME = ".snake-demo.json"

Stamp = Mapping[str, str | int | float]


class ForeignFolderError(FileExistsError):
    """The folder holds something that was not made by this version of the demo with these arguments."""


def _holds(folder: Path, stamp: Stamp) -> bool:
    try:
        return bool(json.loads((folder / STAMP_NAME).read_text(encoding="utf-8")) == dict(stamp))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False


def place_folder(folder: Path, stamp: Stamp, fill: Callable[[Path], None]) -> None:
    """Has `fill` write into a new folder aside and renames it to `folder` once it is complete.

    `stamp` tells what the folder holds; where a folder with an equal stamp stands already, nothing is done.
    Whoever comes second of two that place at once drops its own copy. What `fill` raises is raised, and
    nothing stays behind; what a process that was killed left is removed by the next call. Raises
    ForeignFolderError when `folder` is a file or holds anything else.
    """
    folder = folder.resolve()
    _remove_dead_drafts(folder)
    if _holds(folder, stamp):
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ForeignFolderError(
            f"{folder} holds something other than {json.dumps(dict(stamp))}. "
            "Nothing was changed. Move it away or delete it, or choose another folder."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft, stamp_file = _new_draft(folder)
    with stamp_file:
        try:
            fill(draft)
            stamp_file.write(json.dumps(dict(stamp)) + "\n")
            stamp_file.flush()
            try:
                draft.rename(folder)
            except OSError:
                if not _holds(folder, stamp):
                    raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _new_draft(folder: Path) -> tuple[Path, TextIO]:
    """An empty folder aside, and the file for its stamp: locked, until its process ends, however it ends."""
    while True:
        draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.part")
        draft.mkdir()
        # Before it is locked it may be taken for one that was left behind.
        with suppress(FileNotFoundError):
            file = (draft / STAMP_NAME).open("x", encoding="utf-8")
            fcntl.flock(file, fcntl.LOCK_EX)
            if (draft / STAMP_NAME).exists():
                return draft, file
            file.close()


def _remove_dead_drafts(folder: Path) -> None:
    for draft in folder.parent.glob(f".{glob.escape(folder.name)}.{'[0-9a-f]' * 32}.part"):
        try:
            with (draft / STAMP_NAME).open("r+", encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(draft, ignore_errors=True)
        except BlockingIOError:
            pass  # it is being written
        except FileNotFoundError:
            with suppress(OSError):
                draft.rmdir()


# Everything is drawn twice as large as asked and then reduced, which smooths all edges at once.
_OVERSAMPLING = 2


@dataclass(frozen=True)
class Individual:
    """What the photos of one observation share: one snake's colours and markings, and where it was found."""

    tint: tuple[float, float, float]
    pattern_seed: int
    fill: float
    ground: Ground
    warmth: float
    brightness: float


def meet_individual(species: DemoSpecies, rng: np.random.Generator) -> Individual:
    """One random snake of the species at one random place; most live on the grounds their species prefers."""
    tint = rng.uniform(0.88, 1.1) * rng.uniform(0.94, 1.06, 3)
    grounds = species.look.grounds if rng.random() < 0.75 else GROUND_NAMES
    return Individual(
        tint=(float(tint[0]), float(tint[1]), float(tint[2])),
        pattern_seed=int(rng.integers(2**31)),
        fill=float(rng.uniform(0.78, 1.0) + 0.05 * np.log(species.look.length_m)),
        ground=grounds[int(rng.integers(len(grounds)))],
        warmth=float(rng.normal(0, 0.045)),
        brightness=float(rng.uniform(0.86, 1.12)),
    )


def _cast_shadow(ground: Image.Image, body: Body, light: tuple[float, float], drop: float) -> None:
    small = Image.fromarray(body.mask.astype(np.uint8) * 255).reduce(4)
    near = small.filter(ImageFilter.GaussianBlur(max(0.6, drop / 9)))
    far = small.filter(ImageFilter.GaussianBlur(max(1.0, drop / 5)))
    fallen = Image.new("L", small.size)
    fallen.paste(far, (round(-light[0] * drop / 4), round(-light[1] * drop / 4)))
    dark = ImageChops.screen(near.point(lambda a: a * 0.5), fallen.point(lambda a: a * 0.6))
    ground.paste((18, 14, 12), (0, 0), dark.resize(ground.size, Image.Resampling.BILINEAR))


def _draw_tongue(image: Image.Image, curve: Curve, half_girth: float) -> None:
    ahead = curve[-1] - curve[-6]
    ahead = ahead / max(float(np.hypot(*ahead)), 1e-9)
    aside = np.array([-ahead[1], ahead[0]])
    fork = curve[-1] + 0.9 * half_girth * ahead
    draw = ImageDraw.Draw(image)
    for tip in (
        fork + half_girth * (0.6 * ahead + 0.28 * aside),
        fork + half_girth * (0.6 * ahead - 0.28 * aside),
    ):
        draw.line([*curve[-1].tolist(), *fork.tolist(), *tip.tolist()], fill=(36, 14, 20), width=3)


def _put_snake(
    image: Image.Image, species: DemoSpecies, individual: Individual, rng: np.random.Generator
) -> Image.Image:
    look = species.look
    angle = rng.uniform(0, 2 * np.pi)
    light = (float(np.cos(angle)), float(np.sin(angle)))
    curve, scale = place_in_frame(rng, lie_down(rng, look.girth), look.girth, individual.fill, image.size)
    body = rasterise(curve, scale, look.girth, look.head, image.size)
    half_girth = 0.5 * look.girth * scale
    _cast_shadow(image, body, light, 0.55 * half_girth)
    if rng.random() < 0.3:
        _draw_tongue(image, curve, half_girth)
    canvas = np.array(image)
    colours = paint_skin(body, look, np.asarray(individual.tint, np.float32), individual.pattern_seed, light)
    canvas[body.mask] = colours.astype(np.uint8)
    return Image.fromarray(canvas)


def _cover_a_little(image: Image.Image, ground: Ground, rng: np.random.Generator) -> None:
    if ground == "grass" and rng.random() < 0.7:
        scatter_blades(rng, image, int(rng.integers(10, 45)), 0.22)
    elif ground in ("litter", "wood") and rng.random() < 0.5:
        scatter_leaves(rng, image, int(rng.integers(2, 7)))
    elif rng.random() < 0.12:
        scatter_leaves(rng, image, int(rng.integers(1, 4)))


def _expose(image: Image.Image, individual: Individual, rng: np.random.Generator) -> NDArray[np.uint8]:
    width, height = image.size
    if rng.random() < 0.35:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.8)))
    rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None] - np.float32(rng.uniform(-0.3, 0.3))
    columns = np.linspace(-1, 1, width, dtype=np.float32) - np.float32(rng.uniform(-0.3, 0.3))
    gain = np.float32(individual.brightness * rng.uniform(0.95, 1.05))
    vignette = gain * (1 - np.float32(rng.uniform(0.02, 0.16)) * (rows**2 + columns**2))
    warm = individual.warmth + rng.normal(0, 0.012)
    balance = np.array([1 + warm, 1 + 0.2 * warm, 1 - warm], np.float32)
    noise: Floats = rng.standard_normal((height, width), dtype=np.float32) * np.float32(rng.uniform(1, 5))
    exposed = np.asarray(image, np.float32) * vignette[:, :, None] * balance + noise[:, :, None]
    return np.clip(exposed, 0, 255).astype(np.uint8)


def draw_photo(
    species: DemoSpecies,
    rng: np.random.Generator,
    size: tuple[int, int],
    individual: Individual | None = None,
) -> NDArray[np.uint8]:
    """One photo, uint8 [height, width, 3] sRGB, of `size` (width, height) in pixels.

    Without an `individual` a new one is met. Photos of one individual differ in pose, light and framing. The
    same generator state gives the same bytes.
    """
    if individual is None:
        individual = meet_individual(species, rng)
    large = (size[0] * _OVERSAMPLING, size[1] * _OVERSAMPLING)
    image = _put_snake(draw_ground(rng, individual.ground, large), species, individual, rng)
    _cover_a_little(image, individual.ground, rng)
    return _expose(image.reduce(_OVERSAMPLING), individual, rng)
