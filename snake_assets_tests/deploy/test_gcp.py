"""deploy/gcp, against a gcloud that only writes down what it is told."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from supply.locks import PROJECT

GCP = PROJECT / "deploy" / "gcp"
SCRIPT = GCP / "setup.sh"
# `describe` fails where nothing is there yet.
STUB = """#!/bin/sh
echo "$*" >> "$TOLD"
case "$*" in *describe*) exit "$DESCRIBED" ;; esac
"""
SET = {"PROJECT": "p", "REGION": "r", "PREFIX": "x"}
RIGHTS = [
    ("gs://x-data", "roles/storage.objectViewer"),
    ("gs://x-store", "roles/storage.objectUser"),
    ("gs://x-logs", "roles/storage.objectUser"),
    ("gs://x-logs", "roles/storage.legacyBucketReader"),
]


@pytest.fixture
def told(tmp_path: Path):
    """Runs the script; gives exit status, what it wrote to stderr, and what gcloud was told."""
    stub, log = tmp_path / "gcloud", tmp_path / "told"
    stub.write_text(STUB)
    stub.chmod(0o755)

    def run(there: bool, variables: dict[str, str]) -> tuple[int, str, list[str]]:
        log.write_text("")
        own = {"PATH": f"{tmp_path}:{os.defpath}", "TOLD": str(log), "DESCRIBED": "0" if there else "1"}
        ended = subprocess.run([SCRIPT], check=False, env=own | variables, capture_output=True, text=True)
        return ended.returncode, ended.stderr, log.read_text().splitlines()

    return run


def test_buckets_are_shut_and_the_account_may_do_what_it_has_to_and_nothing_is_made_twice(told):
    status, _, lines = told(False, SET)
    made = [line for line in lines if line.startswith("storage buckets create")]
    assert (status, [line.split()[3] for line in made]) == (0, ["gs://x-data", "gs://x-store", "gs://x-logs"])
    assert all("--uniform-bucket-level-access --public-access-prevention" in line for line in made)
    granted = [line for line in lines if line.startswith("storage buckets add-iam-policy-binding")]
    assert [(line.split()[3], line.split("--role=")[1]) for line in granted] == RIGHTS
    assert not any(line.startswith("projects ") or "keys create" in line for line in lines)
    assert lines[-1].endswith("p.svc.id.goog[snakes/snake-assets] --role=roles/iam.workloadIdentityUser")
    status, _, lines = told(True, SET)
    assert status == 0 and not any(" create " in line for line in lines)


@pytest.mark.parametrize("missing", SET)
def test_nothing_is_done_before_all_is_set(told, missing: str):
    status, stderr, lines = told(False, {name: value for name, value in SET.items() if name != missing})
    assert status != 0 and missing in stderr and lines == []


def test_a_current_table_is_never_removed_by_itself():
    rules = json.loads((GCP / "lifecycle-store.json").read_text())["rule"]
    removing = [rule["condition"] for rule in rules if rule["action"]["type"] == "Delete"]
    assert removing and all("daysSinceNoncurrentTime" in condition for condition in removing)
