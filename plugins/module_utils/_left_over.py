# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What interrupted runs left for models that nobody declares any more, and what becomes of it. Pure.

For a declared model the plan itself removes it; but where it is the digest to which a model is pinned, the model gets that
back, since the source may not serve it any more. The names of such left-overs do not tell whose they are; they are made
again from the names that the server has.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence

from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import (
    CLEANUP,
    GUARD,
    HOLD,
    NEW,
    RESTORE,
    UNKNOWN,
    Action,
    Rules,
    guard_name,
    hold_name,
    new_name,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import Desired
from ansible_collections.alchemorsel.ollama.plugins.module_utils._held import Held
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName, matches
from ansible_collections.alchemorsel.ollama.plugins.module_utils._states import ABSENT

_LABEL = re.compile(r"[0-9a-f]{32}")


def left_over(
    desired: Sequence[Desired], held: Mapping[str, Held], rules: Rules, broken: Container[str] = ()
) -> tuple[list[Action], list[str]]:
    """Return the actions that end interrupted runs, and what the operator has to decide.

    A guard whose model is there with another digest is an exchange that was not finished: the model gets its digest back.
    A guard whose model is not there is perhaps the last of it, so that only ``prune_local`` removes it.

    :param broken: keys of models of which files are broken, which take no other one's place
    """
    internal = {key: model for key, model in held.items() if model.name.internal}
    if not internal:
        return [], []
    declared = {make(item.name).key for item in desired for make in (guard_name, new_name, hold_name)}
    owners = {guard_name(model.name).key: model for model in held.values() if not model.name.internal}
    pins = {guard_name(item.name).key: item for item in desired if item.state != ABSENT and item.digest}
    removed: list[Action] = []
    kept: list[Action] = []
    texts: list[str] = []
    for key, model in internal.items():
        owner, pin = owners.get(key), pins.get(key)
        if pin and pin.digest == model.digest and key not in broken and (owner is None or owner.digest != pin.digest):
            name, before = (owner.name, owner.digest) if owner else (pin.name, None)
            kept.append(_restore(name, before, model, "an interrupted run has kept the digest to which it is pinned"))
        if key in declared or not _LABEL.fullmatch(model.name.model):
            continue
        if model.name.tag in (NEW, HOLD):
            removed.append(_cleanup(model, "left over from an interrupted run"))
        elif model.name.tag == GUARD and owner is not None and owner.digest != model.digest and key in broken:
            if rules.exclusive and rules.prune_local and not matches(owner.name, rules.protect):
                kept.append(_cleanup(model, f"left over from an interrupted run for {owner.name}, and broken"))
                continue
            texts.append(
                f"an interrupted run has kept an earlier {owner.name} as {model.name}, but files of that are broken, so "
                f"{owner.name} stays as it is, until they are there again; delete {model.name} (ollama rm) to have it stay for good"
            )
        elif model.name.tag == GUARD and owner is not None:
            if owner.digest != model.digest:
                kept.append(
                    _restore(owner.name, owner.digest, model, "an interrupted run left another digest in its place")
                )
            kept.append(_cleanup(model, f"left over from an interrupted run for {owner.name}"))
        elif model.name.tag == GUARD and rules.exclusive and rules.prune_local:
            kept.append(_cleanup(model, "left over from an interrupted run, and its model is not there any more"))
        elif model.name.tag == GUARD:
            texts.append(
                f"an interrupted run has kept a model as {model.name} whose own name the server does not list any more; "
                "copy it to that name (ollama cp), or delete it (ollama rm)"
            )
    return removed + kept, texts


def settled(held: Mapping[str, Held], actions: Sequence[Action]) -> dict[str, Held]:
    """Return the server's models with the digests that they have again after such actions."""
    again = {
        action.name.key: Held(action.name, action.digest_after or UNKNOWN, action.bytes)
        for action in actions
        if action.kind == RESTORE
    }
    return {**held, **again}


def _restore(name: ModelName, before: str | None, guard: Held, reason: str) -> Action:
    after, size = guard.digest, guard.size
    return Action(RESTORE, name, reason, digest_before=before, digest_after=after, bytes=size, source=guard.name)


def _cleanup(model: Held, reason: str) -> Action:
    return Action(CLEANUP, model.name, reason, digest_before=model.digest, bytes=model.size)
