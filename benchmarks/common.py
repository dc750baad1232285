"""What the benchmarks share: photos, arms run in turn, ratios, memory, and the last line of output."""

import argparse
import json
import multiprocessing
import resource
import statistics
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from snake_assets.demo.dataset import draw_demo_set
from snake_assets.snakeclef.metadata import PhotoRow
from snake_assets.snakeclef.raw.photo_files import PhotoFile, find_photos
from snake_assets.vision.decoding.decode import probe
from snake_assets.vision.errors import UnreadablePhoto

SHARED_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
SNAKE_BOXES = SHARED_DATA / "snake-boxes" / "images"
PHILIPPINE_SNAKES = SHARED_DATA / "philippine-snakes"

_DRAWN_SHARE = 0.15
_JPEG_START, _JPEG_COMMENT = b"\xff\xd8", b"\xff\xfe"

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Sources:
    """Photo files to measure with, and where they are from: "given", "real" or "drawn"."""

    origin: str
    files: list[Path]


@dataclass(frozen=True)
class RawPhotos:
    """A raw data set of one split, as `ingest` wants it."""

    rows: list[PhotoRow]
    files: list[PhotoFile]

    @property
    def bytes(self) -> int:
        """Bytes of all photo files."""
        return sum(file.bytes for file in self.files)

    def first(self, count: int) -> "RawPhotos":
        """The set's first photos."""
        return RawPhotos(self.rows[:count], self.files[:count])


@dataclass(frozen=True)
class Ratio:
    """A ratio measured in several rounds: the machine's moods fall out of each round's own quotient."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, above: Sequence[float], below: Sequence[float]) -> "Ratio":
        """The quotients of values that were measured in the same round."""
        quotients = [a / b for a, b in zip(above, below, strict=True)]
        return cls(statistics.median(quotients), min(quotients), max(quotients))

    def named(self, name: str) -> dict[str, float]:
        """As entries NAME, NAME_min and NAME_max of a result."""
        return {
            name: significant(self.median),
            f"{name}_min": significant(self.least),
            f"{name}_max": significant(self.most),
        }


def options(description: str | None, rounds: int) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=rounds, help="how often each arm is measured")
    return parser


def add_photo_options(parser: argparse.ArgumentParser) -> None:
    """The options of benchmarks that need photos and a disk."""
    parser.add_argument("--sources", type=Path, default=None, help="folder of photos to take instead")
    parser.add_argument("--work", type=Path, default=None, help="existing folder on the disk to measure on")


def photo_sources(given: Path | None, real: Sequence[Path], work: Path) -> Sources:
    """The whole photos of the given folder, or of the real ones, or of a demo set drawn into `work`."""
    if given is not None:
        return Sources("given", _whole_photos([given]))
    if photos := _whole_photos(real):
        return Sources("real", photos)
    demo = work / "drawn"
    draw_demo_set(demo, share=_DRAWN_SHARE)
    return Sources("drawn", _whole_photos([demo]))


def lay_out(sources: Sequence[Path], count: int, root: Path) -> RawPhotos:
    """Write `count` photos below `root`, the sources over and over, no two files alike.

    Alike they would let whoever remembers photos by their digest do less than the work of `count` photos.
    """
    folder = root / "train"
    folder.mkdir(parents=True)
    rows = []
    for number in range(count):
        source = sources[number % len(sources)]
        name = f"photo-{number:06}{source.suffix}"
        (folder / name).write_bytes(marked(source.read_bytes(), number))
        rows.append(PhotoRow(name, f"observation-{number // 2}", f"train/{name}", number % 7))
    return RawPhotos(rows, find_photos(root, "train"))


def marked(data: bytes, number: int) -> bytes:
    """The same photo with a number hidden in its file: a JPEG comment, or bytes after the end."""
    mark = number.to_bytes(8, "big")
    if data.startswith(_JPEG_START):
        return data[:2] + _JPEG_COMMENT + struct.pack(">H", len(mark) + 2) + mark + data[2:]
    return data + mark


def in_turn(arms: Mapping[str, Callable[[], float]], rounds: int, unit: str) -> dict[str, list[float]]:
    """Measure A B C A B C …: what disturbs the machine for a while then disturbs all arms alike."""
    measured: dict[str, list[float]] = {name: [] for name in arms}
    for number in range(rounds):
        for name, arm in arms.items():
            measured[name].append(arm())
        values = ", ".join(f"{name} {measured[name][-1]:.4g}" for name in arms)
        print(f"round {number + 1} of {rounds}: {values} {unit}", flush=True)
    return measured


def in_fresh_process(
    function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
) -> Result:
    """Call a function of a module in a new interpreter, whose memory is that of this call alone."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as process:
        return process.submit(function, *args, **kwargs).result()


def peak_rss_mb() -> float:
    """The most memory that this process had resident so far, in MB (10^6 bytes).

    Linux' VmHWM where it can be read: there getrusage also counts what the parent held when it forked.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def significant(value: float, digits: int = 4) -> float:
    """Rounded to what such a measurement can tell."""
    return float(f"{value:.{digits}g}")


def middle(values: Sequence[float]) -> float:
    """The median, rounded to what such a measurement can tell."""
    return significant(statistics.median(values))


def finish(result: dict[str, object]) -> dict[str, object]:
    """Print the result as one line of JSON, the benchmark's last, and pass it on."""
    print(json.dumps(result), flush=True)
    return result


def _whole_photos(folders: Sequence[Path]) -> list[Path]:
    found = [file.root / file.path for folder in folders for file in find_photos(folder, ".")]
    return [path for path in found if _is_whole(path)]


def _is_whole(path: Path) -> bool:
    try:
        probe(path.read_bytes())
    except UnreadablePhoto:
        return False
    return True
