# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts the examples of each property test, ends one that hangs, and writes what was run for the page: `pytest -p tests.fuzz.counting`."""

from __future__ import annotations

import json
import os
import signal
import time
from functools import wraps
from pathlib import Path

import pytest
from hypothesis import is_hypothesis_test

#: Seconds for one example; all but a few take less than a thousandth of it, on a busy machine, too.
HANG = 60
#: Where the run is written, and the least number of examples, for the workers as well.
OUT, EXAMPLES = "FUZZ_OUT", "EXAMPLES"


class Hung(AssertionError):
    """One example did not come to its end."""


class Count:
    """Examples of one test that came to an end, and the longest of them."""

    def __init__(self):
        self.examples = 0
        self.longest = 0.0


def _counted(function, count):
    @wraps(function)
    def one(*args, **values):
        began = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, HANG)
        try:
            return function(*args, **values)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            count.examples += 1
            count.longest = max(count.longest, time.monotonic() - began)

    return one


def _hung(_signal, _frame):
    raise Hung(f"one example did not end within {HANG} s")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    if not is_hypothesis_test(getattr(item, "obj", None)):
        return (yield)
    count = Count()
    handle = item.obj.hypothesis
    inner = handle.inner_test
    handle.inner_test = _counted(inner, count)
    before = signal.signal(signal.SIGALRM, _hung)
    try:
        return (yield)
    finally:
        signal.signal(signal.SIGALRM, before)
        handle.inner_test = inner
        item.user_properties += [("examples", count.examples), ("longest", round(count.longest, 3))]


class Record:
    """What the whole run was, of all workers."""

    def __init__(self):
        self.rows = {}

    def pytest_runtest_logreport(self, report):
        told = dict(report.user_properties)
        if report.when == "call" and "examples" in told:
            self.rows[report.nodeid] = {**told, "failed": report.failed, "seconds": round(report.duration, 1)}

    def pytest_sessionfinish(self):
        if OUT in os.environ:
            Path(os.environ[OUT]).write_text(json.dumps(self.rows, indent=1, sort_keys=True) + "\n")

    def pytest_terminal_summary(self, terminalreporter):
        for name, row in sorted(self.rows.items()):
            state = "CRASH" if row["failed"] else "ok"
            terminalreporter.write_line(f"{row['examples']:>8} {row['longest']:>8.3f} s  {state:<6} {name}")
        total = sum(row["examples"] for row in self.rows.values())
        crashes = sum(row["failed"] for row in self.rows.values())
        terminalreporter.write_line(f"{total:>8} examples in {len(self.rows)} properties, {crashes} crashed")


def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Record())
