# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is, what should be, and the actions between: pure functions over plain values, without any I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import (
    CLEANUP,
    DELETE,
    NO_OFFER,
    NO_RULES,
    PULL,
    UNKNOWN,
    UPDATE,
    Action,
    Draft,
    Offer,
    Plan,
    Rules,
    guard_name,
    hold_name,
    new_name,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import Desired
from ansible_collections.alchemorsel.ollama.plugins.module_utils._held import Held
from ansible_collections.alchemorsel.ollama.plugins.module_utils._mirror import at_mirror, fetched_as, in_between
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import (
    ModelName,
    matches,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._record import (
    NONE_MADE,
    MadeHere,
    replaceable,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._states import ABSENT, LATEST


def undeclared(desired: Sequence[Desired], held: Mapping[str, Held], rules: Rules) -> list[Held]:
    """Return the models that ``exclusive`` is about: not declared, needed by a declared one, protected or internal."""
    declared = {item.name.key for item in desired} | {item.origin.name.key for item in desired if item.origin}
    declared |= set(in_between(desired, rules.mirror))
    return [
        model
        for key, model in held.items()
        if rules.exclusive
        and key not in declared
        and not model.name.internal
        and not matches(model.name, rules.protect)
    ]


def questions(
    desired: Sequence[Desired],
    held: Mapping[str, Held],
    rules: Rules,
    *,
    predict: bool = False,
    made: MadeHere = NONE_MADE,
) -> list[ModelName]:
    """Return the names whose source has to be asked before a plan can be made.

    :param predict: ask also for models that are only missing, whose digest a run would learn from the pull itself
    """
    asked: list[ModelName] = []
    followed = _followed(desired)
    for item in desired:
        there = held.get(item.name.key)
        if item.state == ABSENT or not item.pulled:
            continue
        if item.digest is not None:
            needed = there is None or there.digest != item.digest
        elif item.state == LATEST:
            needed = there is not None or predict or item.name.key in followed
        else:
            needed = there is None and (predict or item.name.key in followed)
        if needed:
            # The server keeps the spelling that it has.
            asked.append(there.name if there else item.name)
    if not rules.prune_local:
        again = replaceable(_staying(desired, held), made)
        asked += [
            model.name
            for model in undeclared(desired, held, rules)
            if not model.name.reserved_tag and model.name.key not in again
        ]
    return asked


def _followed(desired: Sequence[Desired]) -> set[str]:
    """Return the keys of models whose digest decides what else there is to do: aliases may have it, or the memory."""
    if any(item.loaded is not None for item in desired):
        # A process may be any of them, whatever its name: only one whose digest no model has is an older version.
        return {item.name.key for item in desired}
    return {item.origin.name.key for item in desired if item.origin and item.origin.recipe is None}


def decide(
    desired: Sequence[Desired],
    held: Mapping[str, Held],
    offers: Mapping[str, Offer],
    rules: Rules = NO_RULES,
    broken: Collection[str] = (),
    made: MadeHere = NONE_MADE,
) -> Draft:
    """Return the actions that lead from what the server has to what is declared, without what is made from others.

    :param offers: answers to :func:`questions`, by key
    :param broken: keys of models whose fetch is decided elsewhere
    """
    draft = Draft()
    passing = in_between(desired, rules.mirror)
    for item in desired:
        there = held.get(item.name.key)
        offer = offers.get(item.name.key, NO_OFFER)
        if offer.waited:
            draft.warnings.append(
                f"the source of {item.name} limits the rate (429): it was waited for {offer.waited:.0f} s, as it asked"
            )
        if item.state == ABSENT:
            if there:
                draft.deletes.append(_delete(there, "declared absent"))
        elif item.pulled and item.name.key not in broken:
            action, complaint = _fetch(item, there, offer)
            if action:
                via, complaint = fetched_as(action.name, rules.mirror, passing)
                action = replace(action, via=via)
            if complaint:
                draft.complaints.append(complaint)
            elif action:
                draft.fetches.append(action)
                # Of a source that is not to be asked again now, the failure tells.
                if item.name.key in offers and offer.digest is None and not offer.busy:
                    draft.warnings.append(_unread(item, there, offer))
        place = at_mirror(item.name, rules.mirror).key
        unfinished = [place] if place in passing else []
        for key in [made(item.name).key for made in (new_name, guard_name, hold_name)] + unfinished:
            left_over = held.get(key)
            if left_over:
                reason = f"left over from an interrupted run for {item.name}"
                draft.cleanups.append(replace(_delete(left_over, reason), kind=CLEANUP))
    pruned, draft.kept = _prune(desired, held, offers, rules, made)
    draft.deletes += pruned
    if rules.exclusive and not rules.allow_empty and not any(item.state != ABSENT for item in desired):
        draft.complaints.append(
            "exclusive is true and no model is declared present, which would empty the server; declare one, or set allow_empty: true"
        )
    elif len(pruned) > rules.max_delete:
        names = ", ".join(action.name.short for action in pruned)
        draft.complaints.append(
            f"exclusive would remove {len(pruned)} undeclared models, max_delete allows {rules.max_delete}: {names}; "
            "declare or protect them, or raise max_delete"
        )
    return draft


def _fetch(item: Desired, there: Held | None, offer: Offer) -> tuple[Action | None, str]:
    """Return the pull that a model present or latest needs, or a complaint why there can be none."""
    before = there.digest if there else None
    wanted: frozenset[str] = frozenset()
    if item.digest is not None:
        if before is not None and offer.same(before, item.digest):
            return None, ""
        if offer.gone:
            return None, f"{item.name} is pinned to {item.digest}, but {offer.problem}"
        if offer.digest is not None and item.digest not in offer.digests:
            return None, (
                f"{item.name} is pinned to {item.digest}, but its source serves {offer.digest}; "
                "pin that one, or name a tag or mirror that still serves the pinned one"
            )
        wanted = offer.digests | {item.digest}
        reason = "not there" if there is None else "another digest than the pinned one"
    elif there is None:
        reason = "not there"
    elif item.state == LATEST and before is not None:
        if before in offer.digests:
            return None, ""
        reason = "the source has another digest"
    else:
        return None, ""
    if offer.gone:
        remedy = "; use state present for a model that has no source any more" if there else ""
        return None, f"{item.name} cannot be fetched: {offer.problem}{remedy}"
    if there is not None and offer.digest is None:
        reason = "the source cannot be read from here, so it is pulled and compared"
    after = item.digest or offer.digest or UNKNOWN
    kind = UPDATE if there else PULL
    name = there.name if there else item.name
    busy = offer.problem if offer.busy else ""
    return Action(kind, name, reason, before, after, offer.size, wanted, blobs=offer.blobs, busy=busy), ""


def _unread(item: Desired, there: Held | None, offer: Offer) -> str:
    consequence = "it is pulled and the digests are compared" if there else "its digest is known only after the pull"
    return f"{offer.problem}; {consequence} ({item.name})"


def _delete(model: Held, reason: str) -> Action:
    return Action(DELETE, model.name, reason, digest_before=model.digest, bytes=model.size)


def _prune(
    desired: Sequence[Desired], held: Mapping[str, Held], offers: Mapping[str, Offer], rules: Rules, made: MadeHere
) -> tuple[list[Action], list[tuple[ModelName, str]]]:
    """Return what ``exclusive`` removes, and what it keeps because it could not be had again."""
    removed: list[Action] = []
    kept: list[tuple[ModelName, str]] = []
    again = replaceable(_staying(desired, held), made)
    for model in undeclared(desired, held, rules):
        offer = offers.get(model.name.key, NO_OFFER)
        if model.name.reserved_tag:
            kept.append((model.name, "its tag is reserved, so that the API would delete another model"))
        elif rules.prune_local or model.digest in offer.digests or model.name.key in again:
            removed.append(_delete(model, "not declared"))
        elif offer.digest:
            kept.append((model.name, f"its source no longer serves this digest but {offer.digest}"))
        else:
            kept.append((model.name, offer.problem))
    return removed, kept


def _staying(desired: Sequence[Desired], held: Mapping[str, Held]) -> dict[str, str]:
    """Return the digests of the models that nobody wants to be gone."""
    absent = {item.name.key for item in desired if item.state == ABSENT}
    return {key: model.digest for key, model in held.items() if key not in absent and not model.name.internal}


def predict(held: Mapping[str, Held], plan: Plan) -> dict[str, Held]:
    """Return the server's models as they are after the plan, keys as in ``held``."""
    after = dict(held)
    for action in plan.actions:
        if action.digest_after is None:
            after.pop(action.name.key, None)
        else:
            after[action.name.key] = Held(action.name, action.digest_after, action.bytes)
    return {key: model for key, model in after.items() if not model.name.internal}
