"""The page of licences fits what is pinned and what packages tell, and nothing on it is unknown."""

import re
from pathlib import Path

import pytest

from supply.kinds import KINDS, UnknownLicenceError, kind_of, spdx
from supply.licences import PAGE, REVIEWED, licences, page, told_by_packages
from supply.locks import DEPLOYED, Pin, pins


@pytest.fixture(scope="module")
def rows() -> dict[Pin, str]:
    found = re.findall(r"^\| ([a-z0-9-]+) \| (\d\S*) \| (.+) \|$", PAGE.read_text(), re.M)
    named = [Pin(name, version) for name, version, _ in found]
    assert len(named) == len(set(named))
    return {pin: licence for pin, (*_, licence) in zip(named, found, strict=True)}


def test_the_page_names_just_what_is_pinned(rows: dict[Pin, str]):
    locked = {Pin(pin.name, pin.version) for pin in pins(DEPLOYED)}
    assert REVIEWED.keys() <= {pin.name for pin in locked}
    assert rows.keys() == locked, "requirements-deploy.lock has changed: run make licences, and read the diff"


def test_the_page_tells_what_installed_packages_tell(rows: dict[Pin, str]):
    told = told_by_packages()
    seen = rows.keys() & told.keys()
    assert len(seen) > 100
    assert {pin: rows[pin] for pin in seen if pin.name not in REVIEWED} == {
        pin: spdx(told[pin]) for pin in seen if pin.name not in REVIEWED
    }


def test_every_licence_on_the_page_is_known(rows: dict[Pin, str]):
    assert {kind_of(licence) for licence in rows.values()} == set(KINDS)
    agpl = [pin.name for pin, licence in rows.items() if kind_of(licence) == "AGPL"]
    assert agpl == ["ultralytics", "ultralytics-platform", "ultralytics-thop"]


@pytest.mark.parametrize("said", ["UNKNOWN", "MIT AND GPL-3.0-only", "Business Source License", None])
def test_a_licence_that_nobody_looked_at_or_that_is_not_told_is_refused_by_name(said: str | None):
    told = {Pin("thing", "1.2"): said} if said else {Pin("other", "1.2"): "MIT"}
    with pytest.raises(UnknownLicenceError, match=r"thing 1\.2" + (".*Read its licence" if said else "")):
        licences([Pin("thing", "1.2")], told)


def test_the_strictest_licence_decides_where_a_package_stands():
    told = {Pin("a", "1"): "MIT License; Mozilla Public License 2.0 (MPL 2.0)", Pin("b", "1"): "Apache 2.0"}
    shown = page(licences(list(told), told))
    assert shown.index("Mozilla Public License") < shown.index("| a | 1 | MIT AND MPL-2.0 |")
    assert shown.index("| a | 1") < shown.index("## Permissive") < shown.index("| b | 1 | Apache-2.0 |")


def test_a_line_that_pins_nothing_is_refused(tmp_path: Path):
    (tmp_path / "a.lock").write_text("numpy==2.4.6\ntorch>=2\n")
    with pytest.raises(ValueError, match="torch>=2"):
        pins(tmp_path / "a.lock")
