"""The graph in plain values, as a person would write it down: for a snapshot, and to be looked through."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from snake_assets.defs.lib.partitions import ON_DEVICE

# What Dagster adds by itself.
UNNAMED_JOB, OWN_RESOURCES = "__ASSET_JOB", {"io_manager"}


def described(definitions: dg.Definitions) -> dict[str, Any]:
    """Assets, checks, jobs, schedules, sensors and resources with all that a change of the graph changes."""
    repository = definitions.get_repository_def()
    return {
        "assets": _assets(definitions),
        "checks": _checks(definitions),
        "jobs": {
            job.name: {
                "assets": _names(job.asset_layer.executable_asset_keys),
                "partitions": _partitions(job.partitions_def),
                "tags": dict(job.tags),
            }
            for job in sorted(repository.get_all_jobs(), key=lambda job: job.name)
            if job.name != UNNAMED_JOB
        },
        "schedules": {
            schedule.name: {
                "cron": schedule.cron_schedule,
                "timezone": schedule.execution_timezone,
                "starts": schedule.default_status.value,
                "job": schedule.job_name,
            }
            for schedule in sorted(repository.schedule_defs, key=lambda schedule: schedule.name)
        },
        "sensors": {
            sensor.name: {
                "kind": sensor.sensor_type.value,
                "seconds": sensor.minimum_interval_seconds,
                "starts": sensor.default_status.value,
                "jobs": sorted(target.job_name for target in sensor.targets),
            }
            for sensor in sorted(repository.sensor_defs, key=lambda sensor: sensor.name)
        },
        "resources": {
            name: ", ".join(sorted(settings(resource)))
            for name, resource in sorted(resources(definitions).items())
        },
    }


def resources(definitions: dg.Definitions) -> Mapping[str, dg.ResourceDefinition]:
    """The resources that the project itself defines."""
    known = definitions.get_repository_def().get_top_level_resources()
    return {name: resource for name, resource in known.items() if name not in OWN_RESOURCES}


def settings(shown: dg.ResourceDefinition | dg.OpDefinition) -> dict[str, dg.Field]:
    """The fields that the launchpad shows for a resource or a step."""
    field = shown.config_schema.as_field() if shown.config_schema else None
    return dict(getattr(field.config_type, "fields", {})) if field else {}


def steps(definitions: dg.Definitions) -> Iterator[dg.OpDefinition]:
    """The steps that make assets or run checks, each once."""
    job = definitions.get_repository_def().get_job(UNNAMED_JOB)
    yield from sorted((node.definition for node in job.nodes), key=lambda step: step.name)


def _assets(definitions: dg.Definitions) -> dict[str, Any]:
    graph = definitions.resolve_asset_graph()
    told = {}
    for key in sorted(graph.materializable_asset_keys):
        asset, step = graph.get(key), definitions.get_assets_def(key).op
        retries = step.retry_policy
        told[key.to_user_string()] = {
            "group": asset.group_name,
            "kinds": ", ".join(sorted(asset.kinds)),
            "partitions": _partitions(asset.partitions_def),
            "reads": {
                parent.to_user_string(): _splits(asset.partition_mappings.get(parent))
                for parent in sorted(asset.parent_keys)
            },
            "step": step.name,
            "on_device": ON_DEVICE.items() <= step.tags.items(),
            "retries": f"{retries.max_retries}, {retries.backoff.value if retries.backoff else 'at once'}"
            if retries
            else None,
            "resources": ", ".join(sorted(step.required_resource_keys)),
            "settings": ", ".join(sorted(settings(step))),
        }
    return told


def _checks(definitions: dg.Definitions) -> dict[str, Any]:
    graph = definitions.resolve_asset_graph()
    told: dict[str, Any] = {}
    for key in sorted(graph.asset_check_keys, key=str):
        check = graph.get_check_spec(key)
        told.setdefault(key.asset_key.to_user_string(), {})[key.name] = (
            "blocks" if check.blocking else "tells"
        )
    return told


def _splits(mapping: dg.PartitionMapping | None) -> str:
    if mapping is None:
        return "all of it, or its own split"
    if isinstance(mapping, dg.SpecificPartitionsPartitionMapping):
        return ", ".join(mapping.partition_keys)
    return type(mapping).__name__


def _partitions(definition: dg.PartitionsDefinition | None) -> str | None:
    if isinstance(definition, dg.DynamicPartitionsDefinition):
        return f"dynamic: {definition.name}"
    return ", ".join(definition.get_partition_keys()) if definition else None


def _names(keys: Iterator[dg.AssetKey]) -> list[str]:
    return sorted(key.to_user_string() for key in keys)
