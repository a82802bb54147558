# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new run against the committed one: its ratios and exponents, never its seconds."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable

from .figures import Line, NotRun, spread

RECORD = "docs/benchmarks/runs.json"
#: A ratio may be so much worse than the committed one, by the middle of the runs; what is beyond is no accident of the machine.
TOLERANCE = 0.25
#: Seconds; where both sides are quicker, their ratio says more of the machine's moment than of the code.
SHORT = 0.5
#: A fitted exponent may be so much larger.
STEEPER = 0.2
TEXT = (
    f"Compared with the earlier run: a ratio may be {TOLERANCE:.0%} worse, by the middle of its runs, and a fitted exponent {STEEPER:g} larger; "
    f"what takes less than {SHORT:g} s on both sides is not compared."
)


def committed() -> str:
    """Return the record of the last commit; empty where there is none."""
    done = subprocess.run(["git", "show", f"HEAD:./{RECORD}"], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def regressions(before: Iterable[Line | NotRun], now: Iterable[Line | NotRun]) -> list[str]:
    """Return what is worse than before, one sentence each. Compared is what has the same case and the same words: other sizes are other cases."""
    known = {(line.case, line.what): line for line in before if isinstance(line, Line)}
    found = []
    for line in now:
        earlier = known.get((line.case, line.what))
        if earlier is None:
            continue
        if isinstance(line, NotRun):
            found.append(f"{line.what}: was measured before, and is not now: {line.reason}")
        elif line.ratios and earlier.ratios:
            found += worse_ratio(line, earlier)
        elif line.case.endswith("-exponent"):
            found += steeper(line, earlier)
    return found


def worse_ratio(line: Line, earlier: Line) -> list[str]:
    """Return a sentence if the ratio is worse than before beyond the tolerance."""
    if line.unit == "s" and max(spread(line.ours).middle, spread(line.other).middle) < SHORT:
        return []
    new, old = spread(line.ratios).middle, spread(earlier.ratios).middle
    bound = old / (1 + TOLERANCE) if line.faster else old * (1 + TOLERANCE)
    if (new >= bound) if line.faster else (new <= bound):
        return []
    return [
        f"{line.what}: found {new:.2f}, before {old:.2f}, wanted {'at least' if line.faster else 'at most'} {bound:.2f}"
    ]


def steeper(line: Line, earlier: Line) -> list[str]:
    """Return a sentence if a fitted exponent is larger than before beyond the tolerance."""
    new, old = spread(line.ours).middle, spread(earlier.ours).middle
    if new <= old + STEEPER:
        return []
    return [f"{line.what}: found {new:.2f}, before {old:.2f}, wanted at most {old + STEEPER:.2f}"]
