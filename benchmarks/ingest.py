"""Raw files to `image_table` (`ingest`, a fresh store each round) against plain copies of the same files.

All read from a warm page cache, and all leave their bytes safe on the disk:

- ingest: syncs every shard of 512 photos before it names it.
- copy: `shutil.copyfile` of every file, then one `os.sync`, which is the fastest way to sync them all (an
  fsync of every file takes several times as long). `ingest_over_copy` is measured against this.
- one file: all files appended to a single one, then one fsync: the disk without the cost of making files.

Photos: those of ../shared/data, over and over, no two files alike; drawn ones where there are none.
"""

import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.common import (
    PHILIPPINE_SNAKES,
    SNAKE_BOXES,
    Ratio,
    RawPhotos,
    add_photo_options,
    finish,
    in_fresh_process,
    in_turn,
    lay_out,
    middle,
    options,
    peak_rss_mb,
    photo_sources,
    significant,
)
from snake_assets.snakeclef.image_table import ingest


def ingest_mb_s(photos: RawPhotos, work: Path) -> float:
    """Write a fresh `image_table` and throw it away."""
    folder = Path(tempfile.mkdtemp(dir=work))
    os.sync()  # what others left to be written shall not be charged to us
    began = time.perf_counter()
    manifest = ingest(photos.rows, photos.files, "train", folder / "image_table" / "train")
    seconds = time.perf_counter() - began
    if manifest.rows_out != len(photos.rows):
        raise RuntimeError(f"{len(manifest.rejects)} of the photos were rejected: the arms differ")
    shutil.rmtree(folder)
    return photos.bytes / 1e6 / seconds


def copy_mb_s(photos: RawPhotos, work: Path) -> float:
    """Copy all files into one new folder and throw it away."""
    folder = Path(tempfile.mkdtemp(dir=work))
    os.sync()
    began = time.perf_counter()
    for file in photos.files:
        shutil.copyfile(file.root / file.path, folder / Path(file.path).name)
    os.sync()
    seconds = time.perf_counter() - began
    shutil.rmtree(folder)
    return photos.bytes / 1e6 / seconds


def one_file_mb_s(photos: RawPhotos, work: Path) -> float:
    """Append all files to one new file and throw it away."""
    os.sync()
    began = time.perf_counter()
    with tempfile.NamedTemporaryFile(dir=work) as target:
        for file in photos.files:
            target.write((file.root / file.path).read_bytes())
        target.flush()
        os.fsync(target.fileno())
        return photos.bytes / 1e6 / (time.perf_counter() - began)


def ingest_peak_rss_mb(photos: RawPhotos, work: Path) -> float:
    """The memory of a process that does nothing but ingest."""
    ingest_mb_s(photos, work)
    return peak_rss_mb()


def main(arguments: Sequence[str] | None = None) -> dict[str, object]:
    """Measure and print."""
    parser = options(__doc__, rounds=7)
    add_photo_options(parser)
    parser.add_argument("--files", type=int, default=4000, help="at least so many files")
    parser.add_argument("--megabytes", type=float, default=250, help="at least so many MB")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=given.work) as folder:
        work = Path(folder)
        sources = photo_sources(given.sources, [SNAKE_BOXES, PHILIPPINE_SNAKES], work)
        mean_bytes = sum(path.stat().st_size for path in sources.files) / len(sources.files)
        count = max(given.files, math.ceil(given.megabytes * 1e6 / mean_bytes))
        photos = lay_out(sources.files, count, work / "raw")
        print(f"{count} {sources.origin} photos, {photos.bytes / 1e6:.0f} MB", flush=True)

        arms: dict[str, Callable[[], float]] = {
            "ingest": lambda: ingest_mb_s(photos, work),
            "copy": lambda: copy_mb_s(photos, work),
            "one file": lambda: one_file_mb_s(photos, work),
        }
        for arm in arms.values():
            arm()
        measured = in_turn(arms, given.rounds, "MB/s")
        half = in_fresh_process(ingest_peak_rss_mb, photos.first(count // 2), work)
        full = in_fresh_process(ingest_peak_rss_mb, photos, work)
    return finish(
        {
            "ingest_mb_s": middle(measured["ingest"]),
            "copy_mb_s": middle(measured["copy"]),
            **Ratio.of(measured["ingest"], measured["copy"]).named("ingest_over_copy"),
            "one_file_mb_s": middle(measured["one file"]),
            **Ratio.of(measured["ingest"], measured["one file"]).named("ingest_over_one_file"),
            "peak_rss_half_mb": significant(half),
            "peak_rss_full_mb": significant(full),
            "files": count,
            "megabytes": significant(photos.bytes / 1e6),
            "photos": sources.origin,
            "rounds": given.rounds,
        }
    )


if __name__ == "__main__":
    main()
