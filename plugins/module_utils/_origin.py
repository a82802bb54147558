# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a declared model is made from, where it is not pulled: read and checked before the server is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidName
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName, parse_name


@dataclass(frozen=True)
class Origin:
    """The model that another one is made from."""

    name: ModelName


def parse_origin(entry: Mapping[str, Any], complaints: list[str]) -> Origin | None:
    """Return what a declared model is made from, ``None`` for one that is pulled.

    :param entry: dict with ``name`` and, optionally, ``copy_of`` and ``digest``
    :param complaints: gets a sentence for everything that is wrong
    """
    if entry.get("copy_of") is None:
        return None
    shown = str(entry["name"])
    if entry.get("digest"):
        complaints.append(
            f"model '{shown}' has copy_of and a digest; an alias has the digest of its target, so pin the target"
        )
    try:
        return Origin(parse_name(str(entry["copy_of"])))
    except InvalidName as exc:
        complaints.append(f"model '{shown}', copy_of: {exc.message}")
        return None
