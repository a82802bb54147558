# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One pull to its end: progress judged by bytes, stalls cut and resumed, everything bounded in time."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Any, Callable, Protocol

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._answers import whole
from ansible_collections.alchemorsel.ollama.plugins.module_utils._numbers import is_whole
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull_errors import pull_error

#: Longest pause between two attempts, seconds.
MAX_PAUSE = 60.0
#: Bytes per second that the slowest disks let a server verify.
VERIFY_RATE = 50_000_000

Report = Callable[[str, "dict[str, Any]"], None]
#: Removes from the store what no attempt can complete, given the clock's time at which the pull has to end; tells whether there was any.
Clear = Callable[[float], bool]


class Puller(Protocol):
    """What is needed of a client."""

    url: str

    def pull(self, model: str, insecure: bool = False, timeout: float | None = None) -> Any:
        """Return an iterator over status lines with ``limit(seconds)`` and ``close()``."""


@dataclass(frozen=True)
class PullLimits:
    """Bounds of one pull.

    :param pull_timeout: seconds for the whole pull, all attempts and pauses together
    :param stall_timeout: seconds without a byte after which the connection is cut and the download resumed
    :param retries: further attempts in a row that bring no byte forward
    """

    pull_timeout: float = 7200.0
    stall_timeout: float = 20.0
    retries: int = 5


DEFAULT_LIMITS = PullLimits()


@dataclass
class Clock:
    """Time and chance, replaced in tests."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random


class Phase:
    """What a pull is doing, read from its status lines.

    Only while a line with ``total`` is current and not complete can a standing ``completed`` be called a stall: the
    phases before and after it are silent or without figures by nature, and a disconnect there can kill the server.
    """

    def __init__(self) -> None:
        self.begin(0.0)
        #: blob -> most bytes of it ever seen, over all attempts
        self._best: dict[str, int] = {}
        #: blob -> its size
        self._totals: dict[str, int] = {}

    def begin(self, now: float) -> None:
        """Begin an attempt: nothing is current; what was seen of the blobs stays known."""
        self.downloading = False
        #: the server reads what it has fetched, and goes on with that when its client has left
        self.verifying = False
        #: the attempt brought some blob further than ever before
        self.gained = False
        self._mark: tuple[str, int] | None = None
        self._since = now

    def feed(self, line: dict[str, Any], now: float) -> None:
        """Take one status line."""
        digest, total = line.get("digest"), line.get("total")
        self.verifying = str(line.get("status", "")).startswith("verifying")
        if not isinstance(digest, str) or not isinstance(total, int) or not is_whole(total):
            self.downloading, self._mark = False, None
            return
        completed = whole(line.get("completed"))
        self.downloading = completed < total
        self._totals[digest] = total
        if (digest, completed) != self._mark:
            self._mark, self._since = (digest, completed), now
        best = self._best.get(digest, 0)
        if completed > best:
            self._best[digest] = completed
            self.gained = True

    @property
    def verification(self) -> float:
        """Seconds after which a verification that was left alone has surely ended."""
        return sum(self._totals.values()) / VERIFY_RATE if self.verifying else 0.0

    def left(self, now: float, stall_timeout: float) -> float | None:
        """Return the seconds until the download counts as stalled, ``None`` where it cannot stall."""
        return self._since + stall_timeout - now if self.downloading else None


def pull(
    client: Puller,
    model: str,
    *,
    insecure: bool = False,
    limits: PullLimits = DEFAULT_LIMITS,
    report: Report | None = None,
    clock: Clock | None = None,
    until: float | None = None,
    clear: Clear | None = None,
) -> bool:
    """Pull a model; return when the server said ``success``, and whether a blob had come with wrong bytes before.

    :param model: name as the server takes it
    :param insecure: the model's registry speaks plain http
    :param report: called with the model and each status line
    :param until: the clock's time at which it has to end, where ``pull_timeout`` does not begin now
    :param clear: called before each attempt and after the last one, where the server's store can be looked at
    :raises PullFailed: and its kinds, with cause and remedy
    :raises OllamaError: where the server itself is the trouble
    """
    clock = clock or Clock()
    deadline = clock.now() + limits.pull_timeout if until is None else until
    phase = Phase()
    fruitless = 0
    mismatch = False
    while True:
        if clear and clear(deadline):
            # A blob begins anew.
            phase = Phase()
        phase.begin(clock.now())
        try:
            _attempt(client, model, insecure, phase, deadline, limits, report, clock)
            return mismatch
        except errors.OllamaError as exc:
            failure = _named(exc, model, client.url)
            if isinstance(failure, errors.PullStalled) and clear is None:
                failure = errors.PullStalled(failure.message + _BLIND, url=failure.url)
            # An error line is the server's own end; it goes on with a verification whose client has left.
            left_alone = phase.verification if not isinstance(exc, errors.BadAnswer) else 0.0
        # A blob that came with wrong bytes begins anew, and its bytes are no progress.
        wrong = isinstance(failure, errors.DigestMismatch)
        mismatch = mismatch or wrong
        gained = phase.gained and not wrong
        fruitless = 1 if gained else fruitless + 1
        pause = min(MAX_PAUSE, 2.0 ** (fruitless - 1)) * (0.5 + clock.random() / 2)
        # A pull that begins before that has ended takes the blobs for verified; a wrong one would be removed under the model.
        pause = max(pause, left_alone)
        if not failure.retry or fruitless > limits.retries or clock.now() + pause >= deadline:
            # Nothing is left for the next run that it could not use, and a source that is wrong again is named.
            if clear and failure.retry and clear(deadline):
                failure = _begun_anew(failure)
            raise failure
        clock.sleep(pause)


def _attempt(
    client: Puller,
    model: str,
    insecure: bool,
    phase: Phase,
    deadline: float,
    limits: PullLimits,
    report: Report | None,
    clock: Clock,
) -> None:
    """Follow one pull request to its end, cutting it when it stalls or the time is up."""
    stream = client.pull(model, insecure, timeout=max(0.001, deadline - clock.now()))
    try:
        for line in stream:
            now = clock.now()
            phase.feed(line, now)
            if report:
                report(model, line)
            left = phase.left(now, limits.stall_timeout)
            stream.limit(deadline - now if left is None else min(left, deadline - now))
    except errors.DeadlinePassed as exc:
        raise _too_late(model, client.url, phase, clock.now() >= deadline, limits) from exc
    finally:
        stream.close()


def _begun_anew(failure: errors.OllamaError) -> errors.OllamaError:
    """Return the failure of a pull of which a download was removed, since nothing could have completed it."""
    said = failure.message.rstrip(".")
    failure.message = f"{said}. A download that could never be completed was removed: the next run begins that anew."
    failure.args = (failure.message,)
    return failure


#: Of a stall, where nobody looks at the store.
_BLIND = (
    ". If it stalls in every run, the server may hold a download that can never be completed: give store_path, so that this is seen "
    "and mended, or remove the files sha256-...-partial* from blobs in its model directory while nothing is pulled."
)
_RISK = (
    ", and the server was not downloading but preparing or verifying when it was cut, which can make the whole server end "
    "if another client pulls the same model"
)


def _too_late(model: str, url: str, phase: Phase, over: bool, limits: PullLimits) -> errors.PullFailed:
    if not over and phase.downloading:
        return errors.PullStalled(
            f"pull of {model} stalled: no byte for {limits.stall_timeout:g} s; check the way from the Ollama server to "
            "the source. What was fetched stays there for the next run",
            url=url,
        )
    risk = "" if phase.downloading else _RISK
    if phase.verifying:
        risk += f". It goes on verifying, and trusts these blobs in a pull that begins before that has ended: wait {phase.verification:.0f} s"
    return errors.PullTimeout(
        f"pull of {model} did not end within pull_timeout, {limits.pull_timeout:g} s{risk}; check that the server still "
        "answers, then raise pull_timeout or run again: what was fetched stays there",
        url=url,
    )


def _named(exc: errors.OllamaError, model: str, url: str) -> errors.OllamaError:
    """Return the error of a pull by its cause: the server's words, or an end without success."""
    if isinstance(exc, errors.BadAnswer) and exc.error:
        return pull_error(model, exc.error, url=exc.url, http_status=exc.http_status)
    if isinstance(exc, errors.StreamBroken):
        return errors.PullFailed(
            f"pull of {model} ended without success: the server at {url} was stopped, or a proxy cut the connection; "
            "run again, the download continues where it stopped",
            url=exc.url,
        )
    return exc
