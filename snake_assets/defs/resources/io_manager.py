"""Where small values go that one step hands to another; what is large is a table of the store.

No asset of this project does so. One that somebody adds may, and steps that are pods share no disk.
"""

import dagster as dg
from pydantic import Field

from snake_assets.defs.resources.settings import SettingError, setting

VARIABLE = "SNAKE_VALUES"
CLOUD = "gs://"


class Values(dg.ConfigurableIOManagerFactory[dg.IOManager]):
    """Keeps what assets return, pickled."""

    root: str | None = Field(
        default=None,
        description="Where values are kept that an asset returns: gs://bucket/prefix, which steps that are "
        "pods need. Default: SNAKE_VALUES, else a folder of DAGSTER_HOME.",
    )

    def create_io_manager(self, context: dg.InitResourceContext) -> dg.IOManager:
        """The IO manager. Raises SettingError for a root that is no bucket."""
        root = setting(self.root, VARIABLE, "")
        if not root:
            return dg.FilesystemIOManager().create_io_manager(context)
        bucket, _, prefix = root.removeprefix(CLOUD).partition("/")
        if not root.startswith(CLOUD) or not bucket:
            raise SettingError(f"{VARIABLE}={root!r} is no gs://bucket/prefix: set one, or unset it.")
        from dagster_gcp.gcs import GCSPickleIOManager, GCSResource

        return GCSPickleIOManager(gcs=GCSResource(), gcs_bucket=bucket, gcs_prefix=prefix or "values")
