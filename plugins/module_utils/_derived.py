# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of a plan that is about models made from others, after the fetches and before the deletions. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Optional

from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import ABSENT, Desired
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName
from ansible_collections.alchemorsel.ollama.plugins.module_utils._origin import Origin, Recipe
from ansible_collections.alchemorsel.ollama.plugins.module_utils._plan import (
    COPY,
    CREATE,
    UNKNOWN,
    Action,
    Draft,
    Held,
    Offer,
    Plan,
    Rules,
    decide,
)

if TYPE_CHECKING:
    from ansible_collections.alchemorsel.ollama.plugins.module_utils._created import Difference

NO_RULES = Rules()

#: Answers of ``/api/show`` by key; ``None`` for a model that the server lists but cannot show, since files are missing.
Shown = Mapping[str, Optional[Mapping[str, Any]]]
NOTHING_SHOWN: Shown = MappingProxyType({})


def to_show(desired: Sequence[Desired], held: Mapping[str, Held]) -> list[ModelName]:
    """Return the models that have to be shown before a plan can be made: created ones and their bases."""
    names: dict[str, ModelName] = {}
    for item in desired:
        if item.origin and item.origin.recipe and item.name.key in held and item.origin.name.key in held:
            for key in (item.name.key, item.origin.name.key):
                names[key] = held[key].name
    return list(names.values())


def plan_all(
    desired: Sequence[Desired],
    held: Mapping[str, Held],
    offers: Mapping[str, Offer],
    rules: Rules = NO_RULES,
    shown: Shown = NOTHING_SHOWN,
) -> Plan:
    """Return the plan for everything that is declared: what is pulled, and what is made from it.

    :param shown: answers for the names of :func:`to_show`
    :raises InvalidInput: with every reason not to begin
    """
    draft = decide(desired, held, offers, rules)
    derive(draft, desired, held, shown)
    return draft.plan()


def derive(draft: Draft, desired: Sequence[Desired], held: Mapping[str, Held], shown: Shown) -> None:
    """Add the actions for models made from others, in the order in which one needs the other."""
    entries = {item.name.key: item for item in desired}
    after = dict(held)
    for fetch in draft.fetches:
        after[fetch.name.key] = Held(fetch.name, fetch.digest_after or UNKNOWN, fetch.bytes)
    for item, origin in _in_order(desired, draft.complaints):
        source = entries.get(origin.name.key)
        complaint = _no_source(item, origin, source, after, shown)
        if complaint:
            draft.complaints.append(complaint)
        elif origin.name.key in after:
            there, target = held.get(item.name.key), after[origin.name.key]
            if origin.recipe is None:
                action = _alias(item, there, target)
            else:
                same_base = held.get(origin.name.key) == target
                action = _create(item, origin.recipe, there, target, shown if same_base else None)
            if action:
                draft.derived.append(action)
                after[item.name.key] = Held(action.name, action.digest_after or UNKNOWN, action.bytes)


def _no_source(item: Desired, origin: Origin, source: Desired | None, after: Mapping[str, Held], shown: Shown) -> str:
    """Return a complaint if the model that is needed is not there and will not be."""
    needed = f"{item.name} is declared as {origin.words} {origin.name}"
    if source is not None and source.state == ABSENT:
        return f"{needed}, which is declared absent; declare that one present, or this one absent, too"
    if source is None and origin.name.key not in after:
        return f"{needed}, which the server does not have and which is not declared; add it to models, so that it is fetched first"
    if shown.get(origin.name.key, {}) is None:
        return f"{needed}, which the server lists but cannot show, since files of it are missing; remove that one and have it pulled again"
    return ""


def _create(item: Desired, recipe: Recipe, there: Held | None, base: Held, shown: Shown | None) -> Action | None:
    """Return the creation that a model needs to be its base with the declared fields over it.

    :param shown: ``None`` if the base changes in this very plan
    """
    reason, details = _verdict(item, recipe, there, base, shown)
    if not reason:
        return None
    return Action(
        CREATE,
        there.name if there else item.name,
        reason,
        digest_before=there.digest if there else None,
        digest_after=UNKNOWN,
        bytes=there.size if there else 0,
        source=base.name,
        recipe=recipe,
        details=details,
    )


def _verdict(
    item: Desired, recipe: Recipe, there: Held | None, base: Held, shown: Shown | None
) -> tuple[str, tuple[Difference, ...]]:
    """Return why a model has to be created, and what that changes; no reason if it is as declared."""
    from ansible_collections.alchemorsel.ollama.plugins.module_utils._created import compare, declared

    if there is None:
        return "not there", declared(base.name.short, recipe)
    if shown is None:
        return f"its base {base.name} changes", ()
    found, wanted = shown.get(item.name.key), shown.get(base.name.key)
    if found is None or wanted is None:
        return "files of it are missing", ()
    result = compare(found, wanted, recipe)
    if result.differences:
        fields = ", ".join(difference.field for difference in result.differences)
        return f"not as declared: {fields}", result.differences
    if result.unproven:
        fields = " and ".join(result.unproven)
        return f"the server does not show its {fields}, so it is created anew and the digests are compared", ()
    return "", ()


def _alias(item: Desired, there: Held | None, target: Held) -> Action | None:
    """Return the copy that an alias needs to have its target's digest."""
    if there is not None and there.digest == target.digest:
        return None
    reason = "not there"
    if there is not None:
        reason = (
            f"its target {target.name} changes" if target.digest == UNKNOWN else f"{target.name} has another digest"
        )
    return Action(
        COPY,
        there.name if there else item.name,
        reason,
        digest_before=there.digest if there else None,
        digest_after=target.digest,
        bytes=target.size,
        source=target.name,
    )


def _in_order(desired: Sequence[Desired], complaints: list[str]) -> Iterator[tuple[Desired, Origin]]:
    """Yield the models made from others, each after the one it is made from; complain of circles."""
    waiting: dict[str, tuple[Desired, Origin]] = {
        item.name.key: (item, item.origin) for item in desired if item.origin is not None
    }
    while waiting:
        ready = [key for key, (_item, origin) in waiting.items() if origin.name.key not in waiting]
        if not ready:
            complaints.append(_circle(waiting))
            return
        for key in ready:
            yield waiting.pop(key)


def _circle(waiting: Mapping[str, tuple[Desired, Origin]]) -> str:
    """Describe one circle; each of the models is made from another one of them."""
    key = next(iter(waiting))
    path: list[str] = []
    while key not in path:
        path.append(key)
        key = waiting[key][1].name.key
    names: list[ModelName] = [waiting[step][0].name for step in path[path.index(key) :]]
    chain = " -> ".join(str(name) for name in [*names, names[0]])
    return f"models are made from each other in a circle: {chain}; let one of them be pulled"
