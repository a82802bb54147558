# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs several fetches at the same time, as far as they are not in each other's way."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Mapping, Set
from typing import Callable, Generic, Optional, Protocol, TypeVar

from ansible_collections.alchemorsel.ollama.plugins.module_utils._schedule import Load, startable

#: Tells which of some blobs the server lacks, ``None`` if that cannot be told.
Survey = Callable[[Set[str]], Optional[Set[str]]]


class Ended(Protocol):
    """What came of one fetch."""

    @property
    def failed(self) -> bool:
        """Whether it failed; it may have taken blobs away then."""

    @property
    def lost(self) -> bool:
        """Whether the server can no longer be worked with, so that no other fetch should begin."""


T = TypeVar("T", bound=Ended)


class _Job(threading.Thread, Generic[T]):
    """One fetch in a thread of its own, which does not keep the process from ending."""

    def __init__(self, number: int, task: Callable[[], T], ended: queue.SimpleQueue[_Job[T]]) -> None:
        super().__init__(daemon=True)
        self.number = number
        self.outcome: T | None = None
        self._task = task
        self._ended = ended

    def run(self) -> None:
        """Do the work, and say that it is done, whatever came of it."""
        try:
            self.outcome = self._task()
        finally:
            self._ended.put(self)


def run_together(
    tasks: Mapping[int, Callable[[], T]], loads: Mapping[int, Load], survey: Survey, limit: int
) -> dict[int, T]:
    """Run all tasks, some at a time, and return what came of each; one that fails leaves the others running.

    :param tasks: by number, in the order in which they should start
    :param loads: what each of them is to the store
    :param limit: how many may run at a time
    """
    waiting, lacking = _surveyed(loads, survey)
    running: dict[int, Load] = {}
    ended: queue.SimpleQueue[_Job[T]] = queue.SimpleQueue()
    outcomes: dict[int, T] = {}
    while True:
        for number in startable(waiting, list(running.values()), lacking, limit):
            running[number] = waiting.pop(number)
            _Job(number, tasks[number], ended).start()
        if not running:
            return outcomes
        job = ended.get()
        load = running.pop(job.number)
        if job.outcome is None:
            # Its thread has shown why: a mistake in this collection.
            raise RuntimeError(f"the thread of fetch {job.number} ended without an outcome")
        outcomes[job.number] = job.outcome
        if job.outcome.lost:
            waiting = {}
        elif load.replaces or job.outcome.failed:
            # Blobs may have gone. Those that are under way now may be there and go again: they are not verified yet.
            waiting, found = _surveyed(waiting, survey)
            lacking = found | (lacking & _blobs(running.values()))
        else:
            lacking = lacking - (load.blobs or frozenset())


def _surveyed(loads: Mapping[int, Load], survey: Survey) -> tuple[dict[int, Load], Set[str]]:
    """Return the fetches with what the server lacks of their blobs; as unknown ones where that cannot be told."""
    blobs = _blobs(loads.values())
    lacking = survey(blobs) if blobs else frozenset()
    if lacking is None:
        return dict.fromkeys(loads, Load()), frozenset()
    return dict(loads), lacking


def _blobs(loads: Iterable[Load]) -> frozenset[str]:
    return frozenset(blob for load in loads for blob in load.blobs or ())
