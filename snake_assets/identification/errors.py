"""What can be wrong with a package, or with what it is asked."""


class IdentificationError(ValueError):
    """A call or a package that cannot be used; the message says what is wrong, where, and what to do."""
