"""Near copies among photos: saved anew, resized, recoloured. Told by a hash that is computed once for each.

The hash is a pHash (C. Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010): the
signs of the lowest frequencies of a DCT of the photo in grey, 32 x 32 pixels. Crops and mirrored copies are
mostly missed; photos of one scene a moment apart may be found. Figures: docs/your-data.md.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from snake_assets.snakeclef import DataError
from snake_assets.snakeclef.raw.photo_files import MAX_FILE_BYTES, PhotoFile
from snake_assets.storage import StorageError
from snake_assets.storage.fingerprints import fingerprint
from snake_assets.storage.io import parquet_file, reading, write_whole
from snake_assets.storage.paths import AnyPath
from snake_assets.vision.decoding.decode import decode
from snake_assets.vision.errors import UnreadablePhoto

# Counts as an input: raise it when the same photo would get another hash.
HASH_VERSION = 1
# Folder of the store.
HASHES = "photo_hashes"
SIDE, BITS, BAND_BITS = 32, 128, 16
# Of BITS, so many may differ between near copies.
MOST_DIFFERENT = 12
# Standard deviation in grey levels of 256. Below it a photo is blank, and its hash would be noise.
LEAST_CONTRAST = 2.0
# Photos that are hashed before they are remembered: what a kill can lose.
BATCH = 2048
PAIRS_AT_ONCE = 1 << 20
NOTHING = b""

# The lowest first: the bands of a hash are then of very different use to noise, which spares the first.
_FREQUENCIES = np.array(sorted(product(range(SIDE), repeat=2), key=lambda at: (sum(at), at))[1 : BITS + 1])
# DCT-II without its norms, which change no sign.
_COSINES = np.cos(np.pi / SIDE * np.outer(np.arange(SIDE), np.arange(SIDE) + 0.5))
_BITS_IN = np.array([number.bit_count() for number in range(1 << BAND_BITS)], dtype=np.uint8)

Key = tuple[str, int, int]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class PhotoHashes:
    """The hashes of photos, remembered in the store by path, size and time of change.

    There is one file for each root of raw data; it appears whole or not at all. Of two processes that compute
    at once each comes to the same hashes, and the later file stays.

    Attributes:
        folder: of the store, in which they are remembered.
        computes: whether hashes that are missing are computed and remembered.
        report: told of photos hashed and to be hashed.
    """

    folder: AnyPath
    computes: bool = True
    report: Progress | None = None

    def of(self, files: Sequence[PhotoFile | None]) -> list[bytes | None]:
        """A hash of BITS for each file; b"" for what is blank or no photo, None where it is not known.

        Raises:
            DataError: a photo is there and cannot be read.
            StorageError: hashes cannot be remembered, or what was remembered is damaged.
        """
        keys = [_key(file) if file and not file.fault and file.bytes else None for file in files]
        root = next((file.root for file in files if file), Path())
        memory = self.folder / f"{fingerprint([HASH_VERSION, str(root)])[:16]}.parquet"
        known = _read(memory)
        lacking = {key: None for key in keys if key and key not in known}
        if self.computes and lacking:
            known = {key: known[key] for key in keys if key in known}
            todo = list(lacking)
            with ThreadPoolExecutor(os.cpu_count()) as threads:
                for start in range(0, len(todo), BATCH):
                    batch = todo[start : start + BATCH]
                    for done, (key, found) in enumerate(
                        zip(batch, threads.map(lambda key: _hash_of(root, key), batch), strict=True), start
                    ):
                        known[key] = found
                        if self.report:
                            self.report(done + 1, len(todo))
                    _write(memory, known)
        return [known.get(key) if key else NOTHING for key in keys]


def near_copies(hashes: Sequence[bytes | None]) -> list[int | None]:
    """Of each photo, a number that it shares with its near copies alone; None where it has none.

    Two photos are near copies where their hashes differ in MOST_DIFFERENT bits at most and agree in one of
    their bands of BAND_BITS; so are the near copies of one photo.

    Args:
        hashes: as `PhotoHashes.of` gives them; what has none is no copy.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    distinct = sorted({found for found in hashes if found})
    bands = np.frombuffer(b"".join(distinct), ">u2").reshape(len(distinct), BITS // BAND_BITS)
    group = np.arange(len(distinct))
    waiting: list[npt.NDArray[np.int64]] = []

    def join() -> None:
        one, two = np.concatenate(waiting or [np.empty((2, 0), np.int64)], axis=1)
        edges = coo_array((np.ones(len(one), np.int8), (group[one], group[two])), shape=2 * (len(group),))
        group[:] = connected_components(edges, directed=False)[1][group]
        waiting.clear()

    for band in bands.T:
        order = np.argsort(band, kind="stable")
        places, ahead = np.arange(len(order)), 0
        # Each is compared with the next, the one after the next, … as long as they agree in the band.
        while len(places):
            ahead += 1
            places = places[places + ahead < len(order)]
            places = places[band[order[places]] == band[order[places + ahead]]]
            one, two = order[places], order[places + ahead]
            apart = group[one] != group[two]
            one, two = one[apart], two[apart]
            near = _BITS_IN[bands[one] ^ bands[two]].sum(axis=1) <= MOST_DIFFERENT
            if near.any():
                waiting.append(np.stack([one[near], two[near]]))
            if sum(pairs.shape[1] for pairs in waiting) > PAIRS_AT_ONCE:
                join()
        join()
    number = dict(zip(distinct, group.tolist(), strict=True))
    photos = [number[found] if found else None for found in hashes]
    times = np.bincount([one for one in photos if one is not None], minlength=1)
    return [one if one is not None and times[one] > 1 else None for one in photos]


def _key(file: PhotoFile) -> Key:
    return file.path, file.bytes, file.modified_ns


def _hash_of(root: Path, key: Key) -> bytes:
    path, size, _ = key
    if size > MAX_FILE_BYTES:
        return NOTHING
    try:
        pixels = decode((root / path).read_bytes(), at_least=2 * SIDE)
    except UnreadablePhoto:
        return NOTHING
    except OSError as error:
        # A disk that is away for a minute must not become another split.
        raise DataError(
            f"{root / path} cannot be read ({error.strerror}): see that the disk is mounted and readable, "
            "then run again."
        ) from error
    grey = np.asarray(
        Image.fromarray(pixels).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float64
    )
    if grey.std() < LEAST_CONTRAST:
        return NOTHING
    spectrum = _COSINES @ grey @ _COSINES.T
    return np.packbits(spectrum[tuple(_FREQUENCIES.T)] > 0).tobytes()


def _read(memory: AnyPath) -> dict[Key, bytes]:
    try:
        with reading(memory):
            columns = parquet_file(memory).read().to_pydict()
        return dict(
            zip(
                zip(columns["path"], columns["bytes"], columns["modified_ns"], strict=True),
                columns["hash"],
                strict=True,
            )
        )
    except FileNotFoundError:
        return {}
    except (OSError, KeyError, pa.ArrowException) as error:
        raise StorageError(
            f"{memory} cannot be read ({error}): remove it, then run again; photos are compared anew."
        ) from error


def _write(memory: AnyPath, known: dict[Key, bytes]) -> None:
    paths, sizes, times = zip(*known, strict=True)
    columns = {"path": paths, "bytes": sizes, "modified_ns": times, "hash": list(known.values())}
    data = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), data, write_page_checksum=True)
    write_whole(memory, data.getvalue().to_pybytes())
