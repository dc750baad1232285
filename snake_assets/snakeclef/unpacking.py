"""Archives unpacked into folders named after them, each whole or not at all."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from snake_assets.snakeclef.archives import Archive, Unpacked, unpack
from snake_assets.storage.errors import StorageError
from snake_assets.storage.fingerprints import fingerprint


def home_of(archive: Archive) -> str:
    """The folder that an archive is unpacked to, named after its content as far as a listing tells it."""
    return fingerprint([archive.path.name, archive.bytes, archive.modified_ns])[:16]


def unpack_all(archives: Sequence[Archive], target: Path) -> dict[str, Unpacked]:
    """Unpack each archive into its folder in `target`; one that is there already is kept.

    Raises:
        DataError: an archive is refused.
        StorageError: `target` cannot be written.
    """
    unpacked: dict[str, Unpacked] = {}
    for archive in archives:
        home = target / home_of(archive)
        if not home.is_dir():
            aside = target / f".{home.name}.tmp"
            shutil.rmtree(aside, ignore_errors=True)
            try:
                aside.mkdir(parents=True)
                unpacked[archive.path.name] = unpack(archive.path, aside)
                # All at once: a sync for each of 150,000 photos would take longer than unpacking them.
                os.sync()
                aside.rename(home)
            except OSError as error:
                raise StorageError(
                    f"{archive.path} could not be unpacked to {target} ({error.strerror or error}): free "
                    "space or mend the rights there, then run again."
                ) from error
            finally:
                shutil.rmtree(aside, ignore_errors=True)
    return unpacked


def remove_others(target: Path, homes: Sequence[str]) -> None:
    """Remove what was unpacked of other archives, once no committed inventory names it."""
    for stale in target.iterdir():
        if stale.name not in homes:
            shutil.rmtree(stale)
