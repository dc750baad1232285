"""What can be wrong with the store."""


class StorageError(RuntimeError):
    """Something in the store cannot be used as it is; the message says what, where, and what to do."""
