# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One container in the place of another, and the way back: which steps lead there (pure), and taking them.

The old container is renamed and kept until the new one is proven, so that the way back is the same container with the same
settings. Whatever a killed run leaves, the names tell how far it came.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Callable, NamedTuple

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _plain
from ansible_collections.alchemorsel.ollama.plugins.module_utils._drain import Drained
from ansible_collections.alchemorsel.ollama.plugins.module_utils._engine import Engine, EngineFailed
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidInput, OllamaError

#: What a container can be, seen from here.
MISSING, STOPPED, RUNNING = "missing", "stopped", "running"
STOP, START, RENAME, REMOVE = "stop", "start", "rename", "remove"
#: An answer is a version in some bytes; whoever writes more is no Ollama server.
_MOST = 65536
_PAUSE = 0.1


class NotServing(OllamaError):
    """A container ended, or its server did not answer in time."""


class Step(NamedTuple):
    """One request to the engine; ``new`` is the new name of a container that is renamed."""

    kind: str
    name: str
    new: str = ""


@dataclass(frozen=True)
class Names:
    """The containers of an exchange: the one that serves, who takes its place, and where the old one waits meanwhile."""

    name: str
    replacement: str
    aside: str


# --- which steps ------------------------------------------------------------------------------------------------------


def steps_to_exchange(names: Names, states: Mapping[str, str]) -> list[Step]:
    """Return the steps that put the replacement in the place of the container; none if that is done already.

    :raises InvalidInput: if there is nothing to put there, or the old container of another exchange still waits
    """
    present = {name: states[name] != MISSING for name in (names.name, names.replacement, names.aside)}
    if not present[names.replacement]:
        if present[names.name] and present[names.aside]:
            return []
        raise InvalidInput(
            f"there is no container {names.replacement} to take the place of {names.name}; create it first, without starting it"
        )
    if present[names.aside]:
        raise InvalidInput(
            f"the container {names.aside} waits since an earlier exchange that was not ended; use state=restored first"
        )
    steps = [Step(STOP, names.name)] if states[names.name] == RUNNING else []
    steps += [Step(RENAME, names.name, names.aside)] if present[names.name] else []
    return [*steps, Step(RENAME, names.replacement, names.name), Step(START, names.name)]


def steps_to_start(names: Names, states: Mapping[str, str]) -> list[Step]:
    """Return the steps after which the container runs.

    :raises InvalidInput: if there is none
    """
    if states[names.name] == MISSING:
        raise InvalidInput(f"there is no container {names.name} to start; create it first")
    return [] if states[names.name] == RUNNING else [Step(START, names.name)]


def steps_to_restore(names: Names, states: Mapping[str, str]) -> list[Step]:
    """Return the steps that bring the old container back to its place; none if it serves there.

    :raises InvalidInput: if there is none
    """
    now, waiting = states[names.name], states[names.aside]
    if waiting == MISSING:
        if now == MISSING:
            raise InvalidInput(
                f"there is neither a container {names.name} nor {names.aside}, so nothing can be restored"
            )
        return steps_to_start(names, states)
    steps = [Step(STOP, names.name)] if now == RUNNING else []
    steps += [Step(REMOVE, names.name)] if now != MISSING else []
    steps.append(Step(RENAME, names.aside, names.name))
    return steps if waiting == RUNNING else [*steps, Step(START, names.name)]


def state_of(inspected: Mapping[str, Any] | None) -> str:
    """Return the state of a container by its ``inspect``."""
    if inspected is None:
        return MISSING
    return RUNNING if (inspected.get("State") or {}).get("Running") else STOPPED


def published_url(inspected: Mapping[str, Any], port: int) -> str | None:
    """Return the address at which the host reaches a port of a container, ``None`` if it is not published."""
    ports = (inspected.get("NetworkSettings") or {}).get("Ports") or {}
    for binding in ports.get(f"{port}/tcp") or []:
        address = binding.get("HostIp") or "0.0.0.0"
        if ":" not in address:
            return f"http://{'127.0.0.1' if address == '0.0.0.0' else address}:{binding['HostPort']}"
    return None


# --- taking them ------------------------------------------------------------------------------------------------------


@dataclass
class Report:
    """What came of it. ``downtime`` (s) goes from the stop to the first answer, ``None`` where nothing was stopped."""

    steps: list[Step] = field(default_factory=list)
    url: str | None = None
    downtime: float | None = None
    drained: Drained | None = None
    #: after a failure: its reason, the last lines of the container's log, and whether the old one serves again
    failure: OllamaError | None = None
    log: list[str] = field(default_factory=list)
    restored: bool = False


@dataclass(frozen=True)
class Patience:
    """How long each part may take, in seconds.

    :ivar stop: until a server that was asked to end is killed
    :ivar answer: until a server that was started answers
    :ivar steady: that it has to go on after its first answer
    """

    stop: int
    answer: float
    steady: float


class Exchange:
    """The containers of one exchange on one engine."""

    def __init__(self, engine: Engine, names: Names, port: int, patience: Patience, log_lines: int) -> None:
        self._engine = engine
        self._names = names
        self._port = port
        self._patience = patience
        self._log_lines = log_lines

    def states(self) -> dict[str, str]:
        """Return the state of each container."""
        names = (self._names.name, self._names.replacement, self._names.aside)
        return {name: state_of(self._engine.inspect(name)) if name else MISSING for name in names}

    def start(self, steps: Iterable[Step]) -> Report:
        """Take the steps to start, and wait for the server."""
        report = Report(list(steps))
        try:
            self._take(report.steps)
            report.url = self.wait()
        except (EngineFailed, NotServing) as error:
            self._fail(report, error)
        return report

    def exchange(self, steps: Iterable[Step], drain: Callable[[int], Drained]) -> Report:
        """Take the steps to exchange; if the new server does not answer, the old container is put back at once.

        :param drain: waits until nobody waits for an answer of the container with this first process
        """
        report = Report(list(steps))
        before = self._engine.inspect(self._names.name) or {}
        if state_of(before) == RUNNING:
            report.drained = drain(int(before["State"]["Pid"]))
        began = time.monotonic()
        try:
            self._take(report.steps)
            report.url = self.wait()
        except (EngineFailed, NotServing) as error:
            self._fail(report, error)
            self._put_back(report)
        report.downtime = time.monotonic() - began
        return report

    def restore(self, steps: Iterable[Step]) -> Report:
        """Take the steps to restore, and wait for the old server. What is taken away tells its last words."""
        report = Report(list(steps))
        if any(step.kind == REMOVE for step in report.steps):
            report.log = self._engine.last_lines(self._names.name, self._log_lines)
        began = time.monotonic()
        try:
            self._take(report.steps)
            report.url = self.wait()
            report.restored = True
        except (EngineFailed, NotServing) as error:
            report.failure = error
        report.downtime = time.monotonic() - began if report.steps else None
        return report

    def wait(self) -> str | None:
        """Wait until the server answers at its published port; return its address.

        :raises NotServing: if the container ends meanwhile, or time is up
        """
        name = self._names.name
        deadline = time.monotonic() + self._patience.answer
        steady_from = None
        while True:
            inspected = self._engine.inspect(name)
            if inspected is None or state_of(inspected) != RUNNING:
                state = (inspected or {}).get("State") or {}
                said = f" ({state['Error']})" if state.get("Error") else ""
                raise NotServing(f"the container {name} ended with status {state.get('ExitCode', 'unknown')}{said}")
            url = published_url(inspected, self._port)
            now = time.monotonic()
            if steady_from is None and url and answers(url):
                steady_from = now
            if steady_from is not None and now - steady_from >= self._patience.steady:
                return url
            if steady_from is None and now > deadline:
                where = url or f"port {self._port}, which is not published"
                raise NotServing(
                    f"the server in the container {name} did not answer at {where} within {self._patience.answer:g} s"
                )
            time.sleep(_PAUSE)

    def _put_back(self, report: Report) -> None:
        try:
            steps = steps_to_restore(self._names, self.states())
            self._take(steps)
            self.wait()
            report.steps += steps
            report.restored = True
        except (EngineFailed, NotServing, InvalidInput):
            # The first failure is the one to tell; that nobody serves is told by `restored`.
            report.restored = False

    def _fail(self, report: Report, error: OllamaError) -> None:
        report.failure = error
        report.log = self._engine.last_lines(self._names.name, self._log_lines)

    def _take(self, steps: Iterable[Step]) -> None:
        for step in steps:
            if step.kind == STOP:
                self._engine.stop(step.name, self._patience.stop)
            elif step.kind == RENAME:
                self._engine.rename(step.name, step.new)
            elif step.kind == REMOVE:
                self._engine.remove(step.name)
            else:
                self._engine.start(step.name)


def answers(url: str) -> bool:
    """Tell whether a server answers at an address."""
    try:
        answer = _plain.get(url, "/api/version", {}, 2.0, _MOST)
    except OllamaError:
        return False
    return answer is not None and answer.status == 200
