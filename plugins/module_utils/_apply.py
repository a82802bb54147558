# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carries a plan out: fetch and verify first, delete last, and nothing is lost on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._client import OllamaClient
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName, parse_listed
from ansible_collections.alchemorsel.ollama.plugins.module_utils._plan import (
    CLEANUP,
    COPY,
    CREATE,
    DELETE,
    UPDATE,
    Action,
    Held,
    Plan,
    guard_name,
    held_models,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._progress import ENDED
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull import (
    DEFAULT_LIMITS,
    Clock,
    Limits,
    Report,
    pull,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._switch import alias, create

#: Seconds between two looks at whether a model has left the memory.
UNLOAD_POLL = 0.5


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
    ) -> None:
        self._client = client
        self._insecure = insecure
        self._limits = limits
        self._report = report
        self._clock = clock or Clock()
        self._held = dict(held)

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
                    self._delete(action)
                elif action.kind == COPY:
                    after = alias(self._client, action, self._held, self._list)
                elif action.kind == CREATE:
                    # Nothing is fetched, but a big model's header is read from a cold disk.
                    limit = 10 * self._client.timeout
                    after = create(self._client, action, self._held, self._list, timeout=limit)
                else:
                    after = self._fetch(action)
            except errors.OllamaError as exc:
                outcome.failures.append(exc)
                if isinstance(exc, (errors.ServerUnreachable, errors.AccessRefused)):
                    break
                if action.source:
                    outcome.done += self._half_done(action, began)
                continue
            size = after.size if after else action.bytes
            seconds = round(self._clock.now() - began, 3)
            outcome.done.append(Done(action, after.digest if after else None, size, seconds))
        outcome.held = self._held
        return outcome

    def _half_done(self, action: Action, began: float) -> list[Done]:
        """Return what a creation or a copy that failed has changed all the same: its last steps only tidy up."""
        try:
            model = self._list().get(action.name.key)
        except errors.OllamaError:
            # The failure itself is told; what there is now cannot be.
            return []
        if model is None or model.digest == action.digest_before:
            return []
        return [Done(action, model.digest, model.size, round(self._clock.now() - began, 3))]

    # --- fetching -------------------------------------------------------------------------------------------------

    def _fetch(self, action: Action) -> Held:
        """Pull a model and return it as the server lists it; a pinned one is verified, and undone if it is another."""
        guard = None
        if action.wanted and action.kind == UPDATE:
            guard = self._guard(action)
        try:
            self._pull(action.name)
        except errors.PullFailed:
            if guard:
                self._drop_guard(action, guard)
            raise
        model = self._list().get(action.name.key)
        if action.wanted and (model is None or model.digest not in action.wanted):
            self._undo(action, guard)
            found = model.digest if model else "nothing that the server lists"
            raise errors.DigestNotServed(
                f"{action.name} is pinned to {action.digest_after}, but the pull brought {found}; what was there before is "
                "there again. Pin that digest, or name a tag or mirror that still serves the pinned one",
                url=self._client.url,
            )
        if model is None:
            raise errors.BadAnswer(
                f"the pull of {action.name} ended with success, but the server does not list the model: its manifest or "
                "config is broken at the source or on the server's disk",
                url=self._client.url,
            )
        if guard:
            self._client.delete(guard.short)
            self._forget(guard)
        return model

    def _pull(self, name: ModelName) -> None:
        try:
            pull(
                self._client,
                name.short,
                insecure=self._insecure(name),
                limits=self._limits,
                report=self._report,
                clock=self._clock,
            )
        finally:
            if self._report:
                self._report(name.short, {"status": ENDED})

    def _guard(self, action: Action) -> ModelName:
        """Give the model that is there a second name, unless an interrupted run did so already."""
        guard = guard_name(action.name)
        if guard.key not in self._held:
            self._client.copy(action.name.short, guard.short)
        return guard

    def _drop_guard(self, action: Action, guard: ModelName) -> None:
        """End a pull that failed with the model of the guard under its own name.

        The tag moves only at the end of a pull, so the old model is there still and its second name is not needed; but
        where an interrupted run left the guard, the tag holds what that run pulled, and the guard the only good one.
        """
        held = self._list()
        kept, there = held.get(guard.key), held.get(action.name.key)
        if kept is None:
            return
        if there is not None and there.digest == kept.digest:
            self._client.delete(guard.short)
            self._forget(guard)
        else:
            self._undo(action, guard)

    def _undo(self, action: Action, guard: ModelName | None) -> None:
        """Bring back what was there before a pull."""
        if guard:
            self._client.copy(guard.short, action.name.short)
            self._client.delete(guard.short)
        else:
            self._remove(action.name)
        self._list()

    # --- deleting -------------------------------------------------------------------------------------------------

    def _delete(self, action: Action) -> None:
        self._unload(action.name)
        self._remove(action.name)
        self._forget(action.name)

    def _remove(self, name: ModelName) -> None:
        try:
            self._client.delete(name.short)
        except errors.ModelNotFound:
            # Somebody else was faster; it is as it should be.
            return

    def _unload(self, name: ModelName) -> None:
        """Take a model out of memory: after its removal it could not be unloaded by name any more."""
        if not self._loaded(name):
            return
        try:
            self._client.unload(name.short)
        except (errors.ModelNotFound, errors.BadAnswer):
            # A model whose blobs are missing cannot be unloaded and holds no memory under this name.
            return
        deadline = self._clock.now() + self._client.timeout
        while self._loaded(name):
            if self._clock.now() >= deadline:
                raise errors.ServerBusy(
                    f"{name} is still answering requests {self._client.timeout:g} s after it was unloaded, so it was not "
                    "deleted; run again when it is idle, or restart the server if it hangs",
                    url=self._client.url,
                )
            self._clock.sleep(UNLOAD_POLL)

    def _loaded(self, name: ModelName) -> bool:
        return any(parse_listed(str(item.get("name", ""))).key == name.key for item in self._client.ps())

    # --- what is known of the server ------------------------------------------------------------------------------

    def _list(self) -> dict[str, Held]:
        self._held = held_models(self._client.tags())
        return self._held

    def _forget(self, name: ModelName) -> None:
        """Deletions are not listed again one by one."""
        self._held.pop(name.key, None)


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
