"""Drawn features of many species: as skewed, as noisy and as crooked as those of real photos are.

Every photo is the sum of

- its species' mean: a direction of its genus and a shorter one of its own. Every third species comes in two
  forms, one of them as far from the other as species of a genus are,
- noise, louder in some species than in others, and in a single photo as loud as Student's t with 5 degrees of
  freedom has it. Its spectrum falls like k^-1/2 exp(-3 k / D), about as that of a ViT-Tiny's CLS tokens of
  one species does; the means' follows it, axis by axis up to a factor of e^1/2 or so,
- for one photo in five, no species at all: the snake can hardly be seen.

Then the whole is turned at random, all photos are brought to one length, as a transformer's final norm does,
and columns are given different sizes and means. So neither one scatter for all species nor any linear rule is
the truth; nobody but this file knows a mean or an axis.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

ROWS_AT_ONCE = 8192
GENUS_SIZE = 6
GENUS_LENGTH, SPECIES_LENGTH, MORPH_LENGTH = 1.0, 0.6, 0.6
HIDDEN_SHARE = 0.2
# Times as long as the mean of a genus; at this the paper's trainer gets to about half the loss of guessing.
NOISE = 4.0


@dataclass(frozen=True, eq=False)
class DrawnFeatures:
    """Features float32 [N, D] and labels int64 [N], in random order."""

    features: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]


def official_counts(path: Path) -> npt.NDArray[np.int64]:
    """Photos of each class as the official `class_count.csv` has them, by class_id: int64 [C]."""
    with path.open(newline="", encoding="utf-8") as file:
        counts = {int(row["class_id"]): int(row["count"]) for row in csv.DictReader(file)}
    return np.array([counts[class_id] for class_id in sorted(counts)], dtype=np.int64)


def power_law_counts(classes: int, photos: int, fewest: int = 3) -> npt.NDArray[np.int64]:
    """A long tail: class r has about (1 + r / 50)^-1.1 of the largest's photos, `fewest` at least.

    So do the official counts fall from 2,079 to 3, within a factor of two. Sums to `photos` exactly.

    Raises:
        ValueError: fewer photos than `fewest` for each class.
    """
    if photos < fewest * classes:
        raise ValueError(f"{photos} photos do not give {classes} classes {fewest} each.")
    shares = (1 + np.arange(classes) / 50) ** -1.1
    counts = fewest + np.floor((photos - fewest * classes) * shares / shares.sum()).astype(np.int64)
    counts[: photos - int(counts.sum())] += 1
    return np.asarray(counts, dtype=np.int64)


def draw_features(counts: npt.NDArray[np.int64], dims: int, seed: int = 0) -> DrawnFeatures:
    """Draw `counts[c]` photos of each class c, as the file's first lines say."""
    rng = np.random.default_rng(seed)
    classes, axes = len(counts), np.arange(1, dims + 1)
    spectrum = np.sqrt(axes**-0.5 * np.exp(-3 * axes / dims))
    spectrum /= np.linalg.norm(spectrum)
    within = NOISE * spectrum
    between = spectrum * np.exp(0.5 * rng.normal(size=dims))
    genera = rng.normal(size=(-(-classes // GENUS_SIZE), dims))[rng.permutation(classes) // GENUS_SIZE]
    means = (GENUS_LENGTH * genera + SPECIES_LENGTH * rng.normal(size=(classes, dims))) * between
    morphs = MORPH_LENGTH * rng.normal(size=(classes, dims)) * between
    morphs[rng.random(classes) < 2 / 3] = 0
    loudness = np.exp(0.2 * rng.normal(size=classes))
    turned = _rotation(dims, rng)
    sizes, offsets = np.exp(0.25 * rng.normal(size=dims)), 0.65 * rng.normal(size=dims)

    labels = rng.permutation(np.repeat(np.arange(classes), counts))
    features = np.empty((len(labels), dims), dtype=np.float32)
    means, morphs = ((values @ turned).astype(np.float32) for values in (means, morphs))
    axes_of_noise = (within[:, None] * turned).astype(np.float32)
    for start in range(0, len(labels), ROWS_AT_ONCE):
        chosen = labels[start : start + ROWS_AT_ONCE]
        seen = rng.random(len(chosen)) >= HIDDEN_SHARE
        form = rng.random(len(chosen)) < 0.5
        tails = np.sqrt(3 / rng.chisquare(5, size=len(chosen)))
        noise = rng.standard_normal((len(chosen), dims), dtype=np.float32) @ axes_of_noise
        noise *= (loudness[chosen] * tails)[:, None].astype(np.float32)
        noise += seen[:, None] * (means[chosen] + form[:, None] * morphs[chosen])
        noise /= np.linalg.norm(noise, axis=1, keepdims=True)
        features[start : start + ROWS_AT_ONCE] = noise * (sizes * dims**0.5) + offsets
    return DrawnFeatures(features, labels)


def _rotation(dims: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    rotation: npt.NDArray[np.float64] = np.linalg.qr(rng.normal(size=(dims, dims)))[0]
    return rotation
