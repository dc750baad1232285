"""What can be wrong with the competition's files."""


class DataError(ValueError):
    """Raw data that cannot be used as it is; the message says what, where, and what to do."""
