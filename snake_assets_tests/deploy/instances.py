"""Instance configs (dagster.yaml) held against Dagster and every class that they name."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import yaml


def checked(config: Mapping[str, Any], home: Path) -> dict[str, dict[str, Any]]:
    """The config of each class that an instance config names, as that class understands it.

    Variables that the config reads have to be set; `home` is an empty folder.
    """
    classes = {part: named for part, named in config.items() if isinstance(named, dict) and "class" in named}
    rest = {part: value for part, value in config.items() if part not in classes and part != "storage"}
    (home / "dagster.yaml").write_text(yaml.safe_dump(rest))
    dg.DagsterInstance.from_config(str(home)).dispose()
    if "storage" in config:  # opening it would take a database
        class_config("dagster_postgres", "DagsterPostgresStorage", config["storage"]["postgres"])
    return {
        part: class_config(named["module"], named["class"], named.get("config", {}))
        for part, named in classes.items()
    }


def class_config(module: str, name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """A config as the class understands it that it is for."""

    @dg.op(config_schema=getattr(importlib.import_module(module), name).config_type())
    def takes() -> None: ...

    @dg.job
    def asks() -> None:
        takes()

    taken = dg.validate_run_config(asks, {"ops": {"takes": {"config": dict(config)}}})
    return dict(taken["ops"]["takes"]["config"])
