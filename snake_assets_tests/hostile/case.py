"""One hostile input, and what is held besides: nothing was written elsewhere, nothing was executed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

# What a payload would touch if it ran; every payload is made to.
CANARY = "SNAKE_CANARY"
AROUND = ("home/.bashrc", "store/part-00000.parquet", "a.jpg")


@dataclass(frozen=True)
class Case:
    """A hostile input.

    `run` gets an empty folder to work in, and raises where it does not end right. What is `slow` is tried
    with `--full` only.
    """

    name: str
    run: Callable[[Path], None]
    slow: bool = False


def refused(kind: type[Exception], call: Callable[[], object], *words: str) -> None:
    """Hold that a call is refused by one of our errors that names all these words."""
    with pytest.raises(kind) as caught:
        call()
    for word in words:
        assert word in str(caught.value), f"{word!r} is not in {str(caught.value)[:500]!r}"


def try_case(case: Case, root: Path) -> None:
    """Run a case in a folder of `root` among files that it must leave alone."""
    around, canary = root / "around", root / "executed"
    inside = around / "inside" / "deep"
    inside.mkdir(parents=True)
    for name in AROUND:
        (around / name).parent.mkdir(parents=True, exist_ok=True)
        (around / name).write_text(name)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(CANARY, str(canary))
        case.run(inside)
    assert not canary.exists(), "code of the input was executed"
    outside = {path for path in around.rglob("*") if path.is_file() and not path.is_relative_to(inside)}
    assert outside == {around / name for name in AROUND}
    assert all((around / name).read_text() == name for name in AROUND)
