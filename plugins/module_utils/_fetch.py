# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetches one model, and loses nothing on the way."""

from __future__ import annotations

from typing import Callable

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._live import Live
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName
from ansible_collections.alchemorsel.ollama.plugins.module_utils._plan import Action, Held, guard_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._progress import ENDED
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull import (
    DEFAULT_LIMITS,
    Clock,
    Limits,
    Report,
    pull,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._remove import remove


class Fetcher:
    """Fetches models to one server.

    :param insecure: tells whether a model's registry speaks plain http
    :param report: called with model and status line of a pull
    """

    def __init__(
        self,
        live: Live,
        *,
        insecure: Callable[[ModelName], bool],
        limits: Limits = DEFAULT_LIMITS,
        report: Report | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._live = live
        self._insecure = insecure
        self._limits = limits
        self._report = report
        self._clock = clock or Clock()

    def fetch(self, action: Action) -> Held:
        """Pull a model and return it as the server lists it; a pinned one is verified, and undone if it is another."""
        guard = None
        if action.wanted and action.digest_before and not (action.cure and action.cure.anew):
            guard = self._guard(action)
        try:
            self._pull(action.name)
        except errors.PullFailed:
            if guard:
                self._drop_guard(action, guard)
            raise
        model = self._live.list().get(action.name.key)
        if action.wanted and (model is None or model.digest not in action.wanted):
            self._undo(action, guard)
            found = model.digest if model else "nothing that the server lists"
            raise errors.DigestNotServed(
                f"{action.name} is pinned to {action.digest_after}, but the pull brought {found}; what was there before is "
                "there again. Pin that digest, or name a tag or mirror that still serves the pinned one",
                url=self._live.client.url,
            )
        if model is None:
            raise errors.BadAnswer(
                f"the pull of {action.name} ended with success, but the server does not list the model: its manifest or "
                "config is broken at the source or on the server's disk; give store_path, so that the disk is looked at",
                url=self._live.client.url,
            )
        if guard:
            self._live.client.delete(guard.short)
            self._live.forget(guard)
        return model

    def _pull(self, name: ModelName) -> None:
        try:
            pull(
                self._live.client,
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
        if guard.key not in self._live.held:
            self._live.client.copy(action.name.short, guard.short)
        return guard

    def _drop_guard(self, action: Action, guard: ModelName) -> None:
        """End a pull that failed with the model of the guard under its own name.

        The tag moves only at the end of a pull, so the old model is there still and its second name is not needed; but
        where an interrupted run left the guard, the tag holds what that run pulled, and the guard the only good one.
        """
        held = self._live.list()
        kept, there = held.get(guard.key), held.get(action.name.key)
        if kept is None:
            return
        if there is not None and there.digest == kept.digest:
            self._live.client.delete(guard.short)
            self._live.forget(guard)
        else:
            self._undo(action, guard)

    def _undo(self, action: Action, guard: ModelName | None) -> None:
        """Bring back what was there before a pull."""
        if guard:
            self._live.client.copy(guard.short, action.name.short)
            self._live.client.delete(guard.short)
        else:
            remove(self._live, action.name)
        self._live.list()
