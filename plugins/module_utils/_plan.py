# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is, what should be, and the actions between: pure functions over plain values, without any I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import ABSENT, LATEST, Desired, refuse
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidName
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import (
    RESERVED_NAMESPACE,
    ModelName,
    matches,
    parse_listed,
)

if TYPE_CHECKING:
    from ansible_collections.alchemorsel.ollama.plugins.module_utils._created import Difference
    from ansible_collections.alchemorsel.ollama.plugins.module_utils._origin import Recipe

PULL, UPDATE, CREATE, COPY, DELETE, CLEANUP = "pull", "update", "create", "copy", "delete", "cleanup"

#: A digest that only the run can tell.
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Held:
    """One model that the server has; ``size`` in bytes, shared layers counted in every model."""

    name: ModelName
    digest: str
    size: int = 0


@dataclass(frozen=True)
class Offer:
    """What the source of a model says.

    :param digest: what a pull would give, ``None`` if the source could not be read or does not have the model
    :param digests: all digests under which a server may list that manifest
    :param gone: the source was read and does not have the model
    :param problem: why there is no digest, one sentence
    """

    digest: str | None = None
    digests: frozenset[str] = frozenset()
    size: int = 0
    gone: bool = False
    problem: str = ""

    def same(self, one: str, other: str) -> bool:
        """Tell whether two digests mean one manifest."""
        return one == other or (one in self.digests and other in self.digests)


@dataclass(frozen=True)
class Rules:
    """How far a run may go in removing what is not declared."""

    exclusive: bool = False
    protect: tuple[str, ...] = ()
    max_delete: int = 5
    allow_empty: bool = False
    prune_local: bool = False


@dataclass(frozen=True)
class Action:
    """One step. ``digest_after`` is ``None`` when the model is gone afterwards, ``bytes`` the model's size as listed."""

    kind: str
    name: ModelName
    reason: str
    digest_before: str | None = None
    digest_after: str | None = None
    bytes: int = 0
    #: digest that must be there afterwards, and all that mean the same
    wanted: frozenset[str] = frozenset()
    #: what it is made from, with what over it, and what that changes
    source: ModelName | None = None
    recipe: Recipe | None = None
    details: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Actions in order (fetch first, delete last), what is kept against ``exclusive``, and what the operator should know."""

    actions: tuple[Action, ...] = ()
    kept: tuple[tuple[ModelName, str], ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def fetches(self) -> tuple[Action, ...]:
        """The actions that pull."""
        return tuple(action for action in self.actions if action.kind in (PULL, UPDATE))


@dataclass
class Draft:
    """A plan in the making."""

    fetches: list[Action] = field(default_factory=list)
    derived: list[Action] = field(default_factory=list)
    deletes: list[Action] = field(default_factory=list)
    cleanups: list[Action] = field(default_factory=list)
    kept: list[tuple[ModelName, str]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def plan(self) -> Plan:
        """Return the plan: fetch first, delete last.

        :raises InvalidInput: with every reason not to begin
        """
        refuse(self.complaints)
        actions = self.fetches + self.derived + self.deletes + self.cleanups
        return Plan(tuple(actions), tuple(self.kept), tuple(self.warnings))


NO_OFFER = Offer(problem="its source was not asked")


def held_models(tags: Iterable[Mapping[str, Any]]) -> dict[str, Held]:
    """Return the server's models by the key of their name; what cannot be a model name is left out."""
    held: dict[str, Held] = {}
    for item in tags:
        try:
            name = parse_listed(str(item.get("name", "")))
        except InvalidName:
            continue
        held.setdefault(name.key, Held(name, str(item.get("digest", "")), int(item.get("size") or 0)))
    return held


def guard_name(name: ModelName) -> ModelName:
    """Return the name under which the old model is kept while another one takes its place."""
    return _internal(name, "guard")


def new_name(name: ModelName) -> ModelName:
    """Return the name under which a model is created before it takes its place."""
    return _internal(name, "new")


def _internal(name: ModelName, tag: str) -> ModelName:
    label = hashlib.sha256(name.key.encode()).hexdigest()[:32]
    return parse_listed(f"{RESERVED_NAMESPACE}/{label}:{tag}")


def undeclared(desired: Sequence[Desired], held: Mapping[str, Held], rules: Rules) -> list[Held]:
    """Return the models that ``exclusive`` is about: not declared, needed by a declared one, protected or internal."""
    declared = {item.name.key for item in desired} | {item.origin.name.key for item in desired if item.origin}
    return [
        model
        for key, model in held.items()
        if rules.exclusive
        and key not in declared
        and not model.name.internal
        and not matches(model.name, rules.protect)
    ]


def questions(
    desired: Sequence[Desired], held: Mapping[str, Held], rules: Rules, *, predict: bool = False
) -> list[ModelName]:
    """Return the names whose source has to be asked before a plan can be made.

    :param predict: ask also for models that are only missing, whose digest a run would learn from the pull itself
    """
    asked: list[ModelName] = []
    for item in desired:
        there = held.get(item.name.key)
        if item.state == ABSENT or item.origin is not None:
            continue
        if item.digest is not None:
            needed = there is None or there.digest != item.digest
        elif item.state == LATEST:
            needed = there is not None or predict
        else:
            needed = there is None and predict
        if needed:
            # The server keeps the spelling that it has.
            asked.append(there.name if there else item.name)
    if not rules.prune_local:
        asked += [model.name for model in undeclared(desired, held, rules) if not model.name.reserved_tag]
    return asked


def make_plan(
    desired: Sequence[Desired], held: Mapping[str, Held], offers: Mapping[str, Offer], rules: Rules = Rules()
) -> Plan:
    """Return the actions that lead from what the server has to what is declared, without what is made from others.

    :param offers: answers to :func:`questions`, by key
    :raises InvalidInput: with every reason not to begin
    """
    return decide(desired, held, offers, rules).plan()


def decide(
    desired: Sequence[Desired], held: Mapping[str, Held], offers: Mapping[str, Offer], rules: Rules = Rules()
) -> Draft:
    """Return what :func:`make_plan` is made of."""
    draft = Draft()
    for item in desired:
        there = held.get(item.name.key)
        offer = offers.get(item.name.key, NO_OFFER)
        if item.state == ABSENT:
            if there:
                draft.deletes.append(_delete(there, "declared absent"))
        elif item.origin is None:
            action, complaint = _fetch(item, there, offer)
            if complaint:
                draft.complaints.append(complaint)
            elif action:
                draft.fetches.append(action)
                if item.name.key in offers and offer.digest is None:
                    draft.warnings.append(_unread(item, there, offer))
        for left_over in (held.get(new_name(item.name).key), held.get(guard_name(item.name).key)):
            if left_over:
                reason = f"left over from an interrupted run for {item.name}"
                draft.cleanups.append(replace(_delete(left_over, reason), kind=CLEANUP))
    pruned, draft.kept = _prune(desired, held, offers, rules)
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
    return Action(kind, there.name if there else item.name, reason, before, after, offer.size, wanted), ""


def _unread(item: Desired, there: Held | None, offer: Offer) -> str:
    consequence = "it is pulled and the digests are compared" if there else "its digest is known only after the pull"
    return f"{offer.problem}; {consequence} ({item.name})"


def _delete(model: Held, reason: str) -> Action:
    return Action(DELETE, model.name, reason, digest_before=model.digest, bytes=model.size)


def _prune(
    desired: Sequence[Desired], held: Mapping[str, Held], offers: Mapping[str, Offer], rules: Rules
) -> tuple[list[Action], list[tuple[ModelName, str]]]:
    """Return what ``exclusive`` removes, and what it keeps because it could not be had again."""
    removed: list[Action] = []
    kept: list[tuple[ModelName, str]] = []
    for model in undeclared(desired, held, rules):
        offer = offers.get(model.name.key, NO_OFFER)
        if model.name.reserved_tag:
            kept.append((model.name, "its tag is reserved, so that the API would delete another model"))
        elif rules.prune_local or model.digest in offer.digests:
            removed.append(_delete(model, "not declared"))
        elif offer.digest:
            kept.append((model.name, f"its source no longer serves this digest but {offer.digest}"))
        else:
            kept.append((model.name, offer.problem))
    return removed, kept


def predict(held: Mapping[str, Held], plan: Plan) -> dict[str, Held]:
    """Return the server's models as they are after the plan, keys as in ``held``."""
    after = dict(held)
    for action in plan.actions:
        if action.digest_after is None:
            after.pop(action.name.key, None)
        else:
            after[action.name.key] = Held(action.name, action.digest_after, action.bytes)
    return {key: model for key, model in after.items() if not model.name.internal}
