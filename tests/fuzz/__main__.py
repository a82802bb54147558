# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All property tests with many examples each: `make fuzz`.

python -m tests.fuzz                    all, and docs/fuzz.md is made from it
python -m tests.fuzz tests/fuzz         those of a folder or a file anew; what is recorded of the others stays
EXAMPLES=200 python -m tests.fuzz       a try, of which nothing is kept
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from tests.fuzz.counting import EXAMPLES, OUT

#: As many examples as the page is made from.
ENOUGH = 10_000
WORKERS = 4
RUN = Path("docs/fuzz/run.json")
FOLDERS = ["tests/fuzz", "tests/unit"]
#: Those that start servers run in the unit tests only.
OPTIONS = [
    "-m",
    "hypothesis and not slow",
    "-p",
    "tests.fuzz.counting",
    "-n",
    str(WORKERS),
    "--dist",
    "worksteal",
    "--quiet",
]


def main(folders):
    """Run the tests, keep what was run if it was enough; return the exit code."""
    examples = int(os.environ.get(EXAMPLES) or ENOUGH)
    out = Path(".build/fuzz.json")
    out.unlink(missing_ok=True)
    environment = {**os.environ, EXAMPLES: str(examples), OUT: str(out)}
    command = [sys.executable, "-m", "pytest", *OPTIONS, *(folders or FOLDERS)]
    ended = subprocess.run(command, env=environment, check=False)
    # 1: tests failed; everything else is no run that could be told of
    if (
        ended.returncode in (0, 1)
        and examples >= ENOUGH
        and all(one.startswith(tuple(FOLDERS)) and "::" not in one for one in folders)
    ):
        about = {"examples": examples, "python": platform.python_version(), "hypothesis": version("hypothesis")}
        before = json.loads(RUN.read_text())["rows"] if RUN.exists() else {}
        kept = {name: row for name, row in before.items() if folders and not name.startswith(tuple(folders))}
        rows = {**kept, **json.loads(out.read_text())}
        RUN.write_text(json.dumps({"about": about, "rows": rows}, indent=1, sort_keys=True) + "\n")
        subprocess.run([sys.executable, "tools/docs.py"], check=True)
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
