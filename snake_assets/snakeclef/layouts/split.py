"""Val split off from train where nobody has: by observation and near copies, always in the same way."""

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Sequence


def split_off_val(
    observations: Sequence[str],
    species: Sequence[Hashable],
    copies: Sequence[Hashable | None],
    share: float,
    seed: int,
) -> list[bool]:
    """Of each photo, whether it is in val.

    Observations with near copies of one photo make a group, and a group is in val where the least hash of the
    seed and one of its observations lies in the first `share` of all: of every species, and of all photos,
    about that share. Of each species the group with the greatest hash stays in train. So a photo that is
    added later may bring an observation from train to val, and never one back, unless it is a near copy that
    joins two groups.

    Args:
        observations: of each photo, its observation_id.
        species: of each photo, its species.
        copies: of each photo, what it has in common with its near copies alone; None where it has none.
        share: of the groups that val gets, 0 to 1.
        seed: another one gives another split.
    """
    group_of = {observation: observation for observation in observations}

    def root(observation: str) -> str:
        while group_of[observation] != observation:
            group_of[observation] = observation = group_of[group_of[observation]]
        return observation

    first: dict[Hashable, str] = {}
    for observation, copy in zip(observations, copies, strict=True):
        if copy is not None:
            group_of[root(observation)] = root(first.setdefault(copy, observation))
    place: dict[str, float] = {}
    for observation in group_of:
        group = root(observation)
        place[group] = min(place.get(group, 1.0), _place(seed, observation))
    of_species: dict[Hashable, set[str]] = defaultdict(set)
    for observation, one in zip(observations, species, strict=True):
        of_species[one].add(root(observation))
    kept = {max(groups, key=lambda group: (place[group], group)) for groups in of_species.values()}
    return [place[root(one)] < share and root(one) not in kept for one in observations]


def _place(seed: int, observation: str) -> float:
    """Where an observation lies among all, 0 to below 1."""
    digest = hashlib.sha256(f"{seed} {observation}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
