"""Full and read-only disks, and users who may not write, as far as the machine lets a test have them."""

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

Crowd = Callable[[int], AbstractContextManager[None]]
NOBODY = 65534


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """A disk of its own, mounted at `folder`; skips the test where it may not be mounted."""
    folder.mkdir()
    options = f"size={megabytes}m,mode=0755"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here ({mounted.stderr.decode().strip()})")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def crowded(disk: Path) -> Crowd:
    """Makes a disk hold only so many bytes more."""

    @contextmanager
    def crowd(left: int) -> Iterator[None]:
        filler = disk / "filler"
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        filler.write_bytes(bytes(max(0, free - left)))
        try:
            yield
        finally:
            filler.unlink()

    return crowd


@contextmanager
def files_limited(left: int) -> Iterator[None]:
    """Lets no file of this process grow beyond so many bytes, as a quota does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (left, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def read_only(disk: Path) -> Iterator[None]:
    """Makes a disk of its own read-only."""
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)


@contextmanager
def somebody_else() -> Iterator[None]:
    """Acts as a user who owns nothing; skips the test where that cannot be."""
    if os.geteuid() != 0:
        pytest.skip("only root can act as another user")
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
