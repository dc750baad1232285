"""What can be wrong with a backbone."""


class BackboneError(ValueError):
    """A backbone that cannot be used; the message names what was found, where, and what to do."""
