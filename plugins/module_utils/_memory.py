# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is declared of the memory as a whole, what is in it, and the actions between: pure functions over plain values.

The server shows a process only under the name with which it was started, whatever other names its model has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import (
    CLEANUP,
    DELETE,
    LOAD,
    UNKNOWN,
    UNLOAD,
    Action,
    Plan,
    guard_name,
    hold_name,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._created import Difference
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declared_memory import Residence
from ansible_collections.alchemorsel.ollama.plugins.module_utils._held import Held
from ansible_collections.alchemorsel.ollama.plugins.module_utils._inference import PINNED_SECONDS, seconds_left
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName, name_of
from ansible_collections.alchemorsel.ollama.plugins.module_utils._plan import predict

#: A load may take this many seconds at least, and more where weights come in slower than this many bytes a second.
LEAST_LOAD_SECONDS = 300.0
LOAD_RATE = 50e6

#: Makers of the names under which a replaced model is kept, and through which its process can be reached.
KEEPING = (hold_name, guard_name)

AN_OLDER_ONE = "an older version"


@dataclass(frozen=True)
class Memory:
    """What is declared of the server's memory.

    :param load_timeout: seconds that a load may take, ``None`` for what its size makes likely
    """

    residences: tuple[Residence, ...] = ()
    load_timeout: float | None = None

    def load_limit(self, size: int) -> float:
        """Return the seconds that a load may take.

        :param size: bytes of the model
        """
        return self.load_timeout or max(LEAST_LOAD_SECONDS, size / LOAD_RATE)

    def longest(self, plan: Plan) -> float:
        """Return the seconds after which all loads of a plan have surely ended; each may be begun twice."""
        return sum(2 * self.load_limit(action.bytes) for action in plan.actions if action.kind == LOAD)


NO_MEMORY = Memory()


# --- what is ----------------------------------------------------------------------------------------------------------


def digests(names: Iterable[ModelName], held: Mapping[str, Held]) -> frozenset[str]:
    """Return the digests that some names have, under which the server may show a process."""
    found = {held[name.key].digest for name in names if name.key in held}
    return frozenset(found - {UNKNOWN, ""})


def shown(
    residence: Residence, held: Mapping[str, Held], loaded: Iterable[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return the entries of ``/api/ps`` that are this model."""
    wanted = digests(residence.names, held)
    return [entry for entry in loaded if entry.get("digest") in wanted]


def outdated(
    residence: Residence, held: Mapping[str, Held], loaded: Iterable[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return the entries of ``/api/ps`` that have a name of this model, but a digest that no model has any more."""
    keys = {name.key for name in residence.names}
    known = {model.digest for model in held.values() if not model.name.internal}
    return [entry for entry in loaded if entry.get("digest") not in known and _key(entry) in keys]


def lingering(
    residence: Residence, held: Mapping[str, Held], loaded: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return the entries of ``/api/ps`` that have to leave for this model not to be in memory.

    One that has another model's name is not among them, though that may be the same model pulled under two names.
    """
    keys = {name.key for name in residence.names}
    others = {key for key, model in held.items() if not model.name.internal} - keys
    current = [entry for entry in shown(residence, held, loaded) if _key(entry) not in others]
    return current + outdated(residence, held, loaded)


def staying(loaded: Iterable[Mapping[str, Any]], plan: Plan) -> list[Mapping[str, Any]]:
    """Return the entries of ``/api/ps`` without those that leave because their model is removed.

    An older version under the name of such a model is out of reach and stays, and so does the process of what an
    interrupted run has left: that is the one of the model with the same digest, if there is any.
    """
    removed = {(action.name.key, action.digest_before) for action in plan.actions if action.kind == DELETE}
    return [entry for entry in loaded if (_key(entry), entry.get("digest")) not in removed]


def is_pinned(entry: Mapping[str, Any], now: datetime) -> bool:
    """Tell whether a loaded model stays for good; one of which the server does not tell the end is left as it is."""
    left = seconds_left(dict(entry), now)
    return left is None or left > PINNED_SECONDS


def _key(entry: Mapping[str, Any]) -> str | None:
    name = name_of(entry)
    return name.key if name else None


# --- the actions between ----------------------------------------------------------------------------------------------


def with_memory(
    plan: Plan,
    declared: Sequence[Residence],
    held: Mapping[str, Held],
    loaded: Sequence[Mapping[str, Any]],
    now: datetime,
) -> Plan:
    """Return a plan that also takes care of the memory: unloads, then loads, after all fetches and before deletions.

    :param plan: what is done to the models themselves
    :param held: the server's models before that
    :param loaded: entries of ``/api/ps``
    """
    after = predict(held, plan)
    actions: list[Action] = []
    warnings: list[str] = []
    remaining = staying(loaded, plan)
    coming: dict[str, ModelName] = {}
    known = {model.digest for model in after.values()}
    for residence in sorted(declared, key=lambda one: one.loaded):
        model = after.get(residence.name.key)
        if model is None:
            continue
        there, old = shown(residence, after, remaining), outdated(residence, after, remaining)
        if residence.loaded:
            action = _load(model, there, old, now)
            if action and model.digest in coming:
                # The same model pulled under two names: the process of the first is shown for both.
                reason = f"it is the same model as {coming[model.digest]}, which is loaded before"
                action = replace(action, reason=reason, details=())
            elif action and model.digest != UNKNOWN:
                coming[model.digest] = model.name
            # What is held is told to leave at the end.
            left = {entry.get("digest") for entry in old} - digests(map(hold_name, residence.names), held)
            if action is None and left:
                warnings.append(
                    f"an older version of {model.name} is still in memory, and the server cannot be told any more to unload it; "
                    "it leaves when its time is up, when the memory is needed, or when the server is restarted"
                )
        else:
            leaving = lingering(residence, after, remaining)
            if model.digest == UNKNOWN:
                # It may turn out to be one that is there already.
                leaving += [entry for entry in remaining if entry.get("digest") not in known and entry not in leaving]
            action = _unload(model, leaving, there, _within_reach(residence, held, plan), now)
            if model.digest != UNKNOWN:
                remaining = [entry for entry in remaining if entry not in leaving]
        if action:
            actions.append(action)
    # What an interrupted run left for others is cleaned up before the fetches.
    earlier = [place for place, action in enumerate(plan.actions, 1) if action.kind not in (DELETE, CLEANUP)]
    first = max(earlier, default=0)
    actions = [*plan.actions[:first], *actions, *plan.actions[first:]]
    return replace(plan, actions=tuple(actions), warnings=(*plan.warnings, *warnings))


def _within_reach(residence: Residence, held: Mapping[str, Held], plan: Plan) -> frozenset[str]:
    """Return the digests that the names of a model have now, and what an interrupted run has kept of them."""
    # A guard goes with the fetch of its model, before the memory's turn.
    fetched = {action.name.key for action in plan.fetches}
    guards = [guard_name(name) for name in residence.names if name.key not in fetched]
    return digests([*residence.names, *map(hold_name, residence.names), *guards], held)


def _load(
    model: Held, there: Sequence[Mapping[str, Any]], old: Sequence[Mapping[str, Any]], now: datetime
) -> Action | None:
    """Return what a model needs to be in memory for good."""
    if any(is_pinned(entry, now) for entry in there):
        return None
    if there:
        before, reason = "loaded", "loaded, but not for good"
    elif old:
        before, reason = AN_OLDER_ONE, "an older version is loaded"
    else:
        return _step(LOAD, model, "not loaded", Difference("memory", None, "pinned"))
    return _step(LOAD, model, reason, Difference("memory", before, "pinned"))


def _unload(
    model: Held,
    leaving: Sequence[Mapping[str, Any]],
    there: Sequence[Mapping[str, Any]],
    known: Collection[str],
    now: datetime,
) -> Action | None:
    """Return what a model needs not to be in memory.

    :param known: digests whose process can be unloaded; one of another digest is out of reach, unless by its weights
    """
    if not leaving:
        return None
    current = [entry for entry in leaving if entry in there]
    before = AN_OLDER_ONE
    if current:
        before = "pinned" if any(is_pinned(entry, now) for entry in current) else "loaded"
    reason = "declared not loaded"
    if any(entry not in there and entry.get("digest") not in known for entry in leaving):
        what = "is an older version" if model.digest != UNKNOWN else "may turn out to be it, or is an older version"
        reason += f"; what is in memory {what}, which the server unloads only if it has the same weights"
    return _step(UNLOAD, model, reason, Difference("memory", before, None))


def _step(kind: str, model: Held, reason: str, detail: Difference) -> Action:
    return Action(
        kind,
        model.name,
        reason,
        digest_before=model.digest,
        digest_after=model.digest,
        bytes=model.size,
        details=(detail,),
    )
