"""`python -m supply.audit`: whether vulnerabilities of what requirements.lock pins are known (pip-audit).

Exit status 0: none. 1: some are known, or the audit failed. 3: the data could not be had.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from supply.locks import RUNTIME

CLEAN, VULNERABLE, UNAUDITED = 0, 1, 3
# pip-audit finds nothing where it reaches no data, too: it has to find what everybody knows (CVE-2019-10906).
KNOWN_BAD = "jinja2==2.10"

# Takes a requirements file, returns pip-audit's "dependencies".
Auditor = Callable[[Path], list[dict[str, Any]]]


class NoAnswerError(RuntimeError):
    """pip-audit ended without an answer."""


def ask_pip_audit(requirements: Path) -> list[dict[str, Any]]:
    """What pip-audit says of each pin that would be installed here. Raises NoAnswerError."""
    options = ["--no-deps", "--disable-pip", "--progress-spinner=off", "--format=json"]
    ended = subprocess.run(
        [sys.executable, "-m", "pip_audit", *options, "-r", str(requirements)],
        check=False,
        capture_output=True,
        text=True,
    )
    try:
        return list(json.loads(ended.stdout)["dependencies"])
    except ValueError:
        raise NoAnswerError((ended.stderr.strip().splitlines() or ["it said nothing"])[-1]) from None


def audit(lock: Path, ask: Auditor) -> tuple[int, str]:
    """Exit status (see above) and what to tell. Raises NoAnswerError when only the lock has no answer."""
    if missing := _why_there_is_no_data(ask):
        return (
            UNAUDITED,
            f"SKIPPED: the vulnerability data could not be reached, nothing was audited ({missing}).",
        )
    packages = ask(lock)
    lines = [_told(package) for package in packages if package.get("vulns")]
    if lines:
        return VULNERABLE, "\n".join([f"Vulnerabilities in what {lock.name} pins:", *lines])
    if unknown := [str(package["name"]) for package in packages if "skip_reason" in package]:
        return UNAUDITED, f"SKIPPED IN PART: there are no data about {', '.join(unknown)}."
    return CLEAN, f"No vulnerability is known of the {len(packages)} packages of {lock.name} here."


def _why_there_is_no_data(ask: Auditor) -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        control = Path(folder) / "known.txt"
        control.write_text(KNOWN_BAD + "\n", encoding="utf-8")
        try:
            found = any(package.get("vulns") for package in ask(control))
        except NoAnswerError as error:
            return str(error)
    return None if found else f"nothing is known of {KNOWN_BAD}"


def _told(package: dict[str, Any]) -> str:
    told = [
        f"{hole['id']} (mended in {', '.join(hole['fix_versions']) or 'no version yet'})"
        for hole in package["vulns"]
    ]
    return f"  {package['name']} {package['version']}: {'; '.join(told)}"


def main() -> int:
    """Audit requirements.lock and print what came of it."""
    status, told = audit(RUNTIME, ask_pip_audit)
    sys.stdout.write(told + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
