"""Licences by what they ask of whoever deploys or passes on the project."""

import re

KINDS = {
    "AGPL": ("AGPL-3.0-only", "AGPL-3.0-or-later"),
    "GPL": ("GPL-2.0-or-later",),
    "LGPL": ("LGPL-3.0-or-later",),
    "Mozilla": ("MPL-2.0",),
    "NVIDIA": ("LicenseRef-NVIDIA-Proprietary",),
    "permissive": (
        "0BSD",
        "Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
        "BSD",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "CC0-1.0",
        "CNRI-Python",
        "ISC",
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "PSF-2.0",
        "Zlib",
    ),
}
KIND_OF = {licence: kind for kind, licences in KINDS.items() for licence in licences}

# What packages write for what SPDX has a name for. "BSD" does not tell how many clauses it has.
SPDX = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD 3-Clause": "BSD-3-Clause",
    "BSD License": "BSD",
    "GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0-or-later",
    "GNU Library or Lesser General Public License (LGPL)": "LGPL-3.0-or-later",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "NVIDIA Proprietary Software": "LicenseRef-NVIDIA-Proprietary",
    "Python Software Foundation License": "PSF-2.0",
}


class UnknownLicenceError(ValueError):
    """A package says nothing, or something that nobody has looked at."""


def spdx(said: str) -> str:
    """What a package says of its licence, such as "MIT License; BSD License", as an SPDX expression."""
    parts = re.split(r"( AND | OR |; )", said.strip())
    return "".join(" AND " if part == "; " else SPDX.get(part, part) for part in parts)


def kind_of(licence: str) -> str:
    """The strictest kind among an SPDX expression's licences. Raises UnknownLicenceError."""
    named = re.split(r" AND | OR ", licence)
    if unknown := [name for name in named if name not in KIND_OF]:
        raise UnknownLicenceError(f"{unknown[0]!r} is no licence that supply/kinds.py knows")
    return min((KIND_OF[name] for name in named), key=list(KINDS).index)
