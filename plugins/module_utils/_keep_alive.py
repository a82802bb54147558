# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a model is declared to be in memory: ``loaded`` and ``keep_alive``, read and checked before the server is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

#: What the server takes as a duration: parts with units, or a bare zero.
_DURATION = re.compile(r"([+-]?)(0|(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)")
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float | None:
    """Return the seconds that a ``keep_alive`` means, below 0 for ever; ``None`` if it is none.

    Numbers are seconds, also as texts, since that is what templates give; the server itself refuses such texts.
    """
    value = text.strip()
    if _NUMBER.fullmatch(value):
        return float(value)
    match = _DURATION.fullmatch(value)
    if not match:
        return None
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(match.group(2)))
    return -seconds if match.group(1) == "-" else seconds


def parse_loaded(entry: Mapping[str, Any], absent: bool, complaints: list[str]) -> bool | None:
    """Return whether a declared model is to be in memory for good (true), not in memory (false), or is not looked at (``None``).

    :param entry: dict with ``name`` and, optionally, ``loaded`` and ``keep_alive``
    :param absent: whether the model is declared absent
    :param complaints: gets a sentence for everything that is wrong
    """
    loaded, keep_alive = entry.get("loaded"), entry.get("keep_alive")
    shown = f"model '{entry['name']}' has"
    given = [option for option in ("loaded", "keep_alive") if entry.get(option) is not None]
    if absent and given:
        complaints.append(
            f"{shown} {' and '.join(given)} and state 'absent'; leave that out, a model is unloaded before it is removed"
        )
        return None
    if keep_alive is None:
        return None if loaded is None else bool(loaded)
    seconds = parse_duration(str(keep_alive))
    if seconds is None:
        complaints.append(
            f"{shown} keep_alive '{keep_alive}', which is no duration that Ollama takes (its units are h, m, s, ms, us, ns); "
            "wanted -1, which keeps the model in memory for good, or 0, which unloads it"
        )
        return None
    if seconds > 0:
        complaints.append(
            f"{shown} keep_alive '{keep_alive}', after which the server unloads it by itself, so that it would not stay as "
            "declared; wanted -1, which keeps it in memory for good. For a time that holds for all models set "
            "OLLAMA_KEEP_ALIVE of the server"
        )
        return None
    wanted = seconds < 0
    if loaded is not None and bool(loaded) is not wanted:
        complaints.append(
            f"{shown} loaded: {str(bool(loaded)).lower()} and keep_alive '{keep_alive}', which say the opposite; leave one out"
        )
        return None
    return wanted
