# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Progress of pulls: what the module writes to a file, and the lines that the action plugin makes of it.

The file is one JSON object, replaced as a whole: ``pid`` of the module and ``pulls``, the pulls that are under way.
"""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, Callable

from ansible_collections.alchemorsel.ollama.plugins.module_utils._answers import whole
from ansible_collections.alchemorsel.ollama.plugins.module_utils._numbers import is_whole

#: What ``report`` is told when a pull is over, however it ended.
ENDED = "ended"
#: The step in which bytes come in, whatever their blob.
PULLING = "pulling"
#: Seconds between two writes while a step goes on.
WRITE_INTERVAL = 1.0
#: Seconds over which the rate is taken.
RATE_WINDOW = 30.0


@dataclass(frozen=True)
class Pull:
    """How far one pull is.

    :param number: its place among the ``count`` pulls of the task, from 1
    :param step: the server's word for what it is doing
    :param done: bytes that are there, also those that were there before
    :param total: bytes of all blobs that are known so far
    :param got: bytes that came in while this was watched
    :param at: when the last line came, seconds of the host's clock that never jumps
    """

    model: str
    number: int
    count: int
    step: str
    done: int
    total: int
    got: int
    at: float


@dataclass(frozen=True)
class Progress:
    """What the file says."""

    pid: int
    pulls: tuple[Pull, ...]


def parse_progress(text: str) -> Progress | None:
    """Return what a progress file says, ``None`` if it is none."""
    try:
        data = json.loads(text)
        progress = Progress(data["pid"], tuple(Pull(**item) for item in data["pulls"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return progress if is_whole(progress.pid) and all(map(_is_written, progress.pulls)) else None


def _is_written(pull: Pull) -> bool:
    """Tell whether a pull has what this module writes; the file comes from a host, which may write anything."""
    counts = (pull.number, pull.count, pull.done, pull.total, pull.got)
    texts = (pull.model, pull.step)
    told = all(is_whole(count) and count >= 0 for count in counts) and all(isinstance(text, str) for text in texts)
    return told and isinstance(pull.at, (int, float)) and math.isfinite(pull.at)


# --- the module's side --------------------------------------------------------------------------------------------


@dataclass
class _Blobs:
    """The blobs of one pull: bytes of each in all, there now, and there when it was first heard of."""

    step: str = ""
    at: float = 0.0
    total: dict[str, int] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)


class Tracker:
    """Status lines of pulls -> how far they are.

    :param sizes: bytes of each model that is to be pulled, in order; 0 where that is not known before
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self._sizes = dict(sizes)
        self._numbers = {model: number for number, model in enumerate(sizes, 1)}
        self._running: dict[str, _Blobs] = {}

    def feed(self, model: str, line: Mapping[str, Any], now: float) -> bool:
        """Take one status line; tell whether a new step begins with it."""
        status, digest, total = str(line.get("status", "")), line.get("digest"), line.get("total")
        if status == ENDED:
            return self._running.pop(model, None) is not None
        blobs = self._running.setdefault(model, _Blobs())
        blobs.at = now
        step = status
        if isinstance(digest, str) and isinstance(total, int) and is_whole(total):
            completed = whole(line.get("completed"))
            blobs.total[digest] = total
            blobs.done[digest] = completed
            blobs.first.setdefault(digest, completed)
            # One step for all blobs: their lines alternate where several are fetched.
            step = PULLING
        begins, blobs.step = step != blobs.step, step
        return begins

    def pulls(self) -> tuple[Pull, ...]:
        """Return the pulls that are under way."""
        pulls = [self._pull(model, blobs) for model, blobs in self._running.items()]
        return tuple(sorted(pulls, key=lambda pull: pull.number))

    def _pull(self, model: str, blobs: _Blobs) -> Pull:
        done = sum(blobs.done.values())
        return Pull(
            model=model,
            number=self._numbers.get(model, 1),
            count=max(1, len(self._numbers)),
            step=blobs.step,
            done=done,
            total=max(sum(blobs.total.values()), self._sizes.get(model, 0), done),
            got=sum(max(0, blobs.done[digest] - first) for digest, first in blobs.first.items()),
            at=round(blobs.at, 3),
        )


class ProgressFile:
    """The file that the module keeps while it works; without a path it does nothing.

    A file that cannot be written costs the display and nothing else.
    """

    def __init__(self, path: str | None, now: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._now = now
        self._sizes: dict[str, int] = {}
        self._tracker = Tracker({})
        self._written = 0.0
        # Pulls in several threads report here.
        self._lock = threading.Lock()

    def __enter__(self) -> ProgressFile:
        self._write()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for path in (self._path, f"{self._path}.new") if self._path else ():
            try:
                os.unlink(path)
            except OSError:
                continue

    def expect(self, sizes: Mapping[str, int]) -> None:
        """Take the models that are to be pulled, with their bytes as far as they are known; nothing is under way."""
        with self._lock:
            stale = self._tracker.pulls()
            self._sizes = dict(sizes)
            self._tracker = Tracker(sizes)
            if stale:
                self._write()

    def report(self, model: str, line: Mapping[str, Any]) -> None:
        """Take one status line of a pull; write at each new step, and once a second."""
        with self._lock:
            now = self._now()
            begins = self._tracker.feed(model, line, now)
            if begins or now - self._written >= WRITE_INTERVAL:
                self._write()

    def wait(self, holder: str) -> None:
        """Take note that another run is waited for, before the first pull.

        :param holder: words for that run, the same at each call
        """
        model = next(iter(self._sizes), "models")
        self.report(model, {"status": f"waiting for another run on this server, {holder}"})

    def _write(self) -> None:
        if not self._path:
            return
        self._written = self._now()
        pulls = [asdict(pull) for pull in self._tracker.pulls()]
        new = f"{self._path}.new"
        try:
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
                json.dump({"pid": os.getpid(), "pulls": pulls}, stream)
            os.replace(new, self._path)
        except OSError:
            return


# --- the controller's side ----------------------------------------------------------------------------------------


class Pace:
    """Bytes per second over the last while."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def feed(self, at: float, got: int) -> None:
        """Take the bytes that had come in at a time."""
        if self._samples and (at <= self._samples[-1][0] or got < self._samples[-1][1]):
            return
        self._samples.append((at, got))
        while len(self._samples) > 2 and self._samples[1][0] <= at - RATE_WINDOW:
            self._samples.popleft()

    @property
    def rate(self) -> float | None:
        """Bytes per second, ``None`` before there are samples of a second."""
        if not self._samples:
            return None
        (began, before), (ended, after) = self._samples[0], self._samples[-1]
        return (after - before) / (ended - began) if ended - began >= 1 else None


def seconds_left(pull: Pull, rate: float | None) -> float | None:
    """Return how long a pull will still take at a rate of bytes per second, ``None`` if that cannot be told."""
    if pull.step != PULLING or not pull.total or rate is None or rate < 1:
        return None
    return (pull.total - pull.done) / rate


def describe(pull: Pull, rate: float | None) -> str:
    """Return one line for a pull: model, percent, bytes, rate and time left, or the step that has no bytes.

    :param rate: bytes per second, ``None`` if it is not known yet
    """
    name = pull.model if pull.count == 1 else f"{pull.model} ({pull.number} of {pull.count})"
    if pull.step != PULLING or not pull.total:
        return _printable(f"{name}: {pull.step}")
    parts = [f"{100 * pull.done // pull.total} %", f"{human_bytes(pull.done)} of {human_bytes(pull.total)}"]
    if rate is not None:
        parts.append(f"{human_bytes(rate)}/s")
        left = seconds_left(pull, rate)
        if left:
            parts.append(f"{human_time(left)} left")
    return _printable(f"{name}: {', '.join(parts)}")


def _printable(text: str) -> str:
    """Return a text without what moves a terminal's cursor or changes its colours: server and host write what they like."""
    return "".join(character if character.isprintable() else "?" for character in text)


def human_bytes(number: float) -> str:
    """Return bytes in decimal units, as Ollama shows them: two digits at least."""
    units = ["TB", "GB", "MB", "kB"]
    unit = "B"
    while number >= 999.5 and units:
        number, unit = number / 1000, units.pop()
    return f"{number:.1f} {unit}" if number < 9.95 and unit != "B" else f"{number:.0f} {unit}"


def human_time(seconds: float) -> str:
    """Return a time in its two largest units."""
    rounded = max(1, round(seconds))
    if rounded < 60:
        return f"{rounded} s"
    if rounded < 3600:
        return f"{rounded // 60} min {rounded % 60:02d} s"
    return f"{rounded // 3600} h {rounded % 3600 // 60:02d} min"
