"""The competition: its metadata files, its photos as a table, its metric and its submission format.

What a photo shows does not belong here (vision), nor who answers (learning).
"""


class DataError(ValueError):
    """Raw data that cannot be used as it is; the message says what, where, and what to do."""


def counted(number: int, what: str) -> str:
    """A number of things, for a message: `1 photo`, `1,200 photos`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
