# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetches in threads, on a store that loses blobs as a real one does."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _together
from ansible_collections.alchemorsel.ollama.plugins.module_utils._schedule import Load
from ansible_collections.alchemorsel.ollama.plugins.module_utils._together import run_together
from hypothesis import given, settings
from hypothesis import strategies as st


@dataclass
class Ended:
    failed: bool = False
    lost: bool = False


class Store:
    """A server's store: `blobs`, what old models that are to be replaced have, and who is fetching what.

    Each fetch waits until so many have been `together` at some time, so that what may overlap does.
    """

    def __init__(self, there, old=None, together=1):
        self.blobs, self.old = set(there), old or {}
        self.lock = threading.Condition()
        self.together = together
        self.running, self.most, self.order, self.faults = {}, 0, [], []

    def survey(self, blobs):
        with self.lock:
            return {blob for blob in blobs if blob not in self.blobs}

    def task(self, number, load, ended=None):
        def fetch():
            blobs = load.blobs or frozenset()
            with self.lock:
                missing = blobs - self.blobs
                for other in self.running.values():
                    if missing & other:
                        self.faults.append(f"{number} pulls {missing & other} while another one does")
                self.running[number] = missing
                self.most = max(self.most, len(self.running))
                self.order.append(number)
                self.lock.notify_all()
                self.lock.wait_for(lambda: self.most >= self.together, 10)
            threading.Event().wait(0.001)
            with self.lock:
                if not (ended and ended.failed):
                    if not blobs - missing <= self.blobs:
                        self.faults.append(f"{number} has lost {blobs - missing - self.blobs}")
                    self.blobs |= blobs
                if load.replaces:
                    self.blobs -= self.old.get(number, set()) - blobs
                del self.running[number]
            return ended or Ended()

        return fetch


def run(store, loads, limit, ended=None):
    tasks = {number: store.task(number, load, (ended or {}).get(number)) for number, load in loads.items()}
    return run_together(tasks, loads, store.survey, limit)


def load(blobs, **others):
    return Load(frozenset(blobs), **others)


def test_what_an_update_has_taken_away_is_pulled_once():
    store = Store("y", {0: {"y"}}, together=2)
    outcomes = run(store, {0: load("u", replaces=True), 1: load("yw"), 2: load("yx"), 3: load("z")}, 4)
    assert sorted(outcomes) == [0, 1, 2, 3]
    assert store.faults == []
    assert store.blobs == set("uywxz")
    assert store.most == 2


def test_after_a_loss_of_the_server_nothing_begins():
    store = Store("")
    outcomes = run(store, {0: load("a"), 1: load("a"), 2: load("b")}, 1, {0: Ended(failed=True, lost=True)})
    assert (sorted(outcomes), store.order) == ([0], [0])


def test_a_mistake_in_a_thread_is_no_success(monkeypatch):
    shown = []
    monkeypatch.setattr(threading, "excepthook", shown.append)

    def task():
        raise SystemExit

    with pytest.raises(RuntimeError, match="fetch 7 ended without an outcome"):
        run_together({7: task}, {7: Load()}, lambda blobs: set(), 2)
    for thread in threading.enumerate():
        if isinstance(thread, _together._Job):
            thread.join()
    assert [hook.exc_type for hook in shown] == [SystemExit]


BLOBS = st.frozensets(st.sampled_from("abcdef"), max_size=3)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(BLOBS, st.none() | BLOBS, st.booleans()), max_size=6),
    st.frozensets(st.sampled_from("abcdef")),
    st.integers(1, 4),
)
def test_no_store_loses_anything(models, there, limit):
    """Each model has blobs; some replace an old one, whose blobs nobody else names; some fail."""
    olds = {number: old & there for number, (_blobs, old, _fails) in enumerate(models) if old is not None}
    loads = {number: load(blobs, replaces=number in olds) for number, (blobs, _old, _fails) in enumerate(models)}
    store = Store(there, olds)
    ended = {number: Ended(failed=True) for number, (_blobs, _old, fails) in enumerate(models) if fails}
    assert sorted(run(store, loads, limit, ended)) == sorted(loads)
    assert store.faults == []
    assert store.most <= limit
