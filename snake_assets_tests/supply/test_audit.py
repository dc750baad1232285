"""An audit that found nothing is told apart from one that had no data to find anything in."""

from pathlib import Path
from typing import Any

import pytest

from supply.audit import CLEAN, KNOWN_BAD, UNAUDITED, VULNERABLE, NoAnswerError, ask_pip_audit, audit

HOLE = {"id": "CVE-2019-10906", "fix_versions": ["2.10.1"]}
NUMPY = {"name": "numpy", "version": "2.4.6", "vulns": []}
BAD = {"name": "tqdm", "version": "4.70.1", "vulns": [HOLE, {"id": "CVE-0", "fix_versions": []}]}
MENDED = "tqdm 4.70.1: CVE-2019-10906 (mended in 2.10.1); CVE-0 (mended in no version yet)"
UNREACHED = "the vulnerability data could not be reached, nothing was audited"


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    (tmp_path / "requirements.lock").write_text("numpy==2.4.6\ntqdm==4.70.1\n")
    return tmp_path / "requirements.lock"


@pytest.mark.parametrize(
    ("packages", "status", "words"),
    [
        ([NUMPY, NUMPY | {"name": "tqdm"}], CLEAN, "No vulnerability is known of the 2 packages"),
        ([{"name": "numpy", "skip_reason": "no data"}, BAD], VULNERABLE, MENDED),
        ([NUMPY, {"name": "tqdm", "skip_reason": "no data"}], UNAUDITED, "tqdm"),
        (None, UNAUDITED, UNREACHED),
    ],
    ids=["nothing known", "a vulnerability", "no data on a package", "no data at all"],
)
def test_what_was_found_is_told_apart_from_what_was_not_looked_at(
    lock: Path, packages: list[dict[str, Any]] | None, status: int, words: str
):
    def ask(requirements: Path) -> list[dict[str, Any]]:
        if packages is None:
            return [{"name": "jinja2", "skip_reason": "not found"}]
        # Every auditor that has data knows of this one.
        if requirements.read_text().strip() == KNOWN_BAD:
            return [{"name": "jinja2", "version": "2.10", "vulns": [HOLE]}]
        return packages

    found, told = audit(lock, ask)
    assert found == status and words in told


def test_pip_audit_without_network_is_no_clean_audit(lock: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("PIP_CACHE_DIR", str(lock.parent / "cache"))
    status, told = audit(lock, ask_pip_audit)
    assert status == UNAUDITED and UNREACHED in told and "onnection" in told


def test_an_answer_that_fails_when_data_can_be_had_is_no_skipping(lock: Path):
    def ask(requirements: Path) -> list[dict[str, Any]]:
        if requirements == lock:
            raise NoAnswerError("broken")
        return [{"name": "jinja2", "version": "2.10", "vulns": [HOLE]}]

    with pytest.raises(NoAnswerError, match="broken"):
        audit(lock, ask)
