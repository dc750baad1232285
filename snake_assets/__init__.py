"""snake-assets: a Dagster asset platform that turns snake photos into species."""

import os

# Nothing is reported to anybody unless somebody asks for it: Dagster, Hugging Face, and Ray look here.
# ultralytics is told in detection/finders/yolo_weights.py.
for _reporting in (
    ("DAGSTER_DISABLE_TELEMETRY", "1"),
    ("HF_HUB_DISABLE_TELEMETRY", "1"),
    ("RAY_USAGE_STATS_ENABLED", "0"),
    ("DO_NOT_TRACK", "1"),
):
    os.environ.setdefault(*_reporting)
