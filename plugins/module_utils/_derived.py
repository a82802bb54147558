# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of a plan that is about models made from others, after the fetches and before the deletions. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Optional

from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import (
    COPY,
    CREATE,
    HOLD,
    NO_RULES,
    UNKNOWN,
    Action,
    Draft,
    Offer,
    Plan,
    Rules,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._broken import (
    NO_STOCK,
    Stock,
    mend,
    remaking,
    to_repair,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._created import Difference, compare, declared
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import Desired
from ansible_collections.alchemorsel.ollama.plugins.module_utils._held import Held
from ansible_collections.alchemorsel.ollama.plugins.module_utils._imported import NOTHING_LOCAL, Local, plan_imports
from ansible_collections.alchemorsel.ollama.plugins.module_utils._left_over import left_over, settled
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName
from ansible_collections.alchemorsel.ollama.plugins.module_utils._origin import Origin, Recipe
from ansible_collections.alchemorsel.ollama.plugins.module_utils._plan import decide
from ansible_collections.alchemorsel.ollama.plugins.module_utils._preflight import judge
from ansible_collections.alchemorsel.ollama.plugins.module_utils._states import ABSENT
from ansible_collections.alchemorsel.ollama.plugins.module_utils._store import Cure

#: Answers of ``/api/show`` by key; ``None`` for a model that the server lists but cannot show, since files are missing.
Shown = Mapping[str, Optional[Mapping[str, Any]]]
NOTHING_SHOWN: Shown = MappingProxyType({})


def to_show(desired: Sequence[Desired], held: Mapping[str, Held], stock: Stock = NO_STOCK) -> list[ModelName]:
    """Return the models that have to be shown before a plan can be made: created ones and their bases, unless one is broken."""
    names: dict[str, ModelName] = {}
    for item in desired:
        if item.file and item.name.key in held:
            names[item.name.key] = held[item.name.key].name
        if item.origin and item.origin.recipe and item.name.key in held and item.origin.name.key in held:
            keys = (item.name.key, item.origin.name.key)
            if not any(key in stock.faults for key in keys):
                names.update({key: held[key].name for key in keys})
    return list(names.values())


def plan_all(
    desired: Sequence[Desired],
    held: Mapping[str, Held],
    offers: Mapping[str, Offer],
    rules: Rules = NO_RULES,
    shown: Shown = NOTHING_SHOWN,
    stock: Stock = NO_STOCK,
    local: Local = NOTHING_LOCAL,
) -> Plan:
    """Return the plan for everything that is declared: what is pulled, and what is made from it.

    :param shown: answers for the names of :func:`to_show`
    :param local: the files of models that are imported, and what was made here before
    :raises InvalidInput: with every reason not to begin
    """
    ends, texts = left_over(desired, held, rules, stock.faults)
    there = settled(held, ends)
    draft = decide(desired, there, offers, rules, to_repair(desired, stock), local.made)
    # A hold is the only way to an older version in memory, which may have to leave for what is declared.
    holds = [action for action in ends if action.name.internal and action.name.tag == HOLD]
    draft.left_over, draft.warnings = [action for action in ends if action not in holds], texts + draft.warnings
    draft.cleanups += holds
    mend(draft, desired, there, offers, stock, rules.mirror)
    for action in plan_imports(desired, there, local, broken(shown, stock), draft.complaints):
        cure, complaint = remaking(action.name.key, (), stock)
        draft.complaints += [complaint] if complaint else []
        draft.derived.append(replace(action, cure=cure))
    judge(draft, desired, there, offers, stock)
    derive(draft, desired, held, shown, offers, stock)
    return draft.plan()


def broken(shown: Shown, stock: Stock) -> frozenset[str]:
    """Return the keys of models of which files are missing or damaged, as server and disk tell."""
    return frozenset(key for key, answer in shown.items() if answer is None) | frozenset(stock.faults)


def derive(
    draft: Draft,
    desired: Sequence[Desired],
    held: Mapping[str, Held],
    shown: Shown,
    offers: Mapping[str, Offer],
    stock: Stock,
) -> None:
    """Add the actions for models made from others, in the order in which one needs the other."""
    entries = {item.name.key: item for item in desired}
    after = settled(held, draft.left_over)
    for fetch in draft.fetches + draft.derived:
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
                again = offers[origin.name.key].blobs if origin.name.key in offers else ()
                cure, complaint = remaking(item.name.key, again, stock)
                if complaint:
                    draft.complaints.append(complaint)
                action = _create(item, origin.recipe, there, target, shown if same_base else None, stock, cure)
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
        return (
            f"{needed}, which the server lists but cannot show, since files of it are missing or broken; give store_path, or "
            "verify: true, to have it repaired"
        )
    return ""


def _create(
    item: Desired, recipe: Recipe, there: Held | None, base: Held, shown: Shown | None, stock: Stock, cure: Cure | None
) -> Action | None:
    """Return the creation that a model needs to be its base with the declared fields over it.

    :param shown: ``None`` if the base changes in this very plan
    :param cure: what has to go before, if the model is broken
    """
    fault = stock.faults.get(item.name.key)
    if fault is not None:
        reason, details = fault.reason, fault.details
    else:
        reason, details = _verdict(item, recipe, there, base, shown)
    if not reason:
        return None
    if cure is None and shown is not None and shown.get(item.name.key, {}) is None:
        cure = Cure()
    # A model whose manifest is broken is listed nowhere, but keeps its spelling.
    spelled = there.name if there else fault.name if fault else item.name
    return Action(
        CREATE,
        spelled,
        reason,
        digest_before=there.digest if there else None,
        digest_after=UNKNOWN,
        bytes=there.size if there else 0,
        source=base.name,
        recipe=recipe,
        details=details,
        cure=cure,
    )


def _verdict(
    item: Desired, recipe: Recipe, there: Held | None, base: Held, shown: Shown | None
) -> tuple[str, tuple[Difference, ...]]:
    """Return why a model has to be created, and what that changes; no reason if it is as declared."""
    if there is None:
        return "not there", declared(base.name.short, recipe)
    if shown is None:
        return f"its base {base.name} changes", ()
    found, wanted = shown.get(item.name.key), shown.get(base.name.key)
    if base.name.key not in shown:
        return f"its base {base.name} is repaired, so it is created anew and the digests are compared", ()
    if found is None or wanted is None:
        return "files of it are missing or broken", ()
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
