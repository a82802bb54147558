# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The terms of a plan: what the server has, what a source offers, the actions between, and names that they need. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.alchemorsel.ollama.plugins.module_utils._created import Difference
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import refuse
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import (
    RESERVED_NAMESPACE,
    ModelName,
    parse_listed,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._origin import Recipe
from ansible_collections.alchemorsel.ollama.plugins.module_utils._record import (
    SourceFile,
)
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
class Offer:
    """What the source of a model says.

    :param digest: what a pull would give, ``None`` if the source could not be read or does not have the model
    :param digests: all digests under which a server may list that manifest
    :param gone: the source was read and does not have the model
    :param problem: why there is no digest, one sentence
    :param blobs: size of each blob by digest; empty if they are not known
    :param waited: seconds that the source wanted to have waited before it answered
    :param busy: the source wants to have waited longer than is done
    """

    digest: str | None = None
    digests: frozenset[str] = frozenset()
    size: int = 0
    gone: bool = False
    problem: str = ""
    blobs: Mapping[str, int] = field(default_factory=dict)
    waited: float = 0.0
    busy: bool = False

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
    #: why its source, which is not to be asked again now, gives nothing
    busy: str = ""

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


NO_RULES = Rules()
NO_OFFER = Offer(problem="its source was not asked")


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
