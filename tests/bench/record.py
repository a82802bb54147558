# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the page is made of: the runs of the benchmarks, each with its machine, so that one case can be measured anew. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .figures import Limit, Line, NotRun


@dataclass(frozen=True)
class Run:
    """One run of the benchmarks.

    :param about: the machine and its load then
    :param cases: name -> its lines
    """

    about: Mapping[str, str]
    cases: Mapping[str, Sequence[Line | NotRun]]


def merged(runs: Sequence[Run], latest: Run) -> list[Run]:
    """Return the runs with the latest; what it has measured anew goes from those before."""
    left = [Run(run.about, {name: run.cases[name] for name in run.cases if name not in latest.cases}) for run in runs]
    return [run for run in left if run.cases] + [latest]


def dumped(runs: Sequence[Run]) -> str:
    """Return the runs as JSON."""
    content = [
        {"about": run.about, "cases": {name: [asdict(line) for line in lines] for name, lines in run.cases.items()}}
        for run in runs
    ]
    return json.dumps(content, indent=1) + "\n"


def loaded(text: str) -> list[Run]:
    """Return the runs that were dumped."""
    return [
        Run(run["about"], {name: [_line(line) for line in lines] for name, lines in run["cases"].items()})
        for run in json.loads(text)
    ]


def _line(fields: dict[str, Any]) -> Line | NotRun:
    if "reason" in fields:
        return NotRun(**fields)
    limit = Limit(**fields["limit"]) if fields["limit"] else None
    return Line(**{**fields, "limit": limit, "ours": tuple(fields["ours"]), "other": tuple(fields["other"])})
