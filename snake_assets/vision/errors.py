"""What can be wrong with a backbone, and with the pass that it makes over photos."""


class BackboneError(ValueError):
    """A backbone that cannot be used; the message names what was found, where, and what to do."""


class EmbeddingError(RuntimeError):
    """The embedding pass could not go on; the message says why, and what to do."""


class EngineError(RuntimeError):
    """What spreads a pass over machines cannot go on; the message says why, and what to do."""
