"""`python -m deploy.cost`: what it takes to embed many photos, from rates and prices that are named.

Every number that goes in is a field of `Inputs`, and an option of the command.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

GB = 1e9
PHOTOS = (182_261, 10_000_000, 1_000_000_000)
RATES = ("what computes", "photos an hour", "photos a dollar")
AMOUNTS = (
    "photos",
    "embedded on CPU",
    "embedded on GPUs",
    "in buckets",
    "a month",
    "requests: writes and reads",
    "all requests",
    "all vectors in memory",
    "a table's manifest",
)


def _input(value: float, told: str) -> float:
    described: float = field(default=value, metadata={"told": told})
    return described


@dataclass(frozen=True)
class Inputs:
    """What the model is made of; seconds, bytes and dollars."""

    cpu_s_per_photo: float = _input(0.319, "measured: processor seconds of the whole pass for a photo")
    decode_cpu_s_per_photo: float = _input(0.0029, "measured: of these, to decode and resize")
    gflop_per_photo: float = _input(46.3, "counted: the model's matrix products for a photo")
    view: float = _input(1.3, "counted: times that at the default view, 252 pixels instead of 224")
    photo_kb: float = _input(61, "measured: mean size of a photo of 510 x 385 pixels")
    vectors_kb: float = _input(13, "counted: all vectors of a photo at D = 768")
    manifest_bytes_per_shard: float = _input(345, "counted: a shard's entry in a manifest")
    cores: float = _input(2, "cores of a machine without a GPU")
    gpu_tflops: float = _input(121, "data sheet: NVIDIA L4, bf16, dense")
    gpu_share: float = _input(0.35, "measured on an H200: share of its data sheet that the model reaches")
    gpu_cores: float = _input(8, "cores beside each GPU, which decode")
    shard_photos: float = _input(512, "photos in a shard")
    tables: float = _input(4, "tables with a shard for each: photos, and three of vectors")
    reads_per_shard: float = _input(10, "assumed: range requests to read a shard")
    cpu_hour: float = _input(0.10, "dollars: the machine without a GPU, an hour")
    gpu_hour: float = _input(0.85, "dollars: the machine with one GPU, an hour")
    gb_month: float = _input(0.02, "dollars: a GB in the bucket, a month")
    writes_1000: float = _input(0.005, "dollars: 1,000 writes or listings")
    reads_1000: float = _input(0.0004, "dollars: 1,000 reads")

    @property
    def cpu_photos_s(self) -> float:
        """Photos per second of the machine without a GPU."""
        return self.cores / (self.cpu_s_per_photo * self.view)

    @property
    def gpu_photos_s(self) -> float:
        """Photos per second of the machine with one: as its GPU computes, or as its cores decode."""
        return min(self._computed_s, self._decoded_s)

    @property
    def gpu_waits(self) -> bool:
        """Whether cores decode more slowly than the GPU computes."""
        return self._decoded_s < self._computed_s

    @property
    def _computed_s(self) -> float:
        return self.gpu_tflops * 1e3 * self.gpu_share / (self.gflop_per_photo * self.view)

    @property
    def _decoded_s(self) -> float:
        return self.gpu_cores / self.decode_cpu_s_per_photo


def rates(given: Inputs) -> list[list[str]]:
    """Photos per hour and per dollar, by what computes."""
    machines = [
        ("CPU, from measured time", given.cpu_photos_s, given.cpu_hour),
        ("1 GPU, derived", given.gpu_photos_s, given.gpu_hour),
        ("8 GPUs, derived", 8 * given.gpu_photos_s, 8 * given.gpu_hour),
        ("64 GPUs, derived", 64 * given.gpu_photos_s, 64 * given.gpu_hour),
    ]
    rows = []
    for name, photos_s, dollars in machines:
        hours = [_hours(photos / photos_s / 3600) for photos in PHOTOS]
        rows.append([name, _number(photos_s * 3600), _number(photos_s * 3600 / dollars), *hours])
    return rows


def amounts(given: Inputs) -> list[list[str]]:
    """What each number of photos comes to: dollars of each kind, bytes, requests."""
    rows = []
    for photos in PHOTOS:
        shards = photos / given.shard_photos
        writes = shards * given.tables
        # Each photo once as a file; then every shard once more, by the next step.
        reads = photos + writes * given.reads_per_shard
        listed = photos / 1000
        gb = photos * (2 * given.photo_kb + given.vectors_kb) * 1e3 / GB
        requests = (writes + listed) / 1000 * given.writes_1000 + reads / 1000 * given.reads_1000
        rows.append(
            [
                _number(photos),
                _dollars(photos / given.cpu_photos_s / 3600 * given.cpu_hour),
                _dollars(photos / given.gpu_photos_s / 3600 * given.gpu_hour),
                f"{_number(gb)} GB",
                _dollars(gb * given.gb_month),
                f"{_number(writes + listed)} and {_number(reads)}",
                _dollars(requests),
                f"{_number(photos * given.vectors_kb * 1e3 / GB)} GB",
                f"{_number(shards * given.manifest_bytes_per_shard / 1e6)} MB",
            ]
        )
    return rows


def report(given: Inputs) -> str:
    """The tables, in Markdown."""
    inputs = [
        [f"`{one.name}`", f"{getattr(given, one.name):g}", one.metadata["told"]] for one in fields(given)
    ]
    limit = "its cores, which decode" if given.gpu_waits else "the GPU"
    parts = [
        _table(["input", "value", "what it is"], inputs),
        _table([*RATES, *map(_photos, PHOTOS)], rates(given)),
        f"What limits a machine with a GPU under these inputs: {limit}.",
        _table(AMOUNTS, amounts(given)),
    ]
    return "\n\n".join(parts)


def _photos(count: int) -> str:
    return f"{_number(count)} photos"


def _number(value: float) -> str:
    """Three digits, which is more than a model like this can tell."""
    return f"{float(f'{value:.3g}'):,.{0 if value >= 100 else 1 if value >= 1 else 3}f}"


def _dollars(value: float) -> str:
    return f"${_number(value)}"


def _hours(value: float) -> str:
    if value < 1:
        return f"{_number(value * 60)} min"
    return f"{_number(value)} h" if value < 100 else f"{_number(value / 24)} days"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m deploy.cost", description=__doc__)
    for one in fields(Inputs):
        option = "--" + one.name.replace("_", "-")
        parser.add_argument(option, type=_positive, default=one.default, help=one.metadata["told"])
    sys.stdout.write(report(Inputs(**vars(parser.parse_args(arguments)))) + "\n")


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


if __name__ == "__main__":
    main()
