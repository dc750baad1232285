"""The workflow that users copy: whole, pinned, and made of commands that there are."""

import re
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[1]
TO_COPY, IN_USE = PROJECT / "deploy/ci/snake-assets.yml", PROJECT / ".github/workflows/snake-assets.yml"
# YAML 1.1 reads the key `on` as true.
ON = True
MAY_HAVE = {"id", "name", "uses", "with", "run", "env", "if"}


@pytest.fixture(scope="module")
def workflow() -> dict[object, object]:
    return yaml.safe_load(TO_COPY.read_text())


@pytest.fixture(scope="module")
def steps(workflow) -> list[dict[str, object]]:
    (job,) = workflow["jobs"].values()
    assert {"runs-on", "timeout-minutes", "steps"} == job.keys()
    return job["steps"]


def test_the_project_runs_the_file_that_it_offers():
    assert IN_USE.read_bytes() == TO_COPY.read_bytes()


def test_it_has_the_form_of_a_workflow(workflow, steps):
    assert workflow.keys() == {"name", ON, "permissions", "concurrency", "env", "jobs"}
    assert {"push", "pull_request"} == workflow[ON].keys()
    assert workflow["permissions"] == {"contents": "read"}
    for step in steps:
        assert step.keys() <= MAY_HAVE
        assert ("uses" in step) != ("run" in step)


def test_actions_are_pinned_to_a_version(steps):
    for step in steps:
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+\.\d+\.\d+", step["uses"]), step


def test_it_validates_and_runs_the_demo_as_the_readme_says(steps):
    commands = [step["run"] for step in steps if "run" in step]
    assert ".venv/bin/dagster definitions validate -w workspace.yaml" in commands
    assert ".venv/bin/dagster job execute -m snake_assets.definitions -j snakeclef" in commands
    targets = re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.M)
    for command in commands:
        words = command.split()
        assert words[0].startswith(".venv/bin/") or (words[0] == "make" and set(words[1:]) <= set(targets))
    assert {"make setup", "make lint", "make types", "make test"} <= set(commands)


def test_the_environment_is_cached_by_what_it_is_made_of(steps):
    (cache,) = (step["with"] for step in steps if step.get("uses", "").startswith("actions/cache@"))
    assert cache["path"] == ".venv"
    named = re.findall(r"'([^']+)'", cache["key"])
    assert {"requirements.lock", "requirements-dev.lock"} <= set(named)
    assert all((PROJECT / name).is_file() for name in named)
