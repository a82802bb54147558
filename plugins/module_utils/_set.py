# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the options of ``ollama_model`` to its result: ask, plan, and, outside check mode, carry out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._client import OllamaClient
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import Desired, declare, refuse
from ansible_collections.alchemorsel.ollama.plugins.module_utils._derived import Shown, plan_all, to_show
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName
from ansible_collections.alchemorsel.ollama.plugins.module_utils._plan import (
    Held,
    Offer,
    Plan,
    Rules,
    held_models,
    predict,
    questions,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._progress import ProgressFile
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull import Limits
from ansible_collections.alchemorsel.ollama.plugins.module_utils._registry import Manifest, Registry
from ansible_collections.alchemorsel.ollama.plugins.module_utils._versions import check_floor

if TYPE_CHECKING:
    from ansible_collections.alchemorsel.ollama.plugins.module_utils._apply import Done


@dataclass(frozen=True)
class Wanted:
    """What one task declares."""

    desired: tuple[Desired, ...]
    rules: Rules = field(default_factory=Rules)
    limits: Limits = field(default_factory=Limits)
    allow_vulnerable: bool = False


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
        """Whether any action changed a digest."""
        return any(done.changed for done in self.done)

    def as_result(self, *, diff: bool = False) -> dict[str, Any]:
        """Return the module's result; only ``changed`` if the server was not even asked."""
        result: dict[str, Any] = {"changed": self.changed}
        if self.work_due is not None:
            return {**result, "work_due": self.work_due}
        if self.before is not None:
            result["models"] = model_results(self.after.values())
            result["actions"] = _action_results(self.done) if self.done else []
            result["kept"] = [{"name": name.short, "reason": reason} for name, reason in self.kept]
            if diff:
                result["diff"] = {
                    "before_header": "models before",
                    "after_header": "models after",
                    "before": _lines(self.before.values()) + _fields(self.done, after=False),
                    "after": _lines(self.after.values()) + _fields(self.done, after=True),
                }
        return result


def wanted_from_params(params: Mapping[str, Any]) -> Wanted:
    """Return what the options declare.

    :raises InvalidInput: with everything that is wrong with them
    """
    complaints = [
        f"{option} is {params[option]}; wanted {least}"
        for option, bad, least in (
            ("pull_timeout", params["pull_timeout"] <= 0, "a number of seconds above 0"),
            ("stall_timeout", params["stall_timeout"] <= 0, "a number of seconds above 0"),
            ("progress_interval", params["progress_interval"] <= 0, "a number of seconds above 0"),
            ("retries", params["retries"] < 0, "0 or more"),
            ("max_delete", params["max_delete"] < 0, "0 or more"),
        )
        if bad
    ]
    entries = params["models"]
    if entries is None:
        entries = [{"name": name} for name in params["name"] or []]
    desired: list[Desired] = []
    try:
        desired = declare(entries, params["state"])
    except errors.InvalidInput as exc:
        if not complaints:
            raise
        complaints.append(exc.message)
    refuse(complaints)
    rules = Rules(
        exclusive=params["exclusive"],
        protect=tuple(params["protect"]),
        max_delete=params["max_delete"],
        allow_empty=params["allow_empty"],
        prune_local=params["prune_local"],
    )
    limits = Limits(params["pull_timeout"], params["stall_timeout"], params["retries"])
    return Wanted(tuple(desired), rules, limits, params["allow_vulnerable_version"])


def converge(
    client: OllamaClient,
    registry: Registry,
    wanted: Wanted,
    result: Result,
    *,
    check_mode: bool = False,
    defer: bool = False,
    known: Mapping[str, Any] | None = None,
    progress: ProgressFile | None = None,
) -> None:
    """Bring the server to what is wanted, or tell what that would take; everything learned goes into ``result``.

    :param defer: where something is to be pulled, only tell so in ``result.work_due``
    :param known: ``offers`` of a ``work_due``, so that no source is asked again
    :param progress: what is told of the pulls
    :raises OllamaError: before the first change if it cannot be done, after the last one if some of it failed
    """
    seen = look(client, registry, wanted, known or {}, predict=check_mode)
    held, plan = seen.held, seen.plan
    result.before = result.after = public(held)
    result.kept = list(plan.kept)
    result.warnings = list(plan.warnings)
    if not plan.actions:
        return
    # Late: a run that has nothing to do does without all that carries a plan out.
    from ansible_collections.alchemorsel.ollama.plugins.module_utils._apply import Executor, predicted

    warning = check_floor(client.version(), client.url, allow_vulnerable=wanted.allow_vulnerable)
    if warning:
        result.warnings.append(warning)
    if check_mode:
        result.done = [predicted(action) for action in plan.actions]
        result.after = predict(held, plan)
        return
    sizes = {action.name.short: action.bytes for action in plan.fetches}
    if defer and sizes:
        result.warnings = []
        result.work_due = {
            "seconds": longest(plan, wanted.limits, client.timeout),
            "offers": {key: {**asdict(value), "digests": sorted(value.digests)} for key, value in seen.offers.items()},
        }
        return
    report = None
    if progress:
        progress.expect(sizes)
        report = progress.report
    executor = Executor(client, held, insecure=registry.is_insecure, limits=wanted.limits, report=report)
    outcome = executor.run(plan)
    result.done = outcome.done
    result.after = public(outcome.held)
    if outcome.failures:
        raise _together(outcome.failures)


@dataclass(frozen=True)
class Seen:
    """What the server has, what the sources of its models say, and the plan that follows."""

    held: dict[str, Held]
    offers: dict[str, Offer]
    plan: Plan


def look(
    client: OllamaClient, registry: Registry, wanted: Wanted, known: Mapping[str, Any], *, predict: bool = False
) -> Seen:
    """Ask server and sources for what has to be known, and make the plan; changes nothing.

    :param known: answers of sources that were asked before
    :param predict: ask also for what a run would learn by itself
    :raises OllamaError: if it cannot be done
    """
    held = held_models(client.tags())
    offers = {key: offer_from(value) for key, value in known.items()}
    asked = questions(wanted.desired, held, wanted.rules, predict=predict)
    answers = registry.manifests([name for name in asked if name.key not in offers])
    offers.update({key: offer(answer) for key, answer in answers.items()})
    shown = _shown(client, to_show(wanted.desired, held))
    return Seen(held, offers, plan_all(wanted.desired, held, offers, wanted.rules, shown))


def public(held: Mapping[str, Held]) -> dict[str, Held]:
    """Return the models without those that this collection makes for itself while it works."""
    return {key: model for key, model in held.items() if not model.name.internal}


def longest(plan: Plan, limits: Limits, timeout: float) -> float:
    """Return the seconds after which a run has surely ended: its pulls' limits, and some requests around each action."""
    return len(plan.fetches) * limits.pull_timeout + (len(plan.actions) + 1) * 10 * timeout


def offer(answer: Manifest | errors.PullFailed) -> Offer:
    """Return what the source said in the plan's terms."""
    if isinstance(answer, Manifest):
        return Offer(digest=answer.digest, digests=answer.digests, size=answer.size)
    return Offer(gone=isinstance(answer, errors.SourceNotFound), problem=answer.message)


def offer_from(value: Mapping[str, Any]) -> Offer:
    """Return what a source said from its form in ``work_due``."""
    return Offer(**{**value, "digests": frozenset(value["digests"])})


def model_results(models: Iterable[Held]) -> list[dict[str, Any]]:
    """Return models as results show them, sorted by name."""
    ordered = sorted(models, key=lambda model: model.name.key)
    return [{"name": model.name.short, "digest": model.digest, "size": model.size} for model in ordered]


def _action_results(done: Iterable[Done]) -> list[dict[str, Any]]:
    from ansible_collections.alchemorsel.ollama.plugins.module_utils._apply import action_result

    return [action_result(one) for one in done]


def _shown(client: OllamaClient, names: Iterable[ModelName]) -> Shown:
    """Return what the server shows of some models, ``None`` for those whose files are missing."""
    shown: dict[str, Any] = {}
    for name in names:
        try:
            shown[name.key] = client.show(name.short)
        except errors.ModelNotFound:
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


def _lines(models: Iterable[Held]) -> str:
    return "".join(f"{model['name']} {model['digest']}\n" for model in model_results(models))


def _together(failures: list[errors.OllamaError]) -> errors.OllamaError:
    """Return one error for all failures of a run, of the kind of the first."""
    first = failures[0]
    if len(failures) == 1:
        return first
    listed = "; ".join(f"({number}) {failure.message}" for number, failure in enumerate(failures, 1))
    return type(first)(
        f"{len(failures)} models failed: {listed}", url=first.url, http_status=first.http_status, error=first.error
    )
