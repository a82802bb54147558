# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The invariants: each is seen to fail, and all of them hold where nothing was lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.chaos.case import Unexpected
from tests.chaos.site import expect
from tests.chaos.verdict import Run, Seen, broken, last_words, lost, strangers

ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64
BEFORE = Seen({"a": ONE, "b": TWO}, {"ollama": "running", "ollama-previous": "created"})
WELL = Run(0)


def test_all_hold_where_nothing_was_lost():
    assert broken(BEFORE, BEFORE, WELL, WELL) == []


def test_a_model_that_came_besides_is_no_loss():
    assert lost(BEFORE, replace(BEFORE, models={**BEFORE.models, "c": ONE})) == []


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ({"models": None}, "no server answers"),
        ({"models": {"a": ONE}}, "b was served"),
        ({"models": {"a": ONE, "b": ONE}}, "b was served as sha256:222222222222, now sha256:111111111111"),
        ({"damage": ["blobs/x"]}, "blobs/x"),
        ({"left": ["left: /etc/docker/x.tmp"]}, "x.tmp"),
        ({"containers": None}, "the engine does not answer"),
        ({"containers": {"ollama": "running"}}, "ollama-previous was created, is not there"),
        ({"containers": {**BEFORE.containers, "ollama-next": "created"}}, "ollama-next was not there, is created"),
        ({"containers": {**BEFORE.containers, "ollama": "exited"}}, "ollama was running, is exited"),
    ],
)
def test_each_invariant_fails_without_what_it_wants(after, words):
    found = broken(BEFORE, replace(BEFORE, **after), WELL, WELL)
    assert len(found) == 1 and words in found[0], found


@pytest.mark.parametrize(
    ("recovery", "again", "words"),
    [
        (
            Run(2, output="fatal: [deb13a]: FAILED! no disk"),
            WELL,
            "the next run failed: fatal: [deb13a]: FAILED! no disk",
        ),
        (WELL, Run(2, output="fatal: x"), "the run after it failed"),
        (WELL, Run(0, ("Declare the models",)), "the run after it changed something: Declare the models"),
    ],
)
def test_the_two_runs_have_to_end_well_and_the_second_one_without_change(recovery, again, words):
    (found,) = broken(BEFORE, BEFORE, again, recovery)
    assert words in found


def test_a_change_that_was_declared_is_no_loss_and_another_one_is():
    after = replace(BEFORE, models={"a": TWO, "b": ONE})
    assert [text[0] for text in lost(BEFORE, after, {"a"})] == ["b"]


def test_containers_that_are_as_before_are_no_strangers():
    assert strangers(BEFORE, BEFORE) == []


@pytest.mark.parametrize(
    ("run", "ends", "says"),
    [
        (Run(0), "failing", ""),
        (Run(2), "well", ""),
        (Run(2, output="something else"), "failing", "connection refused"),
        (Run(2, output="Traceback (most recent call last)"), "any", ""),
    ],
)
def test_an_end_that_was_not_expected_is_told(run, ends, says):
    with pytest.raises(Unexpected):
        expect(run, ends, says)


def test_an_end_that_was_expected_is_none():
    expect(Run(2, output="it says:\n   connection\n  refused"), "failing", "connection refused")
    expect(Run(0), "well")


def test_the_last_failure_is_what_is_repeated():
    assert (
        last_words("fatal: one\nok\nfatal: two =>\n  msg: no disk\n\nPLAY RECAP *\nfailed=1")
        == "fatal: two => msg: no disk"
    )
    assert last_words("PLAY [a]\nkilled\n") == "PLAY [a] killed"
