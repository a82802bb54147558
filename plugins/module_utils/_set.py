# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the options of ``ollama_model`` to a plan, and what there is to tell in the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _options
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import (
    Offer,
    Plan,
    Rules,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._apply import Done, action_result
from ansible_collections.alchemorsel.ollama.plugins.module_utils._broken import to_repair
from ansible_collections.alchemorsel.ollama.plugins.module_utils._client import OllamaClient
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import Desired, declare, refuse
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declared_memory import conflicts, residences
from ansible_collections.alchemorsel.ollama.plugins.module_utils._derived import Shown, plan_all, to_show
from ansible_collections.alchemorsel.ollama.plugins.module_utils._held import (
    Held,
    diff_of,
    held_models,
    model_results,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._imported import NOTHING_LOCAL, Local
from ansible_collections.alchemorsel.ollama.plugins.module_utils._memory import Memory, with_memory
from ansible_collections.alchemorsel.ollama.plugins.module_utils._mirror import parse_mirror
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName
from ansible_collections.alchemorsel.ollama.plugins.module_utils._plan import questions
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull import PullLimits
from ansible_collections.alchemorsel.ollama.plugins.module_utils._registry import Manifest, Registry
from ansible_collections.alchemorsel.ollama.plugins.module_utils._stock import (
    NO_CARE,
    Care,
    care_from_params,
    take_stock,
)


@dataclass(frozen=True)
class Wanted:
    """What one task declares."""

    desired: tuple[Desired, ...]
    rules: Rules = field(default_factory=Rules)
    limits: PullLimits = field(default_factory=PullLimits)
    allow_vulnerable: bool = False
    #: how many models may be fetched at the same time
    parallel: int = 1
    #: seconds to wait for another run that works on the server
    lock_timeout: float = 0.0
    care: Care = NO_CARE
    memory: Memory = field(default_factory=Memory)
    #: where what was made here is kept
    state_dir: str | None = None


@dataclass
class Result:
    """What a module has to tell; filled as the work goes on, so that a failure can show it too."""

    before: dict[str, Held] | None = None
    after: dict[str, Held] = field(default_factory=dict)
    done: list[Done] = field(default_factory=list)
    kept: list[tuple[ModelName, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    #: what was put off: the seconds that it may take, and what the sources said
    work_due: dict[str, Any] | None = None

    @property
    def changed(self) -> bool:
        """Whether any action changed a digest, repaired a model, or changed what is in memory."""
        return any(done.changed for done in self.done)

    def as_result(self, *, diff: bool = False) -> dict[str, Any]:
        """Return the module's result; only ``changed`` if the server was not even asked."""
        result: dict[str, Any] = {"changed": self.changed}
        if self.work_due is not None:
            return {**result, "work_due": self.work_due}
        if self.before is not None:
            result["models"] = model_results(self.after.values())
            result["actions"] = [action_result(done) for done in self.done]
            result["kept"] = [{"name": name.short, "reason": reason} for name, reason in self.kept]
            if diff:
                before, after = (_fields(self.done, after=after) for after in (False, True))
                result["diff"] = diff_of(self.before.values(), self.after.values(), before, after)
        return result


def wanted_from_params(params: Mapping[str, Any]) -> Wanted:
    """Return what the options declare.

    :raises InvalidInput: with everything that is wrong with them
    """
    complaints = _options.complaints(params)
    care = care_from_params(params, complaints)
    desired: list[Desired] = []
    try:
        desired = declare(_options.entries(params), params["state"])
    except errors.InvalidInput as exc:
        if not complaints:
            raise
        complaints.append(exc.message)
    complaints += conflicts(desired)
    refuse(complaints)
    rules = Rules(
        exclusive=params["exclusive"],
        protect=tuple(params["protect"]),
        max_delete=params["max_delete"],
        allow_empty=params["allow_empty"],
        prune_local=params["prune_local"],
        mirror=parse_mirror(params["registry_mirror"]),
    )
    limits = PullLimits(params["pull_timeout"], params["stall_timeout"], params["retries"])
    return Wanted(
        tuple(desired),
        rules,
        limits,
        params["allow_vulnerable_version"],
        parallel=params["parallel"],
        lock_timeout=params["lock_timeout"],
        care=care,
        memory=Memory(residences(desired), params["load_timeout"]),
        state_dir=params["state_dir"],
    )


@dataclass(frozen=True)
class Seen:
    """What the server has, what the sources of its models say, and the plan that follows."""

    held: dict[str, Held]
    offers: dict[str, Offer]
    plan: Plan

    @property
    def sizes(self) -> dict[str, int]:
        """The models that are to be pulled or uploaded, with their bytes as far as they are known."""
        return {action.name.short: action.bytes for action in (*self.plan.fetches, *self.plan.imports)}


def look(
    client: OllamaClient,
    registry: Registry,
    wanted: Wanted,
    known: Mapping[str, Any],
    *,
    predict: bool = False,
    local: Local = NOTHING_LOCAL,
    tags: list[dict[str, Any]] | None = None,
) -> Seen:
    """Ask server and sources for what has to be known, and make the plan; changes nothing.

    :param known: answers of sources that were asked before
    :param predict: ask also for what a run would learn by itself
    :param local: what is known on this host
    :param tags: the server's list of its models, if it was asked for just now
    :raises OllamaError: if it cannot be done
    """
    held = held_models(client.tags() if tags is None else tags)
    offers = {key: offer_from(value) for key, value in known.items()}
    stock = take_stock(client, wanted.care, wanted.desired, held)
    asks = partial(questions, wanted.desired, held, wanted.rules, made=local.made)
    repairs = [stock.faults[key].name for key in to_repair(wanted.desired, stock)]
    # What a run would learn without asking, the server asks for itself: it may be refused where this host is not, and the other way round.
    own = {name.key for name in [*asks(predict=stock.judges), *repairs]}
    _ask(registry, [*asks(predict=predict or stock.judges), *repairs], offers)
    shown = _shown(client, to_show(wanted.desired, held, stock))
    certain = {key: value if key in own else replace(value, busy=False) for key, value in offers.items()}
    plan = plan_all(wanted.desired, held, certain, wanted.rules, shown, stock, local)
    # Which models may be fetched at the same time, their blobs tell.
    if wanted.parallel > 1 and len(plan.fetches) > 1:
        _ask(registry, [action.name for action in plan.fetches], offers)
        if offers != certain:
            plan = plan_all(wanted.desired, held, offers, wanted.rules, shown, stock, local)
    declared = wanted.memory.residences
    if declared:
        plan = with_memory(plan, declared, held, client.ps(), datetime.now(timezone.utc))
    return Seen(held, offers, plan)


def _ask(registry: Registry, names: Iterable[ModelName], offers: dict[str, Offer]) -> None:
    """Ask the sources of those models whose offers are not known."""
    answers = registry.manifests([name for name in names if name.key not in offers])
    offers.update({key: offer(answer) for key, answer in answers.items()})


def offer(answer: Manifest | errors.PullFailed) -> Offer:
    """Return what the source said in the plan's terms."""
    if isinstance(answer, Manifest):
        return Offer(answer.digest, answer.digests, answer.size, blobs=answer.blobs, waited=answer.waited)
    busy = isinstance(answer, errors.SourceBusy) and answer.too_long
    return Offer(gone=isinstance(answer, errors.SourceNotFound), problem=answer.message, busy=busy)


def offer_from(value: Mapping[str, Any]) -> Offer:
    """Return what a source said from its form in ``work_due``."""
    return Offer(**{**value, "digests": frozenset(value["digests"])})


def _shown(client: OllamaClient, names: Iterable[ModelName]) -> Shown:
    """Return what the server shows of some models, ``None`` for those whose files are missing or broken."""
    shown: dict[str, Any] = {}
    for name in names:
        try:
            shown[name.key] = client.show(name.short)
        except (errors.ModelNotFound, errors.BadAnswer):
            shown[name.key] = None
    return shown


def _fields(done: Iterable[Done], *, after: bool) -> str:
    """Return the fields of created models that were changed, a line for each that is set."""
    lines = []
    for one in done:
        for detail in one.action.details if one.changed else ():
            value = detail.after if after else detail.before
            if value is not None:
                lines.append(f"{one.action.name} {detail.field}: {value}\n")
    return "".join(lines)
