# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Versions as numbers, and what is known of those of the Ollama server."""

from __future__ import annotations

import re

from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import OldServer
from ansible_collections.alchemorsel.ollama.plugins.module_utils._numbers import DIGITS

#: First version without CVE-2026-7482 (reads the server's memory through a crafted GGUF).
FLOOR = "0.17.1"
#: First version that only refuses to load weights that it cannot read.
SURVIVES_OTHER_WEIGHTS = (0, 30, 0)


def version_numbers(text: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: ``0.33.0-rc2`` -> (0, 33, 0); () if there are none.

    They compare as versions do: 550.54.15 >= 550, 1.20.0 >= 1.19.1.
    """
    found = re.match(r"v?(\d+(?:\.\d+)*)", text.strip())
    return tuple(int(part[:DIGITS]) for part in found[1].split(".")) if found else ()


def parse_version(text: str) -> tuple[int, ...] | None:
    """Return the numbers of the version that a server says; ``None`` if it says none.

    ``0.0.0`` is what a server says that was built without a version, and so is none either.
    """
    numbers = version_numbers(text)
    return numbers if any(numbers) else None


def dies_of_other_weights(version: str) -> bool:
    """Tell whether a server panics over weights that it cannot read, at every start; one of unknown version might."""
    numbers = parse_version(version)
    return numbers is None or numbers < SURVIVES_OTHER_WEIGHTS


def check_floor(version: str, url: str, *, allow_vulnerable: bool = False) -> str | None:
    """Refuse a server below the floor; return a warning where the version cannot tell.

    :raises OldServer: unless ``allow_vulnerable``
    """
    numbers = parse_version(version)
    if numbers is None:
        return f"the server at {url} says version '{version}', so it is unknown whether it is at least {FLOOR}"
    floor = parse_version(FLOOR)
    if floor is None or numbers >= floor:
        return None
    sentence = f"the Ollama server at {url} is version {version}, below {FLOOR}, and open to CVE-2026-7482"
    if allow_vulnerable:
        return sentence
    raise OldServer(
        f"{sentence}; update it, or set allow_vulnerable_version: true. Nothing was changed.", url=url, error=version
    )
