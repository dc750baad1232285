"""Instance configs (dagster.yaml) held against the schema of Dagster and of every class that they name."""

import importlib
from collections.abc import Mapping
from typing import Any

from dagster._config import process_config, resolve_to_config_type
from dagster._core.instance.config import dagster_instance_config_schema


def checked(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The config of each class that an instance config names, as that class understands it.

    Variables that the config reads have to be set.
    """
    known = process_config(resolve_to_config_type(dagster_instance_config_schema()), dict(config))
    assert known.success, [error.message for error in known.errors]
    return {
        part: class_config(named["module"], named["class"], named.get("config", {}))
        for part, named in config.items()
        if isinstance(named, dict) and "class" in named
    }


def class_config(module: str, name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """A config as the class understands it that it is for."""
    described = getattr(importlib.import_module(module), name).config_type()
    result = process_config(resolve_to_config_type(described), dict(config))
    assert result.success, [error.message for error in result.errors]
    return dict(result.value)
