"""Drawn photos: shape, determinism, and that species and individuals show."""

import numpy as np
import pytest

from snake_assets.demo.scene import draw_photo, meet_individual
from snake_assets.demo.species import DEMO_SPECIES, DemoSpecies


@pytest.mark.parametrize("species", DEMO_SPECIES, ids=lambda species: species.folder)
def test_photo_has_the_asked_shape_and_some_contrast(species: DemoSpecies) -> None:
    photo = draw_photo(species, np.random.default_rng(5), (200, 150))
    assert photo.shape == (150, 200, 3)
    assert photo.dtype == np.uint8
    assert photo.std() > 8


@pytest.mark.parametrize("seed", range(12))
def test_every_pose_and_ground_can_be_drawn(seed: int) -> None:
    species = DEMO_SPECIES[seed % len(DEMO_SPECIES)]
    assert draw_photo(species, np.random.default_rng(seed), (90, 120)).shape == (120, 90, 3)


def test_same_generator_state_gives_same_pixels() -> None:
    photos = [draw_photo(DEMO_SPECIES[3], np.random.default_rng(11), (120, 90)) for _ in range(2)]
    assert np.array_equal(photos[0], photos[1])


def test_photos_of_one_individual_differ() -> None:
    individual = meet_individual(DEMO_SPECIES[0], np.random.default_rng(0))
    photos = [
        draw_photo(DEMO_SPECIES[0], np.random.default_rng(seed), (120, 90), individual) for seed in (1, 2)
    ]
    assert not np.array_equal(photos[0], photos[1])


def test_species_shows_in_the_photo() -> None:
    # The same generator state gives the same place, so that nothing but the snake can differ.
    individual = meet_individual(DEMO_SPECIES[0], np.random.default_rng(0))
    photos = [
        draw_photo(species, np.random.default_rng(3), (120, 90), individual) for species in DEMO_SPECIES[-2:]
    ]
    assert not np.array_equal(photos[0], photos[1])
