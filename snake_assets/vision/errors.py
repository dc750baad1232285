"""What can be wrong with a backbone, and with the pass that it makes over photos."""


class BackboneError(ValueError):
    """A backbone that cannot be used; the message names what was found, where, and what to do."""


class MemoryCeilingError(RuntimeError):
    """More memory is needed than may be taken; the message says what would suffice."""

    def __init__(self, what: str, needed: int, otherwise: str) -> None:
        """Say what does not fit, how high the ceiling would have to be, in bytes, and what else helps."""
        super().__init__(
            f"{what} does not fit under the memory ceiling: set SNAKE_MEMORY to {-(-needed // 2**20)}MiB or "
            f"more, {otherwise}, and run again; shards that are finished are kept."
        )


class EmbeddingError(RuntimeError):
    """The embedding pass could not go on; the message says why, and what to do."""


class EngineError(RuntimeError):
    """What spreads a pass over machines cannot go on; the message says why, and what to do."""
