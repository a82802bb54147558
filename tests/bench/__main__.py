# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the benchmarks and write the table: `python -m tests.bench`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from . import machine, memory, noop, pulls, updates
from .figures import Line, NotRun
from .scale import FULL, QUICK, Scale
from .table import Part, as_csv, cells, page
from .world import World

Case = Callable[[World, Scale], Iterator["Line | NotRun"]]
CASES: dict[str, Case] = {
    "noop": noop.against_others,
    "process": noop.breakdown,
    "growth": noop.growth,
    "pull": pulls.against_raw,
    "progress": pulls.with_progress,
    "parallel": pulls.in_parallel,
    "update": updates.update_check,
    "memory": memory.memory,
}
LAYOUT = (
    Part(
        "noop",
        "A run that changes nothing",
        "All models are there, the task says `ok`. Hosts are names in the inventory with a local connection, each with a stand-in server "
        "on a port of its own: what is measured is Ansible, the module and its requests, on the cores of this machine, and no network. "
        "`ollama` is a small client that starts faster than the real one. Facts are not gathered, pipelining is on, libraries are compiled.",
    ),
    Part("growth", "More models", "The module's process alone; all models are there."),
    Part(
        "pull",
        "A model that is not there",
        "Server and registry are the stand-ins, on this machine too. The raw API client is `tests/bench/rivals/raw_pull.py`: POST /api/pull "
        "and read the lines. Whole processes are compared where the source has the speed of a line, because there the constant cost of "
        "a start has the weight that it has in life; as fast as the machine can, only the pull itself is, from the request to `success`.",
    ),
    Part(
        "update",
        "A check for updates",
        "`state: latest` for models that are current; registry and server count what they are asked.",
    ),
    Part("memory", "Memory", "Peak of the module's process as the kernel tells it (`ru_maxrss`)."),
)


def main(argv: list[str]) -> int:
    """Run all or some cases; return 1 if a limit is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Run the benchmarks and write the table."
    )
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that all parts work")
    parser.add_argument("--out", type=Path, help="folder for the page; docs for a full run, else .build/bench")
    parser.add_argument("--runs", type=int, help="pairs of each comparison")
    options = parser.parse_args(argv)
    scale = QUICK if options.quick else FULL
    if options.runs:
        scale = replace(scale, runs=options.runs, slow_runs=options.runs)
    full = scale is FULL and options.only == list(CASES)
    out = options.out or Path("docs" if full else ".build/bench")
    about, began = machine.describe(), time.monotonic()
    about["Pairs of runs"] = f"{scale.runs}, {scale.slow_runs} where one takes minutes"
    about["Load average at the beginning"] = machine.load()
    lines: list[Line | NotRun] = []
    for name in options.only:
        print(f"-> {name}", flush=True)
        with tempfile.TemporaryDirectory(prefix="alchemorsel-bench-") as directory:
            for line in CASES[name](World(Path(directory)), scale):
                lines.append(line)
                print("   " + " | ".join(cells(line)), flush=True)
    about["Load average at the end"] = machine.load()
    about["Took"] = f"{(time.monotonic() - began) / 60:.0f} minutes"
    write(out, about, lines)
    missed = [line.what for line in lines if isinstance(line, Line) and line.held is False]
    print(f"{out / 'benchmarks.md'}: {len(lines)} lines" + "".join(f"\nmissed: {what}" for what in missed))
    return int(bool(missed))


def write(out: Path, about: dict[str, str], lines: list[Line | NotRun]) -> None:
    """Write page and CSV files, and remove CSV files of earlier runs."""
    folder = out / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.csv"):
        path.unlink()
    for line in lines:
        if isinstance(line, Line):
            (folder / f"{line.case}.csv").write_text(as_csv(line), encoding="utf-8")
    (out / "benchmarks.md").write_text(page(about, lines, LAYOUT), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
