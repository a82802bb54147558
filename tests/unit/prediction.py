# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What check mode says is what a run then does."""

from __future__ import annotations

from typing import Any

UNKNOWN = "unknown"


def check(predicted: dict[str, Any], result: dict[str, Any]) -> None:
    """Compare what check mode said with what came of it, as far as it is not `unknown`, which counts as changed."""
    told, done = predicted["actions"], result["actions"]
    assert [_what(action) for action in told] == [_what(action) for action in done]
    open_ends = any(action["digest_after"] == UNKNOWN for action in told)
    for place, (one, other) in enumerate(zip(told, done)):
        for key in ("digest_before", "digest_after"):
            assert one[key] in (UNKNOWN, other[key]), (one, other)
        unknown = one["digest_after"] == UNKNOWN
        if one["action"] == "load" and not unknown:
            # It may find the process of a model that turned out to be the same.
            unknown = any(action["action"] == "load" and action["digest_after"] == UNKNOWN for action in told[:place])
        assert one["changed"] is other["changed"] or (one["changed"] and unknown), (one, other)
    assert predicted["changed"] is result["changed"] or (predicted["changed"] and open_ends)
    assert predicted["kept"] == result["kept"]
    names, digests = _models(predicted), _models(result)
    assert sorted(names) == sorted(digests)
    assert {name: digest for name, digest in names.items() if digest not in (UNKNOWN, digests[name])} == {}
    if not open_ends:
        assert predicted["diff"] == result["diff"]


def _what(action: dict[str, Any]) -> tuple[str, str, str]:
    return action["action"], action["name"], action["reason"]


def _models(result: dict[str, Any]) -> dict[str, str]:
    return {model["name"]: model["digest"] for model in result["models"]}
