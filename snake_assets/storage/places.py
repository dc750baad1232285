"""Roots that users name: a folder today; `gs://` is recognised and refused by name."""

from pathlib import Path

from snake_assets.storage.errors import StorageError


def local_root(text: str, variable: str) -> Path:
    """The folder that a setting names, absolute, with `~` expanded; it need not exist.

    Raises:
        StorageError: the setting is a URL (of any scheme) or cannot be a path; names `variable`.
    """
    if "://" in text:
        raise StorageError(
            f"{variable}={text!r}: only folders can be used by this version. Copy the data to a folder "
            f"(for gs:// with `gcloud storage rsync -r`) and set {variable} to it."
        )
    if not text.strip() or "\0" in text:
        raise StorageError(
            f"{variable}={text!r} is not a folder: set it to a path, or unset it for the default."
        )
    return Path(text).expanduser().absolute()
