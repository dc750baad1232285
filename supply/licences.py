"""`python -m supply.licences` writes docs/licences.md: every package that is pinned to run, its licence."""

import json
import subprocess
import sys
from pathlib import Path

from supply.kinds import KINDS, UnknownLicenceError, kind_of, spdx
from supply.locks import DEPLOYED, PROJECT, Pin, pins

PAGE = PROJECT / "docs" / "licences.md"

# Looked up by hand: these tell nothing, or are installed on other systems only.
REVIEWED = {
    "colorama": "BSD-3-Clause",
    "cuda-toolkit": "LicenseRef-NVIDIA-Proprietary",  # a list of NVIDIA's packages, without files of its own
    "httpx2-jsfetch": "BSD-3-Clause",
    # Its own code is BSD; its wheels bring libheif, libde265 and x265 (their LICENSES_bundled.txt).
    "pillow-heif": "BSD-3-Clause AND LGPL-3.0-or-later AND GPL-2.0-or-later",
    "pyreadline3": "BSD-3-Clause",
    "pywin32": "PSF-2.0",
}

HEAD = """\
# Licences of what is installed

Every package of `requirements-deploy.lock` (that is `requirements.lock`, and what deploy/ needs beyond), by
what its licence asks for. `make licences` writes this page anew, and a test fails when it does not fit the
lock, or when a licence is one that nobody has looked at. The licences are those that the packages tell of
themselves (`supply/licences.py` lists the few that were looked up); this is no legal advice.
"""
ABOUT = {
    "AGPL": """\
## AGPL: ultralytics

Only the detector uses these: `SNAKE_CROPS=yolo`, and `snake_detector` where `SNAKE_BOXES` names boxes.
Without either they are installed, but nothing of them is loaded (a test runs the whole job without them).
`SNAKE_CROPS=owlvit` and `sam` do not need them.

**If you deploy the detector, or crops by YOLO, as a service or within a product**, the AGPL reaches what you
built: who passes on software that contains it has to give its complete source under the AGPL, and who lets
others use a modified version over a network has to offer them that source too (section 13). Ultralytics
sells a licence without these terms; ask there about weights that were trained with it, too. If that is not
for you, leave the detector off. The rest runs without them: `uv pip uninstall ultralytics ultralytics-thop
ultralytics-platform`.
""",
    "GPL": """\
## GPL: the reader of HEIC

Only photos in HEIC load it. Its own code is BSD; its wheels bring x265, which encodes HEIC and is not used
here, under the GPL. Whoever passes it on, in an image say, passes on its licence and an offer of its source.
If that is not for you: `uv pip uninstall pillow-heif`. Photos in HEIC are then rejects that say so; the rest
runs without it.
""",
    "LGPL": """\
## LGPL: the driver of PostgreSQL

Only deployments on PostgreSQL install it. Whoever passes it on, in an image say, passes on its licence
and an offer of its source; the rest stays as it is.
""",
    "Mozilla": """\
## Mozilla Public License

Changes to files of these packages have to be published when passed on; what merely uses them stays as it is.
""",
    "NVIDIA": """\
## NVIDIA

CUDA libraries that torch's build for Linux with GPUs needs, under NVIDIA's own terms, not open source: read
them before you pass a container with these on. A CPU build of torch does not need them.
""",
    "permissive": """\
## Permissive

To be used, changed and passed on freely, with their copyright notices.
""",
}


def told_by_packages() -> dict[Pin, str]:
    """What installed packages say of their licences: by name and version, as they write it."""
    tool = [sys.executable, "-m", "piplicenses", "--with-system", "--from=mixed", "--format=json"]
    found = json.loads(subprocess.run(tool, check=True, capture_output=True, text=True).stdout)
    return {
        Pin(package["Name"].lower().replace("_", "-").replace(".", "-"), package["Version"]): package[
            "License"
        ]
        for package in found
    }


def licences(locked: list[Pin], told: dict[Pin, str]) -> dict[Pin, str]:
    """The SPDX expression of every pin. Another version of a package that is installed stands for it.

    Raises:
        UnknownLicenceError: a package tells no licence, or one that nobody has looked at; says what to do.
    """
    by_name = {pin.name: licence for pin, licence in told.items()}
    found = {}
    for pin in locked:
        said = REVIEWED.get(pin.name) or told.get(Pin(pin.name, pin.version)) or by_name.get(pin.name, "none")
        found[pin] = spdx(said)
        try:
            kind_of(found[pin])
        except UnknownLicenceError as error:
            raise UnknownLicenceError(
                f"{pin.name} {pin.version}: {error}. Read its licence, then add it there, or to REVIEWED in "
                "supply/licences.py; or do without the package."
            ) from None
    return found


def page(found: dict[Pin, str]) -> str:
    """The page, in Markdown."""
    sections = [HEAD]
    for kind in KINDS:
        rows = [(pin, licence) for pin, licence in found.items() if kind_of(licence) == kind]
        lines = [f"| {pin.name} | {pin.version} | {licence} |" for pin, licence in rows]
        sections += [ABOUT[kind], "| package | version | licence |\n| --- | --- | --- |", *lines, ""]
    return "\n".join(sections)


def main(target: Path = PAGE) -> None:
    """Write the page."""
    target.write_text(page(licences(pins(DEPLOYED), told_by_packages())), encoding="utf-8")


if __name__ == "__main__":
    main()
