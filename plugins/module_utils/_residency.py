# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings models into memory for good, and out of it, and sees that they are there, or gone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from functools import partial
from typing import Any, Callable

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import (
    CLEANUP,
    COPY,
    CREATE,
    DELETE,
    LOAD,
    REPAIR,
    RESTORE,
    UNLOAD,
    UPDATE,
    Action,
    Plan,
    hold_name,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declared_memory import Residence
from ansible_collections.alchemorsel.ollama.plugins.module_utils._held import Held
from ansible_collections.alchemorsel.ollama.plugins.module_utils._live import Live
from ansible_collections.alchemorsel.ollama.plugins.module_utils._load_errors import cannot_generate, load_error
from ansible_collections.alchemorsel.ollama.plugins.module_utils._memory import (
    KEEPING,
    Memory,
    is_pinned,
    lingering,
    outdated,
    shown,
    staying,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._progress import ENDED, human_bytes
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull import Clock, Report
from ansible_collections.alchemorsel.ollama.plugins.module_utils._remove import in_memory, leave, remove

#: Seconds between two looks at the server's memory.
POLL = 0.2


class Residency:
    """The memory of one server while a plan is carried out.

    A model that is replaced stays in memory until the new one is there. Its process is then out of reach, since a server
    finds it by the weights of the model that the name stands for now; so the old model gets a second name before, the hold.

    :param memory: what is declared of it
    :param report: called with model and status line of a load
    """

    def __init__(self, live: Live, memory: Memory, *, clock: Clock, report: Report | None = None) -> None:
        self._live = live
        self._memory = memory
        self._clock = clock
        self._report = report
        self._residences = {residence.name.key: residence for residence in memory.residences}
        self._holds: list[Held] = []
        #: models that are in memory as declared, by key
        self._resident: set[str] = set()
        self._plan = Plan()

    def begin(self, plan: Plan) -> None:
        """Take note of what is in memory already, and hold what is there of models that are about to be replaced."""
        steps = [action for action in plan.actions if action.kind in (LOAD, UNLOAD)]
        if not steps:
            return
        self._plan = plan
        loads = {action.name.key for action in steps if action.kind == LOAD}
        self._resident = {key for key, one in self._residences.items() if one.loaded and key not in loads}
        names = {name.key for step in steps for name in self._residences[step.name.key].names}
        replaced = [
            action
            for action in plan.actions
            if action.kind in (UPDATE, REPAIR, RESTORE, COPY, CREATE)
            and action.digest_before
            and action.name.key in names
        ]
        if not replaced:
            return
        loaded = {entry["digest"] for entry in self._live.client.ps()}
        current = {model.digest for model in self._live.held.values() if not model.name.internal}
        for action in replaced:
            if action.digest_before in loaded:
                hold, model = hold_name(action.name), self._live.held[action.name.key]
                stale = self._live.held.get(hold.key)
                if stale:
                    # The hold of a run that was interrupted; nothing else reaches what that one held.
                    if stale.digest in loaded - current:
                        leave(self._live, stale.name)
                    # Its layers go with its name, and would stay behind a copy.
                    remove(self._live, stale.name)
                self._live.client.copy(model.name.short, hold.short)
                self._holds.append(Held(hold, model.digest, model.size))
                self._live.note(self._holds[-1])

    def end(self) -> list[errors.OllamaError]:
        """Remove the holds, and return what failed; a model whose replacement failed stays in memory under its own name."""
        try:
            for hold in self._holds:
                remove(self._live, hold.name)
                self._live.forget(hold.name)
        except errors.OllamaError as exc:
            return [exc]
        return []

    def carry_out(self, action: Action) -> tuple[Held, bool]:
        """Load or unload a model; return it, and whether anything had to be done for that.

        :raises Evicted: if another model that is declared loaded had to leave for it, which is loaded then
        """
        return self._load(action) if action.kind == LOAD else self._unload(action)

    # --- into memory ----------------------------------------------------------------------------------------------

    def _load(self, action: Action) -> tuple[Held, bool]:
        residence, model = self._declared(action)
        pinned = [entry for entry in self._shown(residence) if is_pinned(entry, _now())]
        if not pinned:
            if self._report:
                self._report(model.name.short, {"status": "loading"})
            try:
                self._bring_in(residence, model)
            finally:
                if self._report:
                    self._report(model.name.short, {"status": ENDED})
        self._resident.add(residence.name.key)
        self._check_evicted(model)
        return model, not pinned

    def _bring_in(self, residence: Residence, model: Held) -> None:
        self._drop_old(residence)
        self._request(model)
        if not self._shown(residence):
            # Its weights were in memory under a name that nobody declared, or for an older version of it.
            before = {_identity(entry) for entry in self._live.client.ps()}
            leave(self._live, model.name)
            self._wait(lambda: bool(before - {_identity(entry) for entry in self._live.client.ps()}))
            self._request(model)
        if not self._wait(lambda: any(is_pinned(entry, _now()) for entry in self._shown(residence))):
            raise errors.LoadFailed(
                f"{model.name} was loaded, but the server does not show it as loaded for good; somebody else loads or unloads "
                "models at the same time, or a gateway alters requests. Run again",
                url=self._live.client.url,
            )

    def _request(self, model: Held) -> None:
        """Have a model loaded, or, where it is loaded, kept for good."""
        client, name, limit = self._live.client, model.name.short, self._memory.load_limit(model.size)
        try:
            try:
                client.generate(name, timeout=limit, keep_alive=-1)
            except errors.BadAnswer as exc:
                if not cannot_generate(exc):
                    raise
                client.embed(name, timeout=limit, keep_alive=-1)
        except errors.OllamaError as exc:
            raise load_error(exc, name, limit) from exc

    def _check_evicted(self, model: Held) -> None:
        loaded = self._loaded()
        gone = [key for key in sorted(self._resident) if not shown(self._residences[key], self._live.held, loaded)]
        if not gone:
            return
        self._resident -= set(gone)
        others = [self._live.held[key] for key in gone if key in self._live.held]
        listed = ", ".join(f"{other.name} ({human_bytes(other.size)})" for other in others) or ", ".join(gone)
        raise errors.Evicted(
            f"{model.name} ({human_bytes(model.size)}) is loaded, but for it the server unloaded {listed}, declared loaded as "
            "well: they do not fit into its memory together, OLLAMA_MAX_LOADED_MODELS allows no more, or they have the same "
            "weights. Declare fewer models loaded, or smaller ones, or give the server more memory",
            url=self._live.client.url,
        )

    # --- out of memory --------------------------------------------------------------------------------------------

    def _unload(self, action: Action) -> tuple[Held, bool]:
        residence, model = self._declared(action)
        if not self._lingers(residence):
            return model, False
        self._drop_old(residence)
        if self._lingers(residence):
            leave(self._live, model.name)
            if not self._wait(lambda: not self._lingers(residence)):
                raise errors.ServerBusy(
                    f"{model.name} is still in memory {self._live.client.timeout:g} s after it was unloaded: it answers "
                    "requests, or it is an older version that the server cannot be told any more to unload; run again when it "
                    "is idle, or restart the server",
                    url=self._live.client.url,
                )
        return model, True

    def _drop_old(self, residence: Residence) -> None:
        """Unload the processes of older versions that are kept, by this run or by one that was interrupted."""
        remaining = self._remaining()
        current = {model.digest for model in remaining.values() if not model.name.internal}
        old = {entry["digest"] for entry in outdated(residence, remaining, self._live.client.ps())}
        own = [make(name) for name in residence.names for make in KEEPING]
        # What is cleaned up in the end reaches a process as well.
        for name in [*own, *(action.name for action in self._plan.actions if action.kind == CLEANUP)]:
            kept = self._live.held.get(name.key)
            # What a model still has is no older version, whichever name it is shown under.
            if kept is None or kept.digest in current or (name not in own and kept.digest not in old):
                continue
            if in_memory(self._live, kept.digest):
                leave(self._live, kept.name)
                # One that answers requests goes when it has done so; the new one need not wait for that.
                self._wait(partial(self._gone, kept.digest))

    # --- looks ----------------------------------------------------------------------------------------------------

    def _declared(self, action: Action) -> tuple[Residence, Held]:
        model = self._live.held.get(action.name.key)
        if model is None:
            raise errors.ModelNotFound(
                f"{action.name} should be loaded or unloaded, but the server no longer has it; somebody else removed it. Run again",
                url=self._live.client.url,
            )
        return self._residences[action.name.key], model

    def _loaded(self) -> list[Mapping[str, Any]]:
        return staying(self._live.client.ps(), self._plan)

    def _shown(self, residence: Residence) -> list[Mapping[str, Any]]:
        return shown(residence, self._live.held, self._loaded())

    def _lingers(self, residence: Residence) -> bool:
        return bool(lingering(residence, self._remaining(), self._loaded()))

    def _remaining(self) -> dict[str, Held]:
        """Return the models that the plan does not remove after all loads, as it has counted them itself."""
        removed = {action.name.key for action in self._plan.actions if action.kind in (DELETE, CLEANUP)}
        return {key: model for key, model in self._live.held.items() if key not in removed}

    def _gone(self, digest: str) -> bool:
        return not in_memory(self._live, digest)

    def _wait(self, done: Callable[[], bool]) -> bool:
        """Look until something is so, for at most the time of a request; tell whether it is."""
        deadline = self._clock.now() + self._live.client.timeout
        while not done():
            if self._clock.now() >= deadline:
                return False
            self._clock.sleep(POLL)
        return True


def _identity(entry: Mapping[str, Any]) -> tuple[str, str]:
    return str(entry.get("name")), str(entry.get("digest"))


def _now() -> datetime:
    return datetime.now(timezone.utc)
