"""The code location with the sensor of the inbox switched on, and looking as often as it can."""

import dagster as dg

from snake_assets.definitions import build_definitions
from snake_assets.defs.automation.inbox import look
from snake_assets.defs.jobs import identify

quickly = dg.sensor(
    name="new_photos_quickly",
    job=identify,
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
)(look)
defs = dg.Definitions.merge(build_definitions(), dg.Definitions(sensors=[quickly]))
