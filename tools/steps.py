# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run make targets one after the other (or a few at once), go on after a failure, and end with one table.

    python tools/steps.py [--jobs N] TARGET... [--beside TARGET...]

Each target's output lies in .build/log/TARGET.log; its end is shown when it failed. Counts come from the JUnit files
that the target left in .build/junit/TARGET/, else from the last line "N passed, N failed" of its output, else the target
counts as one. A line "not run: REASON" in the output is repeated in the table. The last line is the sum.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

BUILD = Path(".build")
TAIL_LINES = 60
COUNTS = re.compile(r"^(\d+) passed, (\d+) failed$", re.MULTILINE)
NOT_RUN = re.compile(r"^not run: (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Outcome:
    """What one step came to; `seconds` is its wall-clock time."""

    step: str
    passed: int
    failed: int
    skipped: int
    seconds: float
    note: str = ""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the steps of the command line; return 1 if anything failed."""
    parser = argparse.ArgumentParser(description="Run make targets and sum up.")
    parser.add_argument("--jobs", type=int, default=1, help="targets at a time")
    parser.add_argument("targets", nargs="+")
    parser.add_argument(
        "--beside", nargs="+", default=[], help="targets that run one after the other beside those, longest first"
    )
    options = parser.parse_args(argv)
    outcomes = run_all(options.targets, options.beside, options.jobs)
    print(summary(outcomes))
    return int(any(outcome.failed for outcome in outcomes))


def run_all(targets: Sequence[str], beside: Sequence[str], jobs: int) -> list[Outcome]:
    """Run targets, so many at a time, and others one after the other beside them; whoever has no more to do helps the latter."""
    main, other = deque(targets), deque(beside)
    done: dict[str, Outcome] = {}

    def work(*lists: deque[str]) -> None:
        for steps in lists:
            while True:
                try:
                    step = steps.popleft()
                except IndexError:
                    break
                done[step] = run(step)

    with ThreadPoolExecutor(jobs + 1) as pool:
        lanes = [pool.submit(work, other)] + [pool.submit(work, main, other) for _job in range(jobs)]
        for lane in lanes:
            lane.result()
    return [done[step] for step in (*targets, *beside)]


def run(step: str) -> Outcome:
    """Run one make target, tell how it ended, and show the end of its output if it failed."""
    log = BUILD / "log" / f"{step}.log"
    junit = BUILD / "junit" / step
    log.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(junit, ignore_errors=True)
    junit.mkdir(parents=True)
    say(f"-> {step}")
    start = time.monotonic()
    with log.open("w") as output:
        code = subprocess.run(
            ["make", step], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        ).returncode
    seconds = time.monotonic() - start
    text = log.read_text(errors="replace")
    passed, failed, skipped = counts(code, text, junit)
    outcome = Outcome(step, passed, failed, skipped, seconds, "; ".join(dict.fromkeys(NOT_RUN.findall(text))))
    if failed:
        say(
            f"\n--- {step} failed; the end of {log}:\n"
            + "\n".join(text.splitlines()[-TAIL_LINES:])
            + f"\n--- end of {log}\n"
        )
    say(f"{'FAILED' if failed else 'ok    '} {step}  {seconds:.0f} s")
    return outcome


def counts(code: int, text: str, junit: Path) -> tuple[int, int, int]:
    """Return (passed, failed, skipped); an exit code other than 0 is at least one failure."""
    files = sorted(junit.rglob("*.xml"))
    lines = COUNTS.findall(text)
    if files:
        passed, failed, skipped = (sum(part) for part in zip(*map(read_junit, files)))
    elif lines:
        passed, failed, skipped = int(lines[-1][0]), int(lines[-1][1]), 0
    else:
        passed, failed, skipped = int(code == 0 and not NOT_RUN.search(text)), 0, 0
    return passed, max(failed, int(code != 0)), skipped


def read_junit(path: Path) -> tuple[int, int, int]:
    """Return (passed, failed, skipped) of one JUnit file."""
    cases = list(ElementTree.parse(path).iter("testcase"))
    failed = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    skipped = sum(case.find("skipped") is not None for case in cases)
    return len(cases) - failed - skipped, failed, skipped


def summary(outcomes: Sequence[Outcome]) -> str:
    """Return the table of all steps and, as its last line, the sum."""
    width = max(len(outcome.step) for outcome in outcomes)
    rows = [f"\n{'kind':{width}}  {'passed':>6}  {'failed':>6}  {'skipped':>7}  {'seconds':>7}"]
    for outcome in outcomes:
        row = f"{outcome.step:{width}}  {outcome.passed:6}  {outcome.failed:6}  {outcome.skipped:7}  {outcome.seconds:7.0f}"
        rows.append(row + (f"  not run: {outcome.note}" if outcome.note else ""))
    passed = sum(outcome.passed for outcome in outcomes)
    failed = sum(outcome.failed for outcome in outcomes)
    return "\n".join([*rows, "", f"{passed} passed, {failed} failed"])


def say(text: str) -> None:
    """Print at once, whole lines."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
