"""How well the hashes tell near copies of a photo from other photos, where val is split off by them.

Real photos (`philippine-snakes` and `snake-boxes` beside the checkout) are saved anew in each of WAYS.
`found` is the share of these copies that fall into one group with their photo, of `copies`;
`found_at_least` that of the way that is found least. `joined` is how many pairs of different files among
all `photos` fall into one group, of `pairs`, and `joined_files` names them: some are true copies, which
only a person can tell. `photos_per_second` is the hashing of the photos as they are.
"""

import argparse
import io
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

from PIL import Image, ImageEnhance

from benchmarks.common import PHILIPPINE_SNAKES, SNAKE_BOXES, finish, photo_sources, significant
from snake_assets.snakeclef.layouts.near_copies import PhotoHashes, near_copies
from snake_assets.snakeclef.raw.photo_files import find_photos

Way = Callable[[Image.Image], bytes]


def saved(photo: Image.Image, kind: str = "JPEG", quality: int = 90) -> bytes:
    """A photo as a file."""
    file = io.BytesIO()
    photo.save(file, kind, quality=quality)
    return file.getvalue()


def scaled(by: float) -> Way:
    """Resized to a multiple of its sides."""
    return lambda photo: saved(photo.resize((round(photo.width * by), round(photo.height * by))))


def enhanced(how: Callable[[Image.Image], Any], by: float) -> Way:
    """Made brighter, harder or more colourful by a factor, or less so."""
    return lambda photo: saved(how(photo).enhance(by))


def cropped(share: float) -> Way:
    """Less a share of it at each side."""

    def cut(photo: Image.Image) -> bytes:
        left, top = round(photo.width * share), round(photo.height * share)
        return saved(photo.crop((left, top, photo.width - left, photo.height - top)))

    return cut


WAYS: Mapping[str, Way] = {
    **{f"quality {value}": partial(saved, quality=value) for value in (25, 50, 75)},
    "webp": partial(saved, kind="WEBP", quality=80),
    **{f"size {by}": scaled(by) for by in (0.33, 0.5, 0.7, 1.7)},
    **{f"brightness {by}": enhanced(ImageEnhance.Brightness, by) for by in (0.75, 1.25)},
    **{f"contrast {by}": enhanced(ImageEnhance.Contrast, by) for by in (0.75, 1.25)},
    **{f"colour {by}": enhanced(ImageEnhance.Color, by) for by in (0.5, 1.5)},
}
# What the hash is not made for; of cropped ones 2 % are cut off at each side.
BEYOND: Mapping[str, Way] = {
    "cropped": cropped(0.02),
    "mirrored": lambda photo: saved(photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
}


def hashed(folder: Path, memory: Path) -> tuple[list[str], list[bytes | None]]:
    """Names and hashes of a folder's photos, by name."""
    files = find_photos(folder, ".")
    return [file.path for file in files], PhotoHashes(memory).of(files)


def main(arguments: Sequence[str] | None = None) -> dict[str, object]:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--sources", type=Path, default=None, help="folder of photos to take instead")
    parser.add_argument("--copied", type=int, default=600, help="photos of which copies are made")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        sources = photo_sources(given.sources, [PHILIPPINE_SNAKES, SNAKE_BOXES], work)
        own = work / "photos"
        own.mkdir()
        for number, path in enumerate(sources.files):
            (own / f"{number:05}").write_bytes(path.read_bytes())
        began = time.perf_counter()
        names, hashes = hashed(own, work / "memory")
        seconds = time.perf_counter() - began
        step = max(1, len(names) // given.copied)
        found: dict[str, float] = {}
        for way, save in {**WAYS, **BEYOND}.items():
            copies = work / way
            copies.mkdir()
            for one in names[::step]:
                with Image.open(own / one) as photo:
                    (copies / one).write_bytes(save(photo.convert("RGB")))
            _, of_copies = hashed(copies, work / f"memory of {way}")
            groups = near_copies([*hashes[::step], *of_copies])
            half = len(of_copies)
            pairs = zip(groups[:half], groups[half:], strict=True)
            found[way] = sum(one is not None and one == two for one, two in pairs) / half
            print(f"{way}: {found[way]:.4f}", flush=True)
    members: dict[int, list[str]] = defaultdict(list)
    for path, group in zip(sources.files, near_copies(hashes), strict=True):
        if group is not None:
            members[group].append("/".join(path.parts[-3:]))
    joined = [pair for group in members.values() for pair in combinations(group, 2)]
    within = [found[way] for way in WAYS]
    return finish(
        {
            "origin": sources.origin,
            "photos": len(names),
            "copies": len(names[::step]) * len(WAYS),
            "found": round(sum(within) / len(within), 4),
            "found_at_least": round(min(within), 4),
            **{f"found_{way}": round(found[way], 4) for way in BEYOND},
            "pairs": len(names) * (len(names) - 1) // 2,
            "joined": len(joined),
            "joined_files": joined,
            "photos_per_second": significant(len(names) / seconds),
        }
    )


if __name__ == "__main__":
    main()
