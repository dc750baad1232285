"""An audit that found nothing is told apart from one that had no data to find anything in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from supply.audit import CLEAN, KNOWN_BAD, UNAUDITED, VULNERABLE, NoAnswerError, ask_pip_audit, audit

HOLE = {"id": "CVE-2019-10906", "fix_versions": ["2.10.1"]}
Package = dict[str, Any]


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    (tmp_path / "requirements.lock").write_text("numpy==2.4.6\ntqdm==4.70.1\n")
    return tmp_path / "requirements.lock"


def answers(*packages: Package) -> Callable[[Path], list[Package]]:
    """An auditor that knows the hole which everybody knows, and says this of anything else."""

    def ask(requirements: Path) -> list[Package]:
        if requirements.read_text().strip() == KNOWN_BAD:
            return [{"name": "jinja2", "version": "2.10", "vulns": [HOLE]}]
        return list(packages)

    return ask


def test_nothing_known(lock: Path):
    clean = [{"name": name, "version": "1", "vulns": []} for name in ("numpy", "tqdm")]
    status, told = audit(lock, answers(*clean))
    assert status == CLEAN and "No vulnerability is known of the 2 packages" in told


def test_what_is_known_is_told_by_package_and_version(lock: Path):
    bad = {"name": "tqdm", "version": "4.70.1", "vulns": [HOLE, {"id": "CVE-0", "fix_versions": []}]}
    status, told = audit(lock, answers({"name": "numpy", "skip_reason": "no data"}, bad))
    assert status == VULNERABLE
    assert "tqdm 4.70.1: CVE-2019-10906 (mended in 2.10.1); CVE-0 (mended in no version yet)" in told


def test_packages_without_data_are_named(lock: Path):
    known = {"name": "numpy", "version": "2.4.6", "vulns": []}
    status, told = audit(lock, answers(known, {"name": "tqdm", "skip_reason": "no data"}))
    assert status == UNAUDITED and "tqdm" in told and "numpy" not in told


def test_an_auditor_that_knows_of_nothing_has_audited_nothing(lock: Path):
    status, told = audit(lock, lambda _: [{"name": "jinja2", "skip_reason": "not found"}])
    assert status == UNAUDITED
    assert "the vulnerability data could not be reached, nothing was audited" in told


def test_pip_audit_without_network_is_no_clean_audit(lock: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("PIP_CACHE_DIR", str(lock.parent / "cache"))
    status, told = audit(lock, ask_pip_audit)
    assert status == UNAUDITED
    assert "the vulnerability data could not be reached, nothing was audited" in told and "onnection" in told


def test_an_answer_that_fails_when_data_can_be_had_is_no_skipping(lock: Path):
    def ask(requirements: Path) -> list[Package]:
        if requirements == lock:
            raise NoAnswerError("broken")
        return answers()(requirements)

    with pytest.raises(NoAnswerError, match="broken"):
        audit(lock, ask)
