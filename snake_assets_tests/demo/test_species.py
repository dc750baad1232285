"""The demo species: enough of them, invented, with look-alikes across the venom line."""

import re
from itertools import pairwise

from snake_assets.demo.species import DEMO_SPECIES, PHOTOLESS_CLASSES

BY_NAME = {species.binomial_name: species for species in DEMO_SPECIES}


def test_at_least_twelve_distinct_species() -> None:
    assert len(DEMO_SPECIES) >= 12
    assert len(BY_NAME) == len(DEMO_SPECIES)
    assert len({species.class_id for species in DEMO_SPECIES}) == len(DEMO_SPECIES)


def test_names_are_two_ascii_words_and_folders_follow() -> None:
    for species in DEMO_SPECIES:
        assert re.fullmatch(r"[A-Z][a-z]+ [a-z]+", species.binomial_name)
        assert species.folder == "_".join(species.binomial_name.split())
        assert all(re.fullmatch(r"[A-Z]{2}", code) for code in species.codes)


def test_class_ids_lie_in_the_official_range_with_gaps() -> None:
    class_ids = sorted(species.class_id for species in DEMO_SPECIES)
    assert class_ids[0] >= 0
    assert class_ids[-1] <= 1783
    assert all(later - earlier > 1 for earlier, later in pairwise(class_ids))
    assert not set(class_ids) & {class_id for class_id, _ in PHOTOLESS_CLASSES}


def test_harmless_species_imitate_venomous_ones() -> None:
    pairs = [(species, BY_NAME[species.imitates]) for species in DEMO_SPECIES if species.imitates]
    assert len(pairs) >= 3
    assert all(not harmless.venomous and model.venomous for harmless, model in pairs)
    assert all(harmless.look != model.look for harmless, model in pairs)


def test_classes_have_a_long_tail() -> None:
    sizes = sorted(species.train_observations for species in DEMO_SPECIES)
    assert sizes[0] == 3
    assert sizes[-1] >= 8 * sizes[0]
