"""Val split off from train where nobody has: by observation and copies, always in the same way."""

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from functools import lru_cache

from snake_assets.snakeclef.raw.photo_files import PhotoFile

SAMPLE = 4096


def split_off_val(
    observations: Sequence[str],
    species: Sequence[Hashable],
    copies: Sequence[Hashable | None],
    share: float,
    seed: int,
) -> list[bool]:
    """Of each photo, whether it is in val.

    Observations with copies of one photo make a group, and a group is in val where the least hash of the seed
    and one of its observations lies in the first `share` of all: of every species, and of all photos, about
    that share. Of each species the group with the greatest hash stays in train. So a photo that is added
    later may bring an observation from train to val, and never one back, unless it is a copy that joins two
    groups.

    Args:
        observations: of each photo, its observation_id.
        species: of each photo, its species.
        copies: of each photo, what it has in common with its copies alone; None where it has none.
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


def copies_among(files: Sequence[PhotoFile | None]) -> list[str | None]:
    """Of each file, what it has in common with its copies; None where no other file has its bytes.

    Only files of one size can be copies, and of these the beginning and the end are compared, 4 KiB
    each. Where two photos had all that in common by accident, they would lie in one split: no harm.
    """
    sizes = Counter(file.bytes for file in files if file and not file.fault and file.bytes)
    keys = [
        _sample(f"{file.root}/{file.path}", file.bytes, file.modified_ns)
        if file and not file.fault and sizes[file.bytes] > 1
        else None
        for file in files
    ]
    times = Counter(keys)
    return [key if key and times[key] > 1 else None for key in keys]


# A step asks several times, and a disk of photos is slow.
@lru_cache(maxsize=1 << 20)
def _sample(path: str, size: int, modified_ns: int) -> str | None:
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        # Whoever reads the photo will say so.
        return None
    try:
        starts = dict.fromkeys((0, max(0, size - SAMPLE)))
        parts = [os.pread(file, SAMPLE, start) for start in starts]
    except OSError:
        return None
    finally:
        os.close(file)
    return f"{size} {hashlib.blake2b(b''.join(parts), digest_size=16).hexdigest()}"
