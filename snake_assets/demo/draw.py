"""Draws a photo of a demo snake."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from snake_assets.demo.bodies import Body, rasterise
from snake_assets.demo.grounds import GROUND_NAMES, draw_ground, scatter_blades, scatter_leaves
from snake_assets.demo.noise import Floats
from snake_assets.demo.poses import Curve, lie_down, place_in_frame
from snake_assets.demo.skins import paint_skin
from snake_assets.demo.species import DemoSpecies, Ground

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
