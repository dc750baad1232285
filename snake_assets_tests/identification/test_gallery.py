"""Nearness in a species' own units, typical photos, and look-alikes."""

import numpy as np
import pytest

from snake_assets.identification.gallery import Gallery, Nearness, fit_nearness, typical_photos
from snake_assets.identification.thresholds import Species
from snake_assets.learning.neighbours import fit_neighbours


def three_species(photos: int = 30, seed: int = 0) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """CLS tokens [N, 8] of three species, the third far more varied, two photos an observation."""
    draw = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), photos)
    spread = np.array([0.3, 0.3, 1.0])[labels]
    cls = 3 * np.eye(8)[labels] + spread[:, None] * draw.normal(size=(len(labels), 8))
    return cls.astype(np.float32), labels, [f"{number // 2}" for number in range(len(labels))]


@pytest.fixture
def nearness() -> Nearness:
    cls, labels, observations = three_species()
    return fit_nearness(fit_neighbours(cls, labels, 3), observations)


def test_photos_of_a_species_are_as_near_as_its_own_and_strangers_are_not(nearness: Nearness) -> None:
    cls, labels, _ = three_species(seed=1)
    own = nearness.of(nearness.neighbours.whitened(cls), labels)
    assert np.abs([own[labels == column].mean() for column in range(3)]).max() < 1
    stranger = np.tile(3 * np.eye(8, dtype=np.float32)[5], (3, 1))
    far = nearness.of(nearness.neighbours.whitened(stranger), np.arange(3))
    assert far.max() < -2


def test_neither_copies_nor_a_single_observation_make_a_species_look_narrow() -> None:
    cls, labels, observations = three_species()
    copied = np.repeat(cls[::2], 2, axis=0)
    assert fit_nearness(fit_neighbours(copied, labels, 3), observations).mean.max() < 0.99
    kept = np.flatnonzero((labels < 2) | (np.arange(len(labels)) == 60))
    fitted = fit_nearness(fit_neighbours(cls[kept], labels[kept], 3), [observations[row] for row in kept])
    assert fitted.mean[2] == pytest.approx(fitted.mean[:2].mean(), abs=0.1)
    alone = fit_nearness(fit_neighbours(cls[:2], np.array([0, 1]), 2), ["a", "b"])
    assert np.isfinite(alone.of(alone.neighbours.whitened(cls[:2]), np.array([0, 1]))).all()


def test_typical_photos_are_five_a_species_of_different_observations(nearness: Nearness) -> None:
    _, labels, observations = three_species()
    rows = typical_photos(nearness.neighbours, observations)
    assert labels[rows].tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert len({observations[row] for row in rows}) == 15
    own = nearness.neighbours.vectors[rows[:5]].astype(np.float32)
    centre = nearness.neighbours.vectors[:30].astype(np.float32).mean(axis=0)
    others = nearness.neighbours.vectors[:30].astype(np.float32) @ centre
    assert (own @ centre).min() > np.median(others)


def test_look_alikes_are_the_nearest_and_beside_a_harmless_answer_a_venomous_one_first() -> None:
    species = Species.of(["Naja naja", "Ptyas mucosa"], [True, False])
    vectors = np.array([[np.cos(angle), np.sin(angle)] for angle in np.linspace(0, 1.5, 8)], np.float32)
    labels = np.array([1, 1, 1, 1, 1, 1, 0, 0])
    gallery = Gallery(vectors, labels, [f"{row}.jpg" for row in range(8)], species)
    shown = gallery.look_alikes(vectors[0], harmless=False)
    assert [one.photo for one in shown] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg"]
    assert shown[0].similarity == pytest.approx(1)
    warned = gallery.look_alikes(vectors[0], harmless=True)
    assert [one.photo for one in warned] == ["6.jpg", "0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg"]
    assert warned[0].venomous and warned[0].species == "Naja naja"
    harmless = Gallery(vectors, np.ones(8, np.int64), gallery.files, species)
    assert len(harmless.look_alikes(vectors[0], harmless=True)) == 5
