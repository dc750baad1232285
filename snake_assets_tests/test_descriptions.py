"""Everything that a person meets in the UI says what it is; a new thing that does not fails here."""

import re
from collections.abc import Iterator

import dagster as dg
import pytest

from snake_assets.definitions import defs
from snake_assets_tests.graph import UNNAMED_JOB, resources, settings, steps

SHORTEST = 25
# A whole sentence or two: what it is, and what to do when it fails.
SHORTEST_STORY = 100
NUMBER = re.compile("Int|Float")
NUMBER_WORD = re.compile(r"\d|or more|above")


def stories() -> Iterator[tuple[str, str]]:
    repository, graph = defs.get_repository_def(), defs.resolve_asset_graph()
    for key in graph.materializable_asset_keys:
        yield f"asset {key.to_user_string()}", graph.get(key).description or ""
    for job in repository.get_all_jobs():
        if job.name != UNNAMED_JOB:
            yield f"job {job.name}", job.description or ""
    for schedule in repository.schedule_defs:
        yield f"schedule {schedule.name}", schedule.description or ""
    for sensor in repository.sensor_defs:
        yield f"sensor {sensor.name}", sensor.description or ""
    for key in graph.asset_check_keys:
        check = graph.get_check_spec(key)
        yield f"check {key.to_user_string()}", check.description or ""


def fields() -> Iterator[tuple[str, dg.Field]]:
    for name, resource in resources(defs).items():
        for field, shown in settings(resource).items():
            yield f"resource {name}.{field}", shown
    for step in steps(defs):
        for field, shown in settings(step).items():
            yield f"step {step.name}.{field}", shown


STORIES, FIELDS = dict(stories()), dict(fields())


@pytest.mark.parametrize("name", sorted(STORIES))
def test_it_says_what_it_is_and_what_to_do_when_it_fails(name: str):
    story = STORIES[name]
    assert len(story) >= SHORTEST_STORY, f"{name} is described by {story!r}"
    assert re.search(r"\b(fails?|warns)\b", story), f"{name} does not say what to do when it fails: {story!r}"


@pytest.mark.parametrize("name", sorted(resources(defs)))
def test_every_resource_says_what_it_is(name: str):
    assert len(resources(defs)[name].description or "") >= SHORTEST


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_every_field_says_what_it_is(name: str):
    assert len(FIELDS[name].description or "") >= SHORTEST


@pytest.mark.parametrize(
    "name", sorted(name for name, field in FIELDS.items() if NUMBER.search(field.config_type.key))
)
def test_every_number_says_its_range(name: str):
    description = FIELDS[name].description or ""
    assert NUMBER_WORD.search(description), f"{name}: {description!r} tells no range"


def test_assets_stand_in_groups_and_show_what_they_are_made_with():
    graph = defs.resolve_asset_graph()
    for key in graph.materializable_asset_keys:
        asset = graph.get(key)
        assert asset.group_name != "default"
        assert asset.kinds
        assert asset.code_version
        assert not asset.owners
