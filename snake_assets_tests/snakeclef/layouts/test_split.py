"""Val split off: by observation and copies, the same each time, and never back."""

from hypothesis import given
from hypothesis import strategies as st

from snake_assets.snakeclef.layouts.split import split_off_val

PHOTOS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 5)), min_size=1, max_size=150)


def val_of(photos: list[tuple[int, int]], seed: int = 0) -> dict[str, bool]:
    """Observation -> whether it is in val; photos are observation and a number that copies share."""
    names = [str(observation) for observation, _ in photos]
    copies = [None if copy else str(observation // 20) for observation, copy in photos]
    species = [observation % 3 for observation, _ in photos]
    places = split_off_val(names, species, copies, 0.2, seed)
    of_observation = dict(zip(names, places, strict=True))
    assert [of_observation[name] for name in names] == places, "an observation is parted"
    for copy in set(copies) - {None}:
        assert len({place for place, one in zip(places, copies, strict=True) if one == copy}) == 1
    for one in set(species):
        assert not all(place for place, other in zip(places, species, strict=True) if other == one)
    return of_observation


@given(PHOTOS)
def test_observations_and_copies_stay_together_and_every_species_in_train(photos: list[tuple[int, int]]):
    assert val_of(photos) == val_of(photos[::-1])


def test_photos_that_are_added_move_nothing_from_val_to_train_and_the_share_is_met():
    photos = [(number, 1) for number in range(2000)]
    few, all_of_them = val_of(photos[:500]), val_of(photos)
    assert all(all_of_them[name] for name, is_val in few.items() if is_val)
    assert 0.17 < sum(all_of_them.values()) / 2000 < 0.23
    assert val_of(photos, seed=1) != all_of_them
