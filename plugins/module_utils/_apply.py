# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carries a plan out: fetch and verify first, delete last, and nothing is lost on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._client import OllamaClient
from ansible_collections.alchemorsel.ollama.plugins.module_utils._fetch import Fetcher
from ansible_collections.alchemorsel.ollama.plugins.module_utils._live import Live
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName
from ansible_collections.alchemorsel.ollama.plugins.module_utils._plan import (
    CLEANUP,
    COPY,
    CREATE,
    DELETE,
    Action,
    Held,
    Plan,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull import DEFAULT_LIMITS, Clock, Limits, Report
from ansible_collections.alchemorsel.ollama.plugins.module_utils._record import COPY_OF, FROM, GGUF, Made, Record
from ansible_collections.alchemorsel.ollama.plugins.module_utils._remove import delete
from ansible_collections.alchemorsel.ollama.plugins.module_utils._switch import alias, create
from ansible_collections.alchemorsel.ollama.plugins.module_utils._upload import Importer


@dataclass(frozen=True)
class Done:
    """One action as it went; ``digest_after`` and ``bytes`` as the server lists them."""

    action: Action
    digest_after: str | None
    bytes: int
    seconds: float

    @property
    def changed(self) -> bool:
        """Whether the server has something else than before."""
        return self.action.digest_before != self.digest_after


@dataclass
class Outcome:
    """What came of a plan: actions in order, failures, and the models afterwards."""

    done: list[Done] = field(default_factory=list)
    failures: list[errors.OllamaError] = field(default_factory=list)
    held: dict[str, Held] = field(default_factory=dict)


class Executor:
    """Carries out the actions of a plan on one server.

    :param held: what the server has before the first action
    :param insecure: tells whether a model's registry speaks plain http
    :param report: called with model and status line of a pull
    :param record: where is kept what was made here
    """

    def __init__(
        self,
        client: OllamaClient,
        held: dict[str, Held],
        *,
        insecure: Callable[[ModelName], bool],
        limits: Limits = DEFAULT_LIMITS,
        report: Report | None = None,
        clock: Clock | None = None,
        record: Record | None = None,
    ) -> None:
        self._live = Live(client, held)
        self._record = record
        self._clock = clock or Clock()
        self._fetcher = Fetcher(self._live, insecure=insecure, limits=limits, report=report, clock=self._clock)
        self._importer = Importer(self._live, limits=limits, report=report, clock=self._clock)

    def run(self, plan: Plan) -> Outcome:
        """Fetch all there is to fetch, even after a failure; switch aliases and delete only if nothing failed."""
        outcome = Outcome()
        for action in plan.actions:
            removal = action.kind in (DELETE, CLEANUP)
            if outcome.failures and (removal or action.source):
                break
            began = self._clock.now()
            after: Held | None = None
            try:
                if removal:
                    delete(self._live, action, self._clock)
                elif action.kind == COPY:
                    after = alias(self._live, action)
                elif action.file:
                    after = self._importer.create(action, action.file)
                elif action.kind == CREATE:
                    # Nothing is fetched, but a big model's header is read from a cold disk.
                    after = create(self._live, action, timeout=10 * self._live.client.timeout)
                else:
                    after = self._fetcher.fetch(action)
            except errors.OllamaError as exc:
                outcome.failures.append(exc)
                if isinstance(exc, (errors.ServerUnreachable, errors.AccessRefused)):
                    break
                if action.kind in (CREATE, COPY):
                    outcome.done += self._half_done(action, began)
                continue
            if after and self._record and action.kind in (CREATE, COPY):
                self._record.note_made(action.name.key, made(action, after))
            size = after.size if after else action.bytes
            seconds = round(self._clock.now() - began, 3)
            outcome.done.append(Done(action, after.digest if after else None, size, seconds))
        outcome.held = self._live.held
        return outcome

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


def predicted(action: Action) -> Done:
    """Return an action as a run would show it."""
    return Done(action, action.digest_after, action.bytes, 0.0)
