# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a server what `_health.py` judges. Knows the order of the requests, and nothing of Ansible.

Models are run in `_trial.py`; what the host tells comes from `_outside.py`.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _health as health
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _inference as inference
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _run as run
from ansible_collections.alchemorsel.ollama.plugins.module_utils._certificate import check_certificate
from ansible_collections.alchemorsel.ollama.plugins.module_utils._cgroup import check_memory
from ansible_collections.alchemorsel.ollama.plugins.module_utils._client import OllamaClient
from ansible_collections.alchemorsel.ollama.plugins.module_utils._health import WantedModel
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName
from ansible_collections.alchemorsel.ollama.plugins.module_utils._outside import Host, Places
from ansible_collections.alchemorsel.ollama.plugins.module_utils._trial import Trial, list_loaded
from ansible_collections.alchemorsel.ollama.plugins.module_utils._verdicts import FAILED, FINAL_VERDICTS, HEALTHY, Check

LEVELS = ("live", "ready", "inference")
LIVE_CHECKS = ("tcp", "tls", "http", "api", "version", "certificate", "gpus")


@dataclass(frozen=True)
class Question:
    """What is to be proven. Sizes in bytes; limits as in `RunLimits`."""

    level: str = "ready"
    min_version: str = "0.17.1"
    min_certificate_days: int = 14
    models: tuple[WantedModel, ...] = ()
    require_cloud_disabled: bool = False
    store_path: str | None = None
    min_free: int = 0
    inference_models: tuple[ModelName, ...] = ()
    allow_load: bool = False
    limits: run.RunLimits = field(default_factory=run.RunLimits)
    places: Places = field(default_factory=Places)


@dataclass
class Report:
    """What was found so far."""

    checks: list[Check] = field(default_factory=list)
    version: str | None = None
    models: list[dict[str, Any]] = field(default_factory=list)
    runs: list[run.Measurement] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        return health.verdict(self.checks)


def probe(client: OllamaClient, question: Question) -> Report:
    """Ask the server up to the wanted level; a request that fails ends only what needs its answer."""
    report = Report()
    started = time.monotonic()
    try:
        report.version = client.version()
    except errors.OllamaError as error:
        report.checks += health.check_first_request(client.url, time.monotonic() - started, client.timeout, error)
        return report
    report.checks += health.check_first_request(client.url, time.monotonic() - started, client.timeout)
    report.checks.append(health.check_version(report.version, question.min_version))
    if client.url.startswith("https:"):
        now = datetime.now(timezone.utc)
        report.checks.append(check_certificate(client.certificate, now, question.min_certificate_days))
    host = Host(question.places)
    if question.places.min_gpus:
        report.checks.append(host.check_gpus(question.places.min_gpus))
    if question.level == "live":
        return report
    before = host.memory()
    _serve(client, question, report, host)
    after = host.memory()
    if before is not None and after is not None:
        # First, for it is the cause of what follows.
        place = next((n for n, check in enumerate(report.checks) if check.name not in LIVE_CHECKS), len(report.checks))
        report.checks.insert(place, check_memory(before, after))
    return report


def _serve(client: OllamaClient, question: Question, report: Report, host: Host) -> None:
    """Look at the models, and let some answer if so wanted; appends to the report."""
    try:
        report.models = client.tags()
    except errors.OllamaError as error:
        report.checks.append(health.failed_request("model", error))
        return
    shown: dict[str, dict[str, Any]] = {}
    ready = _ready(client, question, report.models, shown)
    report.checks += ready
    # A model that is missing or broken is not worth a load.
    if question.level == "inference" and not any(check.status == FAILED for check in ready if check.name == "model"):
        _infer(client, question, report, host, shown)


def _ready(
    client: OllamaClient, question: Question, tags: list[dict[str, Any]], shown: dict[str, dict[str, Any]]
) -> list[Check]:
    """Check what a server needs to serve; what show answered is left in `shown`, by the key of the model's name."""
    checks = []
    if question.store_path is not None:
        checks.append(health.check_space(question.store_path, free_bytes(question.store_path), question.min_free))
    if question.require_cloud_disabled:
        try:
            checks.append(health.check_cloud(client.cloud_status()))
        except errors.OllamaError as error:
            checks.append(health.failed_request("cloud", error))
    for wanted in question.models:
        listed = health.find_model(wanted.name, tags)
        problem: errors.OllamaError | None = None
        if listed is not None:
            try:
                shown[wanted.name.key] = client.show(wanted.name.short, fresh=True)
            except errors.OllamaError as error:
                problem = error
        checks.append(health.check_model(wanted, listed, problem))
    return checks


def free_bytes(path: str) -> int | None:
    """Return the free bytes of a file system for an unprivileged user, None if the path cannot be looked at."""
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return None


def _infer(client: OllamaClient, question: Question, report: Report, host: Host, shown: dict[str, Any]) -> None:
    """Run the models that are to prove inference; appends to the report."""
    try:
        loaded = list_loaded(client)
    except errors.OllamaError as error:
        report.checks.append(run.failed_list(error))
        return
    declared = [wanted.name for wanted in question.models]
    chosen = inference.choose_models(
        list(question.inference_models), declared, report.models, loaded, question.allow_load
    )
    if isinstance(chosen, Check):
        report.checks.append(chosen)
        return
    for number, name in enumerate(chosen):
        try:
            about = shown.get(name.key) or client.show(name.short, fresh=True)
        except errors.OllamaError as error:
            listed = health.find_model(name, report.models)
            report.checks.append(health.check_model(WantedModel(name), listed, error))
            continue
        trial = Trial(client, name, report.models, about, report.version or "", question.limits, host)
        checks, measured = trial.carry_out(question.allow_load, loaded if number == 0 else None)
        report.checks += checks
        if measured is not None:
            report.runs.append(measured)


def wait_until_healthy(
    ask: Callable[[float], Report],
    request_timeout: float,
    wait_timeout: float,
    wait_sleep: float,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> tuple[Report, int, float]:
    """Ask until the report is healthy, hopeless, or `wait_timeout` s have passed; at least once.

    `ask` gets the time limit (s) of one request: while waiting, a request must not outlast the deadline by much.
    Returns the last report, the number of attempts and the seconds waited.
    """
    started = clock()
    attempts = 0
    limit = request_timeout
    while True:
        left = started + wait_timeout - clock()
        if wait_timeout > 0:
            limit = min(request_timeout, max(1.0, left))
        report = ask(limit)
        attempts += 1
        left = started + wait_timeout - clock()
        if report.verdict == HEALTHY or report.verdict in FINAL_VERDICTS or left <= wait_sleep:
            return report, attempts, clock() - started
        pause(wait_sleep)
