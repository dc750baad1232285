"""deploy/gcp, against a gcloud that only writes down what it is told."""

import json
import os
import subprocess
import sys
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


@pytest.fixture
def told(tmp_path: Path):
    """Runs the script; gives exit status, what it wrote to stderr, and what gcloud was told."""
    stub = tmp_path / "gcloud"
    stub.write_text(STUB)
    stub.chmod(0o755)
    log = tmp_path / "told"

    def run(there: bool, **variables: str) -> tuple[int, str, list[str]]:
        log.write_text("")
        environment = {
            "PATH": f"{tmp_path}:{os.defpath}",
            "TOLD": str(log),
            "DESCRIBED": "0" if there else "1",
            **variables,
        }
        ended = subprocess.run([SCRIPT], check=False, env=environment, capture_output=True, text=True)
        return ended.returncode, ended.stderr, log.read_text().splitlines()

    return run


def test_the_script_has_no_lint():
    subprocess.run(["bash", "-n", SCRIPT], check=True)
    shellcheck = Path(sys.executable).parent / "shellcheck"
    ended = subprocess.run([shellcheck, SCRIPT], check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout


def test_buckets_are_shut_and_the_account_may_do_what_it_has_to(told):
    status, _, lines = told(False, **SET)
    assert status == 0
    made = [line for line in lines if line.startswith("storage buckets create")]
    assert [line.split()[3] for line in made] == ["gs://x-data", "gs://x-store", "gs://x-logs"]
    assert all("--uniform-bucket-level-access --public-access-prevention" in line for line in made)
    rights = [
        (line.split()[3], line.split("--role=")[1])
        for line in lines
        if line.startswith("storage buckets add-iam-policy-binding")
    ]
    assert rights == [
        ("gs://x-data", "roles/storage.objectViewer"),
        ("gs://x-store", "roles/storage.objectUser"),
        ("gs://x-logs", "roles/storage.objectUser"),
        ("gs://x-logs", "roles/storage.legacyBucketReader"),
    ]
    assert not any(line.startswith("projects ") or "keys create" in line for line in lines)
    assert lines[-1].endswith("p.svc.id.goog[snakes/snake-assets] --role=roles/iam.workloadIdentityUser")


def test_what_is_there_is_not_made_again(told):
    status, _, lines = told(True, **SET)
    assert status == 0 and not any(" create " in line for line in lines)


@pytest.mark.parametrize("missing", SET)
def test_nothing_is_done_before_all_is_set(told, missing: str):
    status, stderr, lines = told(False, **{name: value for name, value in SET.items() if name != missing})
    assert status != 0 and missing in stderr and lines == []


@pytest.mark.parametrize("name", ["lifecycle-store.json", "lifecycle-logs.json"])
def test_lifecycles_have_their_form(name: str):
    rules = json.loads((GCP / name).read_text())["rule"]
    assert name in SCRIPT.read_text()
    for rule in rules:
        assert rule["action"]["type"] in ("Delete", "AbortIncompleteMultipartUpload")
        assert rule["condition"] and rule["condition"].keys() <= {"age", "daysSinceNoncurrentTime"}


def test_a_current_table_is_never_removed_by_itself():
    rules = json.loads((GCP / "lifecycle-store.json").read_text())["rule"]
    removing = [rule["condition"] for rule in rules if rule["action"]["type"] == "Delete"]
    assert removing and all("daysSinceNoncurrentTime" in condition for condition in removing)
