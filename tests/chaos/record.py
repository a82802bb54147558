# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the page is made of: the result of each case, from the run that has played it last, with its machine. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .case import Result


@dataclass(frozen=True)
class Round:
    """One run of the cases.

    :param about: the machine, the server and the load then
    """

    about: Mapping[str, str]
    results: tuple[Result, ...]


def merged(rounds: Sequence[Round], latest: Round) -> list[Round]:
    """Return the rounds with the latest; what it has played again, with the same server, goes from those before."""
    names = {result.case for result in latest.results}
    left = [
        Round(item.about, tuple(result for result in item.results if result.case not in names))
        if item.about.get("Server") == latest.about.get("Server")
        else item
        for item in rounds
    ]
    return [item for item in left if item.results] + [latest]


def dumped(rounds: Sequence[Round]) -> str:
    """Return the rounds as JSON."""
    content = [{"about": item.about, "results": [asdict(result) for result in item.results]} for item in rounds]
    return json.dumps(content, indent=1) + "\n"


def loaded(text: str) -> list[Round]:
    """Return the rounds that were dumped."""
    return [
        Round(
            item["about"],
            tuple(_result(fields) for fields in item["results"]),
        )
        for item in json.loads(text)
    ]


def _result(fields: dict[str, Any]) -> Result:
    return Result(**{**fields, "problems": tuple(fields["problems"]), "left": tuple(fields.get("left", ()))})
