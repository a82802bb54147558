# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is, what should be, and the actions between: pure functions over plain values, without any I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils._created import Difference
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import Desired, refuse
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidName
from ansible_collections.alchemorsel.ollama.plugins.module_utils._mirror import at_mirror, fetched_as, in_between
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import (
    RESERVED_NAMESPACE,
    ModelName,
    matches,
    parse_listed,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._origin import Recipe
from ansible_collections.alchemorsel.ollama.plugins.module_utils._record import (
    NONE_MADE,
    MadeHere,
    SourceFile,
    replaceable,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._states import ABSENT, LATEST
from ansible_collections.alchemorsel.ollama.plugins.module_utils._store import Cure

PULL, UPDATE, CREATE, COPY, DELETE, CLEANUP = "pull", "update", "create", "copy", "delete", "cleanup"
#: An exchange that was interrupted is taken back.
RESTORE = "restore"
REPAIR = "repair"
LOAD, UNLOAD = "load", "unload"

#: Tags of the names that this collection makes for itself.
GUARD, NEW, HOLD = "guard", "new", "hold"

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
    :param blobs: size of each blob by digest; empty if they are not known
    """

    digest: str | None = None
    digests: frozenset[str] = frozenset()
    size: int = 0
    gone: bool = False
    problem: str = ""
    blobs: Mapping[str, int] = field(default_factory=dict)

    def same(self, one: str, other: str) -> bool:
        """Tell whether two digests mean one manifest."""
        return one == other or (one in self.digests and other in self.digests)


@dataclass(frozen=True)
class Rules:
    """How far a run may go in removing what is not declared.

    :param mirror: registry from which models of the default one are fetched
    """

    exclusive: bool = False
    protect: tuple[str, ...] = ()
    max_delete: int = 5
    allow_empty: bool = False
    prune_local: bool = False
    mirror: str | None = None


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
    #: size of each blob of what is pulled, by digest; empty if they are not known
    blobs: Mapping[str, int] = field(default_factory=dict)
    #: what has to go first; also says that files of the model are broken
    cure: Cure | None = None
    #: the name under which it is fetched before it gets its own, where that is another one
    via: ModelName | None = None
    #: the file that it is made from
    file: SourceFile | None = None

    @property
    def fetches(self) -> bool:
        """Whether it pulls."""
        return self.kind in (PULL, UPDATE, REPAIR)

    @property
    def tidies(self) -> bool:
        """Whether it only ends what an interrupted run began."""
        return self.kind in (CLEANUP, RESTORE)


@dataclass(frozen=True)
class Plan:
    """Actions in order (fetch first, delete last; before all that, what an interrupted run left for models that nobody
    declares), what is kept against ``exclusive``, and what the operator should know."""

    actions: tuple[Action, ...] = ()
    kept: tuple[tuple[ModelName, str], ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def fetches(self) -> tuple[Action, ...]:
        """The actions that pull."""
        return tuple(action for action in self.actions if action.fetches)

    @property
    def tidies(self) -> bool:
        """Whether it only ends what an interrupted run began."""
        return all(action.tidies for action in self.actions)

    @property
    def imports(self) -> tuple[Action, ...]:
        """The actions that upload a file."""
        return tuple(action for action in self.actions if action.file)


@dataclass
class Draft:
    """A plan in the making."""

    left_over: list[Action] = field(default_factory=list)
    fetches: list[Action] = field(default_factory=list)
    derived: list[Action] = field(default_factory=list)
    deletes: list[Action] = field(default_factory=list)
    cleanups: list[Action] = field(default_factory=list)
    kept: list[tuple[ModelName, str]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def plan(self) -> Plan:
        """Return the plan in its order.

        :raises InvalidInput: with every reason not to begin
        """
        refuse(self.complaints)
        actions = self.left_over + self.fetches + self.derived + self.deletes + self.cleanups
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
    return _internal(name, GUARD)


def new_name(name: ModelName) -> ModelName:
    """Return the name under which a model is created before it takes its place."""
    return _internal(name, NEW)


def hold_name(name: ModelName) -> ModelName:
    """Return the name under which a model that is in memory can still be unloaded when another one has taken its place."""
    return _internal(name, HOLD)


def _internal(name: ModelName, tag: str) -> ModelName:
    label = hashlib.sha256(name.key.encode()).hexdigest()[:32]
    return parse_listed(f"{RESERVED_NAMESPACE}/{label}:{tag}")


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
    for item in desired:
        there = held.get(item.name.key)
        if item.state == ABSENT or not item.pulled:
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
        again = replaceable(_staying(desired, held), made)
        asked += [
            model.name
            for model in undeclared(desired, held, rules)
            if not model.name.reserved_tag and model.name.key not in again
        ]
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
    desired: Sequence[Desired],
    held: Mapping[str, Held],
    offers: Mapping[str, Offer],
    rules: Rules = Rules(),
    broken: Collection[str] = (),
    made: MadeHere = NONE_MADE,
) -> Draft:
    """Return what :func:`make_plan` is made of.

    :param broken: keys of models whose fetch is decided elsewhere
    """
    draft = Draft()
    passing = in_between(desired, rules.mirror)
    for item in desired:
        there = held.get(item.name.key)
        offer = offers.get(item.name.key, NO_OFFER)
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
                if item.name.key in offers and offer.digest is None:
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
    return Action(kind, name, reason, before, after, offer.size, wanted, blobs=offer.blobs), ""


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
