# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of the faults: rounds that are merged, and a table that cannot be nicer than its results. And the cases themselves."""

from __future__ import annotations

import re

from tests.chaos.case import Case, Result
from tests.chaos.cases import GROUPS
from tests.chaos.machine import ROOT
from tests.chaos.page import page
from tests.chaos.record import Round, dumped, loaded, merged

ONE = Case("one", "all is well", "the disk is full", "fails", lambda site: None)
TWO = Case("two", "all is well", "the host is gone", "fails", lambda site: None)
STANDIN, REAL = {"Server": "stand-in, Ollama 1", "Date": "now"}, {"Server": "real, Ollama 1", "Date": "now"}


def result(case, *problems, served=1.2, recovered=34.5):
    return Result(case, problems, served, recovered, 1)


def test_the_table_says_what_did_not_hold():
    text = page(
        [Round(STANDIN, (result("one"), result("two", "b was served|and is not", served=None)))], {"Disks": (ONE, TWO)}
    )
    assert "2 cases, 1 in which an invariant did not hold." in text
    assert "| `one` | all is well | the disk is full | fails | all hold | 1 s | 34 s |" in text
    assert (
        "| `two` | all is well | the host is gone | fails | **broken**: b was served\\|and is not | next run | 34 s |"
        in text
    )


def test_cases_that_were_not_played_are_named():
    text = page([Round(STANDIN, (result("one"),))], {"Disks": (ONE, TWO)})
    assert "1 cases are there and were not played with this server yet: `two`." in text
    assert "not played" not in page([Round(STANDIN, (result("one"), result("two")))], {"Disks": (ONE, TWO)})


def test_each_server_has_a_part_of_its_own():
    text = page([Round(STANDIN, (result("one"),)), Round(REAL, (result("one", "broken"),))], {"Disks": (ONE,)})
    assert (
        text.index("## stand-in, Ollama 1")
        < text.index("all hold | 1 s")
        < text.index("## real, Ollama 1")
        < text.index("**broken**: broken")
    )


def test_a_case_that_is_played_again_replaces_the_one_before_of_the_same_server():
    before = [Round(STANDIN, (result("one", "lost"), result("two"))), Round(REAL, (result("one"),))]
    rounds = loaded(dumped(merged(before, Round({**STANDIN, "Date": "later"}, (result("one"),)))))
    kept = Result("two", (), None, 1.0, 1, ("left in the store: blobs/sha256-1234",))
    assert loaded(dumped([Round(REAL, (kept,))])) == [Round(REAL, (kept,))]
    assert rounds == [
        Round(STANDIN, (result("two"),)),
        Round(REAL, (result("one"),)),
        Round({**STANDIN, "Date": "later"}, (result("one"),)),
    ]


def test_the_cases_have_names_of_their_own_and_can_be_read():
    cases = [case for group in GROUPS.values() for case in group]
    assert len({case.name for case in cases}) == len(cases)
    for case in cases:
        assert re.fullmatch(r"[a-z0-9-]{3,40}", case.name), case.name
        assert all(len(text) > 2 and not text.endswith(".") for text in (case.given, case.fault, case.expected)), (
            case.name
        )
    assert sum(case.quick for case in cases) in range(6, 15)


def test_the_page_is_what_its_rounds_make_of_it():
    record = ROOT / "docs/chaos/runs.json"
    assert (ROOT / "docs/chaos.md").read_text(encoding="utf-8") == page(
        loaded(record.read_text(encoding="utf-8")), GROUPS
    )
