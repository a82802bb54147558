# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page with the table of all cases. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .case import Case, Result
from .record import Round

HEAD = """# Faults, and what it survives

Made by `make chaos` from the runs that it made; nothing in this file is written by hand.

Each case runs on one host of the lab: the run of a playbook meets a fault, the fault ends, the same run is made again, and once more. Then
these invariants are looked at (`tests/chaos/look.py`, `tests/chaos/verdict.py`):

* the models that were served before are served now, each with the digest of before, but for one whose change was declared;
* the store is whole: each blob has the sum that its name says, each manifest is readable and has all its blobs, in their sizes;
* no temporary file, no tag of a run and no container was left, and the containers of before are there in their states;
* the next run converged, and the one after it changed nothing.

**Served again** is how many seconds after the end of the fault all models of before were served without any run; *next run* means that it
took the next run. **Converged** is how many seconds after the end of the fault the next run had ended well. Both say how it went on this
machine, with its load, and are no promise. What is random in a case comes from the seed and the name of the case.
"""
COLUMNS = ("Case", "Given", "Fault", "The run that meets it", "Invariants", "Served again", "Converged")


def page(rounds: Sequence[Round], groups: Mapping[str, Sequence[Case]]) -> str:
    """Return the page: for each server a part, with a table for each group of cases."""
    servers: dict[str, list[Round]] = {}
    for item in rounds:
        servers.setdefault(item.about["Server"], []).append(item)
    parts = [HEAD]
    for server, played in servers.items():
        parts += [f"## {server}\n", *about(played)]
        results = {result.case: result for item in played for result in item.results}
        known = [case.name for cases in groups.values() for case in cases if case.name in results]
        lost = [name for name in known if results[name].problems]
        parts.append(f"\n{len(known)} cases, {len(lost)} in which an invariant did not hold.\n")
        rest = [f"`{case.name}`" for cases in groups.values() for case in cases if case.name not in results]
        if rest:
            parts.append(f"{len(rest)} cases are there and were not played with this server yet: {', '.join(rest)}.\n")
        for title, cases in groups.items():
            inside = [case for case in cases if case.name in results]
            if inside:
                parts += [f"### {title}\n", *table(inside, results), ""]
    return "\n".join(parts)


def about(rounds: Sequence[Round]) -> Iterator[str]:
    """Yield a line for each round: when, where, and how many cases."""
    for item in rounds:
        words = "; ".join(f"{key.lower()} {value}" for key, value in item.about.items() if key != "Server")
        yield f"* {', '.join(f'`{result.case}`' for result in item.results)}: {words}"


def table(cases: Sequence[Case], results: Mapping[str, Result]) -> list[str]:
    """Return the lines of a table."""
    rows = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    return [*rows, *("| " + " | ".join(cells(case, results[case.name])) + " |" for case in cases)]


def cells(case: Case, result: Result) -> tuple[str, ...]:
    """Return the cells of one case."""
    held = "all hold" if not result.problems else "**broken**: " + "; ".join(result.problems)[:400].replace("|", "\\|")
    if result.left:
        held += f"; left for the server's own start after an hour: {len(result.left)} file(s)"
    served = "next run" if result.served is None else f"{result.served:.0f} s"
    return (f"`{case.name}`", case.given, case.fault, case.expected, held, served, f"{result.recovered:.0f} s")
