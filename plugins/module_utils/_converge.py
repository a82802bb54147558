# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings a server to what is declared: look, plan, and, outside check mode, carry out under the server's lock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import Plan
from ansible_collections.alchemorsel.ollama.plugins.module_utils._apply import Executor, possible, predicted
from ansible_collections.alchemorsel.ollama.plugins.module_utils._client import OllamaClient
from ansible_collections.alchemorsel.ollama.plugins.module_utils._files import examine_all
from ansible_collections.alchemorsel.ollama.plugins.module_utils._held import public
from ansible_collections.alchemorsel.ollama.plugins.module_utils._imported import Local
from ansible_collections.alchemorsel.ollama.plugins.module_utils._lock import ServerLock
from ansible_collections.alchemorsel.ollama.plugins.module_utils._plan import predict
from ansible_collections.alchemorsel.ollama.plugins.module_utils._progress import ProgressFile
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull import PullLimits
from ansible_collections.alchemorsel.ollama.plugins.module_utils._quick import NOTHING_SEEN, Look
from ansible_collections.alchemorsel.ollama.plugins.module_utils._record import Record, default_directory
from ansible_collections.alchemorsel.ollama.plugins.module_utils._registry import Registry
from ansible_collections.alchemorsel.ollama.plugins.module_utils._set import (
    Result,
    Seen,
    Wanted,
    look,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._upload import create_limit
from ansible_collections.alchemorsel.ollama.plugins.module_utils._versions import check_floor


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
    first: Look = NOTHING_SEEN,
) -> None:
    """Bring the server to what is wanted, or tell what that would take; everything learned goes into ``result``.

    :param defer: where something is to be pulled or loaded, only tell so in ``result.work_due``
    :param known: ``offers`` of a ``work_due``, so that no source is asked again
    :param progress: what is told of the pulls and loads
    :param first: what the server said just now, if it was asked
    :raises OllamaError: before the first change if it cannot be done, after the last one if some of it failed
    """
    lock = ServerLock(client.url, waiting=progress.wait if progress else None, since=first.asked)
    record = Record(wanted.state_dir or default_directory(), client.url, keep=not check_mode)
    files = examine_all(wanted.desired, record, hash_now=not defer, report=progress.report if progress else None)
    local = Local(files, record.entries.made)
    seen = look(client, registry, wanted, known or {}, predict=check_mode, local=local, tags=first.tags)
    _note(result, seen)
    if not seen.plan.actions:
        result.warnings += _problem(record)
        return
    warning = check_floor(client.version(), client.url, allow_vulnerable=wanted.allow_vulnerable)
    if warning:
        result.warnings.append(warning)
    if check_mode:
        coming, failures = possible(seen.plan.actions)
        result.done = [predicted(action) for action in coming]
        result.after = predict(seen.held, replace(seen.plan, actions=tuple(coming)))
        if failures:
            raise _together(failures)
        return
    if defer and _takes_long(wanted, seen):
        _put_off(client, wanted, result, seen)
        return
    if progress:
        progress.expect(seen.sizes)
    with lock:
        try:
            # What seems to be left over belongs to the run that is at work, if there is one.
            lock.acquire(0 if defer or seen.plan.tidies else wanted.lock_timeout)
        except errors.ServerLocked:
            if defer and not seen.plan.tidies:
                _put_off(client, wanted, result, seen)
            elif not seen.plan.tidies:
                raise
            return
        if lock.disturbed:
            record = Record(wanted.state_dir or default_directory(), client.url)
            seen = look(client, registry, wanted, {}, local=Local(files, record.entries.made))
            _note(result, seen)
            if warning:
                result.warnings.append(warning)
            if defer and _takes_long(wanted, seen):
                _put_off(client, wanted, result, seen)
                return
        _carry_out(client, registry, wanted, result, seen, record, progress)


def _note(result: Result, seen: Seen) -> None:
    """Put into the result what is known before anything is done."""
    result.before = result.after = public(seen.held)
    result.kept = list(seen.plan.kept)
    result.warnings = list(seen.plan.warnings)


def _takes_long(wanted: Wanted, seen: Seen) -> bool:
    """Tell whether a plan has something that is to be shown while it goes on: pulls, uploads and loads."""
    return bool(seen.sizes or wanted.memory.longest(seen.plan))


def _problem(record: Record) -> list[str]:
    return [record.problem] if record.problem else []


def _put_off(client: OllamaClient, wanted: Wanted, result: Result, seen: Seen) -> None:
    """Let the result only say how long the work may take, and what the sources said."""
    result.warnings = []
    result.work_due = {
        "seconds": wanted.lock_timeout
        + longest(seen.plan, wanted.limits, client.timeout)
        + wanted.memory.longest(seen.plan),
        "offers": {key: {**asdict(value), "digests": sorted(value.digests)} for key, value in seen.offers.items()},
    }


def _carry_out(
    client: OllamaClient,
    registry: Registry,
    wanted: Wanted,
    result: Result,
    seen: Seen,
    record: Record,
    progress: ProgressFile | None,
) -> None:
    """Carry the plan out.

    :raises OllamaError: after the last action, if some of it failed
    """
    report = None
    if progress:
        progress.expect(seen.sizes)
        report = progress.report
    executor = Executor(
        client,
        seen.held,
        insecure=registry.is_insecure,
        store_path=wanted.care.store_path,
        limits=wanted.limits,
        report=report,
        parallel=wanted.parallel,
        memory=wanted.memory,
        record=record,
        sizes=registry.sizes,
    )
    outcome = executor.run(seen.plan)
    result.done = outcome.done
    result.warnings += executor.warnings + _problem(record)
    result.after = public(outcome.held)
    if outcome.failures:
        raise _together(outcome.failures)


def longest(plan: Plan, limits: PullLimits, timeout: float) -> float:
    """Return the seconds after which a run has surely ended: its pulls' limits, and some requests around each action."""
    imports = sum(limits.pull_timeout + 3 * create_limit(action.bytes) for action in plan.imports)
    return len(plan.fetches) * limits.pull_timeout + imports + (len(plan.actions) + 1) * 10 * timeout


def _together(failures: list[errors.OllamaError]) -> errors.OllamaError:
    """Return one error for all failures of a run, of the kind of the first."""
    first = failures[0]
    if len(failures) == 1:
        return first
    listed = "; ".join(f"({number}) {failure.message}" for number, failure in enumerate(failures, 1))
    return type(first)(
        f"{len(failures)} models failed: {listed}", url=first.url, http_status=first.http_status, error=first.error
    )
