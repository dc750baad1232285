"""What goes to another machine and back, as the row of a Ray dataset: anything pickled, or why it failed."""

from __future__ import annotations

import io
import pickle
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snake_assets.vision.errors import EngineError

COLUMN = "parcel"
Row = dict[str, NDArray[np.uint8]]


@dataclass(frozen=True)
class Failed:
    """An error and what it came from, outermost first: pickling an error alone forgets its causes."""

    errors: tuple[BaseException, ...]

    def raised(self) -> BaseException:
        """The error, its causes in place."""
        for error, cause in zip(self.errors, self.errors[1:], strict=False):
            error.__cause__ = cause
        return self.errors[0]


def sent(content: object) -> Row:
    """A row that holds this, tensors among it in main memory."""
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=5).dump(content)
    return {COLUMN: np.frombuffer(buffer.getbuffer(), np.uint8)}


def opened(row: Row) -> Any:
    """What a row holds. Only for rows of this pass: they are pickles. Raises what failed on its way."""
    content = pickle.loads(np.ascontiguousarray(row[COLUMN]).data)  # noqa: S301
    if isinstance(content, Failed):
        raise content.raised()
    return content


def answered(work: Callable[[], object]) -> Row:
    """What the work gives, or the error that it raised, as a row: to Ray, nothing has failed."""
    try:
        return sent(work())
    except Exception as error:
        return sent(Failed(tuple(_portable(one) for one in _chain(error))))


def _chain(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    found: BaseException | None = error
    while found is not None and found not in chain:
        chain.append(found)
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
    return chain


def _portable(error: BaseException) -> BaseException:
    """The error with its traceback in words; one that cannot be pickled as an error that says the same."""
    error.add_note("".join(traceback.format_tb(error.__traceback__)))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301
    except Exception:
        return EngineError(f"{type(error).__name__}: {error}")
    return error


class _Pickler(pickle.Pickler):
    """Tensors as arrays: torch's own way copies their bytes three times."""

    def reducer_override(self, thing: Any) -> Any:
        import torch

        if isinstance(thing, torch.Tensor):
            return torch.from_numpy, (thing.numpy(),)
        return NotImplemented
