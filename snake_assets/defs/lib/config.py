"""The config of a step, as the launchpad offers it."""

from typing import Any, Self

import dagster as dg
from pydantic import ModelWrapValidatorHandler, ValidationError, model_validator


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
