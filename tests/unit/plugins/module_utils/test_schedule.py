# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetches at the same time: never two in each other's way, and all of them run."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._schedule import Load, conflict, startable
from hypothesis import given
from hypothesis import strategies as st


def load(blobs, **others):
    return Load(frozenset(blobs), **others)


@pytest.mark.parametrize(
    ("one", "other", "lacking", "wanted"),
    [
        (load("ab"), load("cd"), "abcd", False),
        (load("ab"), load("bc"), "abc", True),
        (load("ab"), load("bc"), "ac", False),
        (load("ab"), Load(), "ab", True),
        (load(""), Load(), "", True),
        # The end of an update takes away what the other one counts upon.
        (load("ab", replaces=True), load("cd"), "abd", True),
        (load("ab", replaces=True), load("cd"), "abcd", False),
        (load("ab", replaces=True), load("cd", replaces=True), "bcd", True),
        # A model that is removed again takes away what both have.
        (load("ab", undone=True), load("bc"), "ac", True),
        (load("ab", undone=True), load("cd"), "", False),
    ],
)
def test_conflict(one, other, lacking, wanted):
    assert conflict(one, other, frozenset(lacking)) is conflict(other, one, frozenset(lacking)) is wanted


def test_what_must_wait_lets_others_pass():
    waiting = {0: load("ab"), 1: load("bc"), 2: load("de"), 3: load("fg")}
    assert startable(waiting, [], frozenset("abcdefg"), 2) == [0, 2]
    assert startable({1: waiting[1], 3: waiting[3]}, [waiting[2]], frozenset("cdefg"), 2) == [1]
    assert startable({0: load("a"), 1: Load()}, [], frozenset("a"), 2) == [0]
    assert startable({1: Load()}, [], frozenset(), 2) == [1]
    assert startable({0: load("a"), 1: load("b")}, [load("c")], frozenset("abc"), 1) == []


BLOBS = st.frozensets(st.sampled_from("abcdefgh"), max_size=4)
LOADS = st.lists(st.builds(Load, st.none() | BLOBS, st.booleans(), st.booleans()), max_size=8)


@given(LOADS, BLOBS, st.integers(1, 4), st.data())
def test_all_run_and_none_in_anothers_way(loads, there, limit, data):
    """Fetches end in any order, well or not; what one brought is there for those that come after it."""
    lacking = set("abcdefgh") - there
    waiting, running, ended = dict(enumerate(loads)), {}, []
    while waiting or running:
        begun = startable(waiting, list(running.values()), lacking, limit)
        running.update({number: waiting.pop(number) for number in begun})
        # No deadlock: something is always on its way.
        assert 1 <= len(running) <= limit
        for one, other in itertools.combinations(running.values(), 2):
            assert one.blobs is not None and other.blobs is not None
            assert not one.blobs & other.blobs & lacking
            for first, second in ((one, other), (other, one)):
                assert not (first.replaces and second.blobs - lacking)
                assert not (first.undone and first.blobs & second.blobs)
        # Nothing waits without a reason.
        assert len(running) == limit or all(
            any(conflict(load, other, lacking) for other in running.values()) for load in waiting.values()
        )
        number = data.draw(st.sampled_from(sorted(running)))
        load = running.pop(number)
        ended.append(number)
        if data.draw(st.booleans()):
            lacking -= load.blobs or frozenset()
    assert sorted(ended) == list(range(len(loads)))
