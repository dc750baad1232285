"""What a step does when something fails: wait and try again, or say at once what is wrong.

A disk or a network that is away for a moment comes back: the step is tried again, a little later each time.
Bad data, a wrong setting, a full disk or a fault of ours give the same answer however often they are asked.
"""

import errno
import inspect
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, Self, TypeVar, cast

import dagster as dg
from pydantic import ModelWrapValidatorHandler, ValidationError, model_validator

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

# About 5, 15 and 35 seconds later; the jitter keeps steps apart that one fault has stopped together.
TRY_AGAIN = dg.RetryPolicy(
    max_retries=3, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
)
# What passes by itself. Not among them: a full or read-only disk, missing rights, a file that is not there.
PASSING = {
    *(errno.EIO, errno.EAGAIN, errno.EINTR, errno.ESTALE, errno.ETIMEDOUT, errno.ECONNRESET, errno.EPIPE),
    *(errno.ECONNREFUSED, errno.ECONNABORTED, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN),
    *(errno.ENETRESET, errno.ENETUNREACH, errno.ENOTCONN),
}


def is_transient(error: BaseException) -> bool:
    """Whether the error, or what it came from, is a fault of disk or network that passes by itself."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, ConnectionError | TimeoutError):
            return True
        if isinstance(found, OSError) and found.errno in PASSING:
            return True
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
    return False


def retries_only_what_passes(body: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Put under `@dg.asset(retry_policy=TRY_AGAIN)`: every other fault than a transient one ends the step.

    The step then fails with the fault's own message, and Dagster does not try it again. It ends with its run,
    too: a run that was killed leaves no step behind that keeps the device from the next.
    """
    if inspect.isgeneratorfunction(body):

        @wraps(body)
        def generator(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Iterator[Any]:
            with _ending_the_step():
                yield from body(*args, **kwargs)

        return cast(Callable[Arguments, Result], generator)

    @wraps(body)
    def function(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with _ending_the_step():
            return body(*args, **kwargs)

    return function


@contextmanager
def _ending_the_step() -> Iterator[None]:
    if multiprocessing.parent_process() is not None:
        threading.Thread(target=_end_with_the_run, daemon=True).start()
    try:
        yield
    except Exception as error:
        transient = is_transient(error)
        if transient and dg.OpExecutionContext.get().retry_number < TRY_AGAIN.max_retries:
            raise
        # Our own errors say in a sentence what is wrong and what to do; others need the name of their kind.
        ours = type(error).__module__.split(".")[0] == __name__.split(".")[0]
        description = str(error) if ours else f"{type(error).__name__}: {error}"
        if transient:
            description += f" Tried {1 + TRY_AGAIN.max_retries} times."
        raise dg.Failure(description, allow_retries=False) from error


def _end_with_the_run() -> None:
    if (run := multiprocessing.parent_process()) is not None:
        run.join()
        os._exit(1)


class StepConfig(dg.Config):
    """Base of all config classes of assets: a value out of range ends the step at once, by a sentence.

    Dagster checks types before a run exists, ranges as the step starts. Without this, it would take what
    pydantic says for a fault that may pass, and try the step again.
    """

    @model_validator(mode="wrap")
    @classmethod
    def _refuse_by_name(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(values)
        except ValidationError as error:
            raise dg.Failure(
                " ".join(
                    f"{'.'.join(map(str, wrong['loc']))}={wrong['input']!r}: {wrong['msg']}. "
                    + cls._about(wrong["loc"])
                    for wrong in error.errors()
                ),
                allow_retries=False,
            ) from None

    @classmethod
    def _about(cls, where: tuple[int | str, ...]) -> str:
        field = cls.model_fields.get(str(where[0])) if where else None
        return f"Set another value, or leave it out. {field.description}" if field else "Take it out."
