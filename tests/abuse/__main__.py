# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets and injection on a host of the lab: `make fuzz-hosts`. What was run is kept in docs/fuzz/hosts.json, for docs/fuzz.md."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path("docs/fuzz/hosts.json")


class Record:
    """Each test with how it ended and what it told of itself."""

    def __init__(self):
        self.rows = {}

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.failed:
            self.rows[report.nodeid] = {
                **dict(report.user_properties),
                "failed": report.failed,
                "seconds": round(report.duration),
            }


def main(tests):
    """Run all tests, or those that are named, of which the record is taken anew; return the exit code."""
    record = Record()
    code = pytest.main(["--quiet", *(tests or ["tests/abuse"])], plugins=[record])
    if code in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        before = json.loads(RUN.read_text()) if RUN.exists() and tests else {}
        RUN.write_text(json.dumps({**before, **record.rows}, indent=1, sort_keys=True) + "\n")
        subprocess.run([sys.executable, "tools/docs.py"], check=True)
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
