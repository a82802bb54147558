# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make test` runs each step once, and nobody is idle while there is something to run beside."""

from __future__ import annotations

import threading
import time

import pytest

from tools import steps


@pytest.fixture
def run(monkeypatch):
    """Return run_all with steps that end when what they wait for has ended, and the names of those that ran."""

    def run_all(targets, beside, jobs=1, waits=(), while_in=lambda step, running: None):
        ended = {step: threading.Event() for step in (*targets, *beside)}
        ran, running = [], set()

        def one(step):
            ran.append(step)
            running.add(step)
            assert all(ended[other].wait(60) for other in dict(waits).get(step, ()))
            while_in(step, running)
            running.discard(step)
            ended[step].set()
            return steps.Outcome(step, 1, 0, 0, 0.0)

        monkeypatch.setattr(steps, "run", one)
        outcomes = steps.run_all(targets, beside, jobs)
        return ran, [outcome.step for outcome in outcomes]

    return run_all


def test_each_step_runs_once_and_is_told_in_the_order_of_the_command_line(run):
    targets, beside = [f"a{number}" for number in range(40)], [f"b{number}" for number in range(40)]
    for jobs in (1, 3):
        ran, told = run(targets, beside, jobs)
        assert told == targets + beside
        assert sorted(ran) == sorted(told)


def test_who_has_no_more_to_do_helps(run):
    # b1 waits for b2, and fails if that comes only after it
    ran, _told = run(["a1"], ["b1", "b2"], waits=[("b1", ["b2"])])
    assert sorted(ran) == ["a1", "b1", "b2"]


def test_those_beside_never_take_of_the_others(run):
    # b1 has ended, and its lane would have time to take a2.
    beside = []

    def look(step, running):
        if step != "b1":
            time.sleep(0.3)
            beside.append(running - {step})

    run(["a1", "a2"], ["b1"], waits=[("a1", ["b1"])], while_in=look)
    assert beside == [set()] * 2


def test_without_any_beside(run):
    assert run(["a1", "a2"], [])[1] == ["a1", "a2"]
