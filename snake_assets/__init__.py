"""snake-assets: a Dagster asset platform that turns snake photos into species."""
