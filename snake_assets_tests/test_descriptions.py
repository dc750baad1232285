"""Everything that a person meets in the UI says what it is; a new thing that does not fails here."""

import re
from collections.abc import Iterator

import dagster as dg

from snake_assets.definitions import defs
from snake_assets_tests.graph import UNNAMED_JOB, resources, settings, steps

SHORTEST = 25
# A whole sentence or two: what it is, and what to do when it fails.
SHORTEST_STORY = 100
FAILS = re.compile(r"\b(fails?|warns)\b")
NUMBER = re.compile("Int|Float")
NUMBER_WORD = re.compile(r"\d|or more|above")


def stories() -> Iterator[tuple[str, str | None]]:
    repository, graph = defs.get_repository_def(), defs.resolve_asset_graph()
    for key in graph.materializable_asset_keys:
        yield f"asset {key.to_user_string()}", graph.get(key).description
    for thing in (*repository.get_all_jobs(), *repository.schedule_defs, *repository.sensor_defs):
        if thing.name != UNNAMED_JOB:
            yield thing.name, thing.description
    for check in graph.asset_check_keys:
        yield f"check {check.to_user_string()}", graph.get_check_spec(check).description


def fields() -> Iterator[tuple[str, dg.Field]]:
    for name, shown in [*resources(defs).items(), *((step.name, step) for step in steps(defs))]:
        for field, described in settings(shown).items():
            yield f"{name}.{field}", described


def test_everything_says_what_it_is_and_what_to_do_when_it_fails():
    told = {name: story or "" for name, story in stories()}
    wanting = {name for name, story in told.items() if len(story) < SHORTEST_STORY or not FAILS.search(story)}
    wanting |= {name for name, shown in resources(defs).items() if len(shown.description or "") < SHORTEST}
    assert len(told) > 50 and not wanting


def test_every_field_says_what_it_is_and_every_number_its_range():
    known = dict(fields())
    told = {name: field.description or "" for name, field in known.items()}
    wanting = {name for name, story in told.items() if len(story) < SHORTEST}
    wanting |= {
        name
        for name, field in known.items()
        if NUMBER.search(field.config_type.key) and not NUMBER_WORD.search(told[name])
    }
    assert len(known) > 20 and not wanting


def test_assets_show_what_they_are_made_with_and_by_which_version():
    graph = defs.resolve_asset_graph()
    for key in graph.materializable_asset_keys:
        assert graph.get(key).kinds and graph.get(key).code_version, key
