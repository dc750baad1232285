"""One hostile input, and what is held besides: nothing was written elsewhere, nothing was executed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from snake_assets.storage.fingerprints import file_digest

# What a payload would touch if it ran; every payload is made to.
CANARY = "SNAKE_CANARY"
AROUND = ("home/.bashrc", "store/part-00000.parquet", "a.jpg")


@dataclass(frozen=True)
class Case:
    """A hostile input.

    `run` gets an empty folder to work in, and raises where it does not end right. What is `slow` is left to
    the command (python -m snake_assets_tests.hostile).
    """

    name: str
    run: Callable[[Path], None]
    slow: bool = False


@dataclass(frozen=True)
class Ending:
    """How a case ended: the fault, or None; and how many of the files around it were lost or changed."""

    fault: str | None
    lost: int


def refused(kind: type[Exception], call: Callable[[], object], *words: str) -> None:
    """Hold that a call is refused by one of our errors that names all these words."""
    with pytest.raises(kind) as caught:
        call()
    for word in words:
        assert word in str(caught.value), f"{word!r} is not in {str(caught.value)[:500]!r}"


def try_case(case: Case, root: Path) -> Ending:
    """Run a case in a folder of `root` among files that it must leave alone."""
    around, canary, fault = root / "around", root / "executed", None
    for name in AROUND:
        (around / name).parent.mkdir(parents=True, exist_ok=True)
        (around / name).write_bytes(name.encode())
    inside = around / "inside" / "deep"
    inside.mkdir(parents=True)
    before = _digests(around, inside)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(CANARY, str(canary))
        try:
            case.run(inside)
        except (Exception, pytest.fail.Exception) as error:
            fault = f"{type(error).__name__}: {error}"
    after = _digests(around, inside)
    if canary.exists():
        fault = fault or "code of the input was executed"
    elif after.keys() - before.keys():
        fault = fault or f"written outside: {sorted(after.keys() - before.keys())}"
    return Ending(fault, sum(after.get(name) != digest for name, digest in before.items()))


def _digests(around: Path, inside: Path) -> dict[str, str]:
    return {
        str(path): file_digest(path)
        for path in around.rglob("*")
        if path.is_file() and not path.is_relative_to(inside)
    }
