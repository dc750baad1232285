"""The workflow that the project runs and others copy: pinned, and made of what there is."""

import re
from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parents[1]
WORKFLOW = PROJECT / ".github" / "workflows" / "snake-assets.yml"


def test_the_workflow_runs_the_demo_and_the_tests_as_people_do():
    workflow = yaml.safe_load(WORKFLOW.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    (job,) = workflow["jobs"].values()
    for step in job["steps"]:
        assert "run" in step or re.fullmatch(r"actions/[a-z-]+@v\d+\.\d+\.\d+", step["uses"]), step
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert ".venv/bin/dagster definitions validate -w workspace.yaml" in commands
    assert ".venv/bin/dagster job execute -m snake_assets.definitions -j snakeclef" in commands
    assert {"make setup", "make lint", "make types", "make test"} <= set(commands)
    targets = re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.M)
    for command in commands:
        words = command.split()
        assert words[0].startswith(".venv/bin/") or (words[0] == "make" and set(words[1:]) <= set(targets))
