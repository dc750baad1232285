"""Where everything that is made is kept: tables, bundles, fingerprints, folders and buckets.

What is in them does not belong here.
"""


class StorageError(RuntimeError):
    """Something in the store cannot be used as it is; the message says what, where, and what to do."""
