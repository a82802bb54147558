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

from . import growth, machine, memory, noop, pulls, site, updates
from .figures import Line, NotRun
from .guard import TEXT, committed, regressions
from .plot import svg
from .record import Run, dumped, loaded, merged
from .scale import FULL, QUICK, Scale
from .table import Part, as_csv, cells, page
from .world import World

Case = Callable[[World, Scale], Iterator["Line | NotRun"]]
CASES: dict[str, Case] = {
    "noop": noop.against_others,
    "process": noop.breakdown,
    "growth": noop.growth,
    "hosts": growth.hosts,
    "size": growth.sizes,
    "line": pulls.over_a_line,
    "pull": pulls.against_raw,
    "progress": pulls.with_progress,
    "parallel": pulls.in_parallel,
    "update": updates.update_check,
    "memory": memory.memory,
    "site": site.no_op,
}
LAYOUT = (
    Part(
        "noop",
        "A run that changes nothing",
        "All models are there, the task says `ok`. Hosts are names in the inventory with a local connection, each with a stand-in server "
        "on a port of its own: what is measured is Ansible, the module and its requests, on the cores of this machine, and no network. "
        "`ollama` is a small client that starts faster than the real one. Facts are not gathered, pipelining is on, libraries are compiled.",
    ),
    Part(
        "growth",
        "More models",
        "The module's process alone; all models are there.",
        axis="models",
        sides=("ollama_model", ""),
    ),
    Part(
        "hosts",
        "More hosts",
        "A play of one task, as in the first part: names in the inventory, each with a stand-in of its own, 10 of them at a time.",
        axis="hosts",
        sides=("ollama_model", "ping"),
    ),
    Part(
        "size",
        "Larger models",
        "One model of nothing but its size, as fast as the machine can: the pull alone, from the request to `success`.",
        axis="MB",
        sides=("ollama_model", "raw API client"),
    ),
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
    Part(
        "site",
        "The whole of `site.yml`",
        "Hosts of the lab as `make demo` leaves them, all at once (`ollama_serial: ['100%']`), so Ansible enters through the container "
        "connection with sudo, and engine, server and registry run on this machine too.",
    ),
    Part("memory", "Memory", "Peak of the module's process as the kernel tells it (`ru_maxrss`)."),
)


def main(argv: list[str]) -> int:
    """Run all or some cases; return 1 if a limit is missed, or a ratio is worse than the committed one."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Run the benchmarks and write the table."
    )
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that all parts work")
    parser.add_argument("--out", type=Path, help="folder for the page: docs, with --quick .build/bench")
    parser.add_argument(
        "--against", type=Path, help="a runs.json to compare the ratios with: the committed one, with --quick none"
    )
    parser.add_argument("--runs", type=int, help="pairs of each comparison")
    options = parser.parse_args(argv)
    scale = QUICK if options.quick else FULL
    out = options.out or Path(".build/bench" if options.quick else "docs")
    if options.runs:
        scale = replace(scale, runs=options.runs, slow_runs=options.runs)
    about, began = machine.describe(), time.monotonic()
    about["Pairs of runs"] = f"{scale.runs}, {scale.slow_runs} where one takes minutes"
    about["Load average at the beginning"] = machine.load()
    before = options.against.read_text(encoding="utf-8") if options.against else "" if options.quick else committed()
    cases: dict[str, list[Line | NotRun]] = {}
    for name in options.only:
        print(f"-> {name}", flush=True)
        cases[name] = []
        with tempfile.TemporaryDirectory(prefix="alchemorsel-bench-") as directory:
            for line in CASES[name](World(Path(directory)), scale):
                cases[name].append(line)
                print("   " + " | ".join(cells(line)), flush=True)
        about["Load average at the end"] = machine.load()
        about["Took"] = f"{(time.monotonic() - began) / 60:.0f} minutes"
        # After each case: a run that is cut keeps what it has measured
        write(out, Run(about, cases))
    lines = [line for found in cases.values() for line in found]
    missed = [line.what for line in lines if isinstance(line, Line) and line.held is False]
    worse = regressions(
        [line for run in loaded(before or "[]") for found in run.cases.values() for line in found], lines
    )
    print(f"{out / 'benchmarks.md'}: {len(lines)} lines" + "".join(f"\nmissed: {what}" for what in missed))
    print(TEXT if before else "No earlier run to compare with.", *worse, sep="\nworse: ")
    return int(bool(missed or worse))


def write(out: Path, latest: Run) -> None:
    """Write page, CSV files and plots of this run and of the cases of earlier ones that it has not measured anew."""
    folder = out / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / "runs.json"
    runs = merged(loaded(record.read_text(encoding="utf-8")) if record.exists() else [], latest)
    record.write_text(dumped(runs), encoding="utf-8")
    for path in (*folder.glob("*.csv"), *folder.glob("*.svg")):
        path.unlink()
    found = {name: lines for run in runs for name, lines in run.cases.items()}
    lines = [line for name in CASES for line in found.get(name, ())]
    for line in lines:
        if isinstance(line, Line):
            (folder / f"{line.case}.csv").write_text(as_csv(line), encoding="utf-8")
    for part in LAYOUT:
        if points := part.points(lines):
            (folder / f"{part.prefix}.svg").write_text(svg(part.title, part.axis, part.sides, points), encoding="utf-8")
    (out / "benchmarks.md").write_text(page(runs, lines, LAYOUT), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
