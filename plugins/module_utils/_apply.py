# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carries a plan out: fetch and verify first, delete last, and nothing is lost on the way."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Callable

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import (
    CLEANUP,
    COPY,
    CREATE,
    DELETE,
    LOAD,
    PULL,
    RESTORE,
    UNLOAD,
    Action,
    Plan,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._clearing import Clearing
from ansible_collections.alchemorsel.ollama.plugins.module_utils._client import OllamaClient
from ansible_collections.alchemorsel.ollama.plugins.module_utils._fetch import Fetcher
from ansible_collections.alchemorsel.ollama.plugins.module_utils._held import Held
from ansible_collections.alchemorsel.ollama.plugins.module_utils._live import Live
from ansible_collections.alchemorsel.ollama.plugins.module_utils._memory import NO_MEMORY, Memory
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName
from ansible_collections.alchemorsel.ollama.plugins.module_utils._plan import predict
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull import DEFAULT_LIMITS, Clock, PullLimits, Report
from ansible_collections.alchemorsel.ollama.plugins.module_utils._record import COPY_OF, FROM, GGUF, Made, Record
from ansible_collections.alchemorsel.ollama.plugins.module_utils._remove import delete, discard
from ansible_collections.alchemorsel.ollama.plugins.module_utils._repair import clear_way, unproven
from ansible_collections.alchemorsel.ollama.plugins.module_utils._residency import Residency
from ansible_collections.alchemorsel.ollama.plugins.module_utils._schedule import Load
from ansible_collections.alchemorsel.ollama.plugins.module_utils._switch import alias, create, restore
from ansible_collections.alchemorsel.ollama.plugins.module_utils._together import run_together
from ansible_collections.alchemorsel.ollama.plugins.module_utils._upload import Importer


@dataclass(frozen=True)
class Done:
    """One action as it went; ``digest_after`` and ``bytes`` as the server lists them, ``moved`` into memory or out of it."""

    action: Action
    digest_after: str | None
    bytes: int
    seconds: float
    moved: bool = False

    @property
    def changed(self) -> bool:
        """Whether the server has something else than before: another digest, whole files instead of broken ones, or in memory."""
        return self.moved or self.action.cure is not None or self.action.digest_before != self.digest_after


@dataclass
class Step:
    """What came of an action; a failed one may have changed something all the same."""

    done: list[Done] = field(default_factory=list)
    failures: list[errors.OllamaError] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether it failed."""
        return bool(self.failures)

    @property
    def lost(self) -> bool:
        """Whether nothing more can be done on this server."""
        return any(isinstance(exc, (errors.ServerUnreachable, errors.AccessRefused)) for exc in self.failures)


@dataclass
class Outcome(Step):
    """What came of a plan: of all its actions in order, and the models afterwards."""

    held: dict[str, Held] = field(default_factory=dict)

    def add(self, step: Step) -> None:
        """Take note of one action."""
        self.done += step.done
        self.failures += step.failures


class Executor:
    """Carries out the actions of a plan on one server.

    :param held: what the server has before the first action
    :param insecure: tells whether a model's registry speaks plain http
    :param store_path: the server's model directory, where it can be looked at
    :param memory: what is declared of the server's memory
    :param report: called with model and status line of a pull, an upload or a load, by several threads
    :param parallel: how many models may be fetched at the same time
    :param record: where is kept what was made here
    :param sizes: asks the source of a model for the size of each blob; empty if it does not say
    """

    def __init__(
        self,
        client: OllamaClient,
        held: dict[str, Held],
        *,
        insecure: Callable[[ModelName], bool],
        store_path: str | None = None,
        limits: PullLimits = DEFAULT_LIMITS,
        report: Report | None = None,
        clock: Clock | None = None,
        parallel: int = 1,
        memory: Memory = NO_MEMORY,
        record: Record | None = None,
        sizes: Callable[[ModelName], Mapping[str, int]] = lambda name: {},
    ) -> None:
        self._live = Live(client, held)
        self._record = record
        self._clock = clock or Clock()
        self._store_path = store_path
        self._report = report
        self._parallel = parallel
        #: digests of the models that are there in the end, as far as the plan knows them
        self._kept: frozenset[str] = frozenset()
        self._stopped = threading.Event()
        #: what the operator should know of what went well
        self.warnings: list[str] = []
        self._fetcher_of: Callable[[Live], Fetcher] = lambda live: Fetcher(
            live,
            insecure=insecure,
            limits=limits,
            report=self._tell,
            clock=self._clock,
            store_path=store_path,
            clearing=self._clearing,
        )
        self._sizes = sizes
        self._importer = Importer(self._live, limits=limits, report=report, clock=self._clock)
        self._residency = Residency(self._live, memory, report=report, clock=self._clock)

    def run(self, plan: Plan) -> Outcome:
        """Fetch all there is to fetch, even after a failure; switch aliases, load and delete only if nothing failed."""
        outcome = Outcome()
        self._kept = frozenset(model.digest for model in predict(self._live.held, plan).values())
        self._residency.begin(plan)
        for fetches, stage in itertools.groupby(plan.actions, key=lambda action: action.fetches):
            actions = list(stage)
            if outcome.lost:
                break
            if fetches and self._parallel > 1 and len(actions) > 1:
                for step in self._together(actions):
                    outcome.add(step)
            else:
                self._in_turn(actions, outcome)
        if not outcome.lost:
            outcome.failures += self._residency.end()
        outcome.held = self._live.held
        return outcome

    def _in_turn(self, actions: Iterable[Action], outcome: Outcome) -> None:
        for action in actions:
            if outcome.lost or (outcome.failures and careful(action)):
                return
            outcome.add(self._step(action, self._live))

    def _together(self, actions: Sequence[Action]) -> list[Step]:
        """Fetch models, some at a time, and return the steps in the order of the actions."""
        tasks = {number: partial(self._apart, action) for number, action in enumerate(actions)}
        try:
            steps = run_together(tasks, dict(enumerate(map(load_of, actions))), self._lacking, self._parallel)
        except BaseException:
            # What still runs ends with its next line.
            self._stopped.set()
            raise
        return [steps[number] for number in sorted(steps)]

    def _apart(self, action: Action) -> Step:
        """Carry out an action in a thread of its own."""
        return self._step(action, self._live.twin())

    def _tell(self, model: str, line: dict[str, Any]) -> None:
        if self._stopped.is_set():
            raise errors.Interrupted(f"the pull of {model} was given up with the run", url=self._live.client.url)
        if self._report:
            self._report(model, line)

    def _lacking(self, blobs: Set[str]) -> Set[str] | None:
        """Return which of some blobs the server lacks, ``None`` if it does not say."""
        try:
            return {blob for blob in blobs if not self._live.client.has_blob(blob)}
        except errors.OllamaError:
            # A gateway may not let this through. The models are fetched one after another then.
            return None

    def _step(self, action: Action, live: Live) -> Step:
        """Carry out one action."""
        began = self._clock.now()
        in_memory, moved = action.kind in (LOAD, UNLOAD), False
        after: Held | None
        try:
            if in_memory:
                after, moved = self._residency.carry_out(action)
                action = replace(action, digest_before=after.digest)
            else:
                after = self._carry_out(action, live)
        except errors.OllamaError as exc:
            step = Step(failures=[exc])
            if action.kind in (CREATE, COPY, RESTORE) and not step.lost:
                step.done = self._half_done(action, began)
            if isinstance(exc, errors.Evicted):
                step.done = [Done(action, action.digest_after, action.bytes, 0.0, moved=True)]
            return step
        if after and self._record and action.kind in (CREATE, COPY):
            self._record.note_made(action.name.key, made(action, after))
        size = after.size if after else action.bytes
        seconds = round(self._clock.now() - began, 3)
        done = [Done(action, after.digest if after else None, size, seconds, moved)]
        return Step(done, [] if in_memory else unproven(live, action, self._store_path))

    def _carry_out(self, action: Action, live: Live) -> Held | None:
        """Do what an action says, and return the model as it is then, ``None`` if it is gone."""
        if action.busy:
            # The server would ask the same source, and gets no other answer.
            raise refused(action)
        clear_way(live, action, self._store_path, self._clock)
        if action.kind == DELETE:
            delete(live, action, self._clock)
            return None
        if action.kind == CLEANUP:
            discard(live, action, self._kept)
            return None
        if action.kind == RESTORE:
            return restore(live, action)
        if action.kind == COPY:
            return alias(live, action)
        if action.file:
            return self._importer.create(action, action.file)
        if action.kind == CREATE:
            # Nothing is fetched, but a big model's header is read from a cold disk.
            return create(live, action, timeout=10 * live.client.timeout)
        fetcher = self._fetcher_of(live)
        try:
            return fetcher.fetch(action)
        finally:
            self.warnings += fetcher.warnings

    def _clearing(self, action: Action) -> Clearing | None:
        """Return what clears the way for a pull in the server's store, where that can be looked at."""
        if self._store_path is None:
            return None
        url, name = self._live.client.url, action.name
        return Clearing(
            name.short, self._store_path, lambda: action.blobs or self._sizes(name), url=url, clock=self._clock
        )

    def _half_done(self, action: Action, began: float) -> list[Done]:
        """Return what a creation or a copy that failed has changed all the same: its last steps only tidy up."""
        try:
            model = self._live.list().get(action.name.key)
        except errors.OllamaError:
            # The failure itself is told; what there is now cannot be.
            return []
        if model is None or model.digest == action.digest_before:
            return []
        return [Done(action, model.digest, model.size, round(self._clock.now() - began, 3))]


def load_of(action: Action) -> Load:
    """Return what a fetch is to the store of the server."""
    # What a repair does to files that others use, too, is seen by nobody beforehand.
    blobs = frozenset(action.blobs) if action.blobs and action.cure is None else None
    return Load(blobs, replaces=action.kind != PULL, undone=bool(action.wanted))


def made(action: Action, after: Held) -> Made:
    """Return what is kept of a model that was made here."""
    if action.file:
        return Made(after.digest, GGUF, action.file.digest, action.recipe.body() if action.recipe else {})
    return Made(after.digest, COPY_OF if action.kind == COPY else FROM)


def action_result(done: Done) -> dict[str, Any]:
    """Return an action as modules show it."""
    return {
        "name": done.action.name.short,
        "action": done.action.kind,
        "reason": done.action.reason,
        "digest_before": done.action.digest_before,
        "digest_after": done.digest_after,
        "bytes": done.bytes,
        "seconds": done.seconds,
        "changed": done.changed,
    }


def careful(action: Action) -> bool:
    """Tell whether an action is left out once something has failed: aliases, what is made of others, memory, deletions."""
    return action.source is not None or action.kind in (DELETE, CLEANUP, LOAD, UNLOAD)


def refused(action: Action) -> errors.SourceBusy:
    """Return the failure of a fetch whose source is not to be asked again now."""
    return errors.SourceBusy(f"{action.name} is not fetched: {action.busy}")


def possible(actions: Iterable[Action]) -> tuple[list[Action], list[errors.OllamaError]]:
    """Return what a run would come to as far as sources have said so, and its failures."""
    coming: list[Action] = []
    failures: list[errors.OllamaError] = []
    for action in actions:
        if action.busy:
            failures.append(refused(action))
        elif failures and careful(action):
            # A run ends here.
            break
        else:
            coming.append(action)
    return coming, failures


def predicted(action: Action) -> Done:
    """Return an action as a run would show it."""
    moved = action.kind in (LOAD, UNLOAD) and bool(action.details)
    return Done(action, action.digest_after, action.bytes, 0.0, moved=moved)
