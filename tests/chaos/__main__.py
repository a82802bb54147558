# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Play the cases on one host of the lab and write the table: `python -m tests.chaos`."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench import machine

from .case import Case, Result
from .cases import GROUPS
from .machine import ROOT
from .page import page
from .record import Round, dumped, loaded, merged
from .runner import play_case, unfit
from .site import Site, lab_ca
from .verdict import last_words

HOST = "deb13a"
LAB_ID = os.environ.get("LAB_ID") or hashlib.sha256(str(ROOT).encode()).hexdigest()[:6]


def main(argv: list[str]) -> int:
    """Play all or some cases; return 1 if an invariant does not hold."""
    cases = {case.name: case for group in GROUPS.values() for case in group}
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Play faults and write the table.")
    parser.add_argument("--only", nargs="+", choices=cases, metavar="CASE", help="these cases")
    parser.add_argument("--quick", action="store_true", help="the fast subset; writes nothing to docs")
    parser.add_argument("--seed", type=int, default=1, help="of all that is random (%(default)s)")
    parser.add_argument("--out", type=Path, help="folder for the page: docs, with --quick .build/chaos")
    parser.add_argument("--keep", action="store_true", help="leave the lab as it is at the end")
    parser.add_argument(
        "--as-is", action="store_true", help="the lab is up and site.yml has run: begin at once, and keep it"
    )
    parser.add_argument("--list", action="store_true", help="name the cases and play none")
    parser.add_argument(
        "--page", action="store_true", help="make the page anew from the rounds that were played, and play none"
    )
    options = parser.parse_args(argv)
    out = options.out or Path(".build/chaos" if options.quick else "docs")
    if options.page:
        write(out, played(out))
        return 0
    chosen = [cases[name] for name in options.only or cases if options.only or not options.quick or cases[name].quick]
    if options.list:
        print("\n".join(f"{case.name}: given that {case.given}; {case.fault}; {case.expected}" for case in chosen))
        return 0
    about, began = machine.describe(), time.monotonic()
    about["Load average at the beginning"] = machine.load()
    site = ready(options.seed, options.as_is, not options.quick)
    # What a benchmark would play with is not what stands on the host
    about.pop("Servers", None)
    about["Server"] = server(site)
    if not about["Server"].startswith("stand-in"):
        chosen = [case for case in chosen if not case.standin]
    results: list[Result] = []
    before = played(out)
    try:
        for case in chosen:
            results.append(told(site, case))
            about["Took"] = f"{(time.monotonic() - began) / 60:.0f} minutes, with the lab"
            write(out, merged(before, Round(about, tuple(results))))
    finally:
        if not options.keep and not options.as_is:
            lab("down")
    failed = sum(bool(result.problems) for result in results)
    print(f"{len(results) - failed} passed, {failed} failed")
    return int(bool(failed))


def told(site: Site, case: Case) -> Result:
    """Play a case and tell how it went."""
    print(f"-> {case.name}: {case.fault}", flush=True)
    result = play_case(site, case)
    served = "by the next run" if result.served is None else f"after {result.served:.1f} s"
    print(f"   served {served}, converged after {result.recovered:.1f} s", flush=True)
    for problem in result.problems:
        print(f"   BROKEN: {problem}", flush=True)
    return result


def ready(seed: int, as_is: bool, upgrades: bool) -> Site:
    """Bring the lab up, make the host what site.yml makes of it, and have an image before on it, as after any upgrade."""
    site = Site(f"alab-{LAB_ID}", HOST, seed, lab_ca(LAB_ID), lambda: lab("up"))
    if not as_is:
        lab("up")
        run = site.run("site")
        if run.status or unfit(site.look()):
            raise SystemExit(f"the host is not ready: {unfit(site.look())} {last_words(run.output, 2000)}")
    site.prepare(upgrades)
    return site


def lab(way: str) -> None:
    """Bring the lab up or down."""
    environment = {**os.environ, "LAB_ID": LAB_ID, "LAB_HOSTS": HOST}
    command = ["ansible-playbook", f"lab/{way}.yml"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"lab/{way}.yml failed: {done.stdout[-3000:]}{done.stderr[-1000:]}")


def server(site: Site) -> str:
    """Return which server it is, as it says itself."""
    version = json.loads(site.request("GET", "/api/version"))["version"]
    label = '{{ index .Config.Labels "alchemorsel.lab.server" }}'
    kind = site.host.run("docker", "inspect", "--format", label, "ollama").strip()
    return f"{kind}, Ollama {version}"


def played(out: Path) -> list[Round]:
    """Return the rounds that were played before."""
    record = out / "chaos" / "runs.json"
    return loaded(record.read_text(encoding="utf-8")) if record.exists() else []


def write(out: Path, rounds: Sequence[Round]) -> None:
    """Write the rounds and the page that is made of them."""
    (out / "chaos").mkdir(parents=True, exist_ok=True)
    (out / "chaos" / "runs.json").write_text(dumped(rounds), encoding="utf-8")
    (out / "chaos.md").write_text(page(rounds, GROUPS), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
