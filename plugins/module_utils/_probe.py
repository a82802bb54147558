# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a server what `_health.py` and `_inference.py` judge. Knows the order of the requests, and nothing of Ansible."""

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
from ansible_collections.alchemorsel.ollama.plugins.module_utils._client import OllamaClient
from ansible_collections.alchemorsel.ollama.plugins.module_utils._health import Check, Wanted
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName, parse_listed

LEVELS = ("live", "ready", "inference")


@dataclass(frozen=True)
class Question:
    """What is to be proven. Sizes in bytes; limits as in `Limits`."""

    level: str = "ready"
    min_version: str = "0.17.1"
    models: tuple[Wanted, ...] = ()
    require_cloud_disabled: bool = False
    store_path: str | None = None
    min_free: int = 0
    inference_models: tuple[ModelName, ...] = ()
    allow_load: bool = False
    limits: inference.Limits = field(default_factory=inference.Limits)


@dataclass
class Report:
    """What was found so far."""

    checks: list[Check] = field(default_factory=list)
    version: str | None = None
    models: list[dict[str, Any]] = field(default_factory=list)
    runs: list[inference.Measurement] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        return health.verdict(self.checks)


def probe(client: OllamaClient, question: Question) -> Report:
    """Ask the server up to the wanted level; a request that fails ends only what needs its answer."""
    report = Report()
    try:
        report.version = client.version()
    except errors.OllamaError as error:
        report.checks.append(health.failed_request("api", error))
        return report
    report.checks.append(Check("api", health.OK, f"an Ollama server answers at {client.url}"))
    report.checks.append(health.check_version(report.version, question.min_version))
    if question.level == "live":
        return report
    try:
        report.models = client.tags()
    except errors.OllamaError as error:
        report.checks.append(health.failed_request("model", error))
        return report
    shown: dict[str, dict[str, Any]] = {}
    report.checks += _ready(client, question, report.models, shown)
    # A model that is missing or broken is not worth a load.
    if question.level == "inference" and report.verdict == health.HEALTHY:
        _infer(client, question, report, shown)
    return report


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
                shown[wanted.name.key] = show(client, wanted.name.short)
            except errors.OllamaError as error:
                problem = error
        checks.append(health.check_model(wanted, listed, problem))
    return checks


def show(client: OllamaClient, model: str) -> dict[str, Any]:
    """Return what the server knows about a model now.

    The server keeps its answers to a plain show and repeats them even after the model's files are gone (0.24.0, 0.32.15).
    It does not do so for a request with a system text, which changes nothing but the same field of the answer.
    """
    answer = client.json("POST", "/api/show", {"model": model, "system": "-"})
    return answer if isinstance(answer, dict) else {}


def free_bytes(path: str) -> int | None:
    """Return the free bytes of a file system for an unprivileged user, None if the path cannot be looked at."""
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return None


def _infer(client: OllamaClient, question: Question, report: Report, shown: dict[str, dict[str, Any]]) -> None:
    """Run the models that are to prove inference; appends to the report."""
    try:
        loaded = client.ps()
    except errors.OllamaError as error:
        report.checks.append(inference.failed_list(error))
        return
    declared = [wanted.name for wanted in question.models]
    chosen = inference.choose_models(
        list(question.inference_models), declared, report.models, loaded, question.allow_load
    )
    if isinstance(chosen, Check):
        report.checks.append(chosen)
        return
    for name in chosen:
        try:
            about = shown.get(name.key) or show(client, name.short)
        except errors.OllamaError as error:
            listed = health.find_model(name, report.models)
            report.checks.append(health.check_model(Wanted(name), listed, error))
            continue
        entry = health.find_model(name, loaded)
        checks, run = _run(client, name.short, entry, about, report.version or "", question.limits)
        report.checks += checks
        if run is not None:
            report.runs.append(run)


def _run(
    client: OllamaClient,
    model: str,
    entry: dict[str, Any] | None,
    about: dict[str, Any],
    version: str,
    limits: inference.Limits,
) -> tuple[list[Check], inference.Measurement | None]:
    """Load a model if it is not loaded (`entry`: its line in ps), let it answer, and leave memory as it was."""
    embeds = inference.is_embedding_only(about)
    now = datetime.now(timezone.utc)
    load_seconds: float | None = None
    stay: health.Number | None
    if entry is not None and inference.is_staying(entry, now):
        stay = inference.keep_alive(entry, now)
    else:
        started = time.monotonic()
        try:
            load = client.embed if embeds else client.generate
            load(model, timeout=limits.load_timeout)
        except errors.OllamaError as error:
            return [inference.failed_load(error, model, limits.load_timeout)], None
        load_seconds = time.monotonic() - started
        try:
            entry = health.find_model(parse_listed(model), client.ps())
        except errors.OllamaError as error:
            return [inference.failed_list(error)], None
        stay = 0
    fields: dict[str, Any] = {} if stay is None else {"keep_alive": stay}
    options = inference.runner_options(entry, about, version)
    answer = Answer()
    started = time.monotonic()
    try:
        if embeds:
            _embed(client, model, answer, {**fields, "options": options}, limits.max_seconds)
        else:
            options["num_predict"] = inference.MAX_TOKENS
            _generate(client, model, answer, {**fields, "options": options}, limits.max_seconds)
    except errors.OllamaError as error:
        return [inference.failed_answer(error, model, limits.max_seconds, answer.pieces)], None
    run = inference.Measurement(
        model=model,
        kind="embed" if embeds else "generate",
        was_loaded=load_seconds is None,
        seconds=time.monotonic() - started,
        load_seconds=load_seconds,
        seconds_to_first_token=answer.first_after,
        tokens=answer.final.get("eval_count"),
        tokens_per_second=inference.per_second(answer.final.get("eval_count"), answer.final.get("eval_duration")),
        prompt_tokens=answer.final.get("prompt_eval_count"),
        answer_length=answer.length,
        size=(entry or {}).get("size"),
        size_vram=(entry or {}).get("size_vram", 0) if entry else None,
        context_length=(entry or {}).get("context_length"),
    )
    return inference.judge_run(run, limits), run


@dataclass
class Answer:
    """What arrived of an answer; filled while it arrives, so that it tells how far a broken one came."""

    pieces: int = 0
    length: int = 0
    first_after: float | None = None
    final: dict[str, Any] = field(default_factory=dict)


def _generate(client: OllamaClient, model: str, answer: Answer, fields: dict[str, Any], limit: float) -> None:
    """Let a model write a few tokens within `limit` seconds altogether."""
    started = time.monotonic()
    body = {"model": model, "prompt": inference.PROMPT, "stream": True, **fields}
    with client.stream("/api/generate", body, done=lambda line: bool(line.get("done")), timeout=limit) as stream:
        stream.limit(started + limit - time.monotonic())
        for line in stream:
            # A model that thinks writes its first tokens there.
            text = str(line.get("response") or "") + str(line.get("thinking") or "")
            if text:
                if answer.first_after is None:
                    answer.first_after = time.monotonic() - started
                answer.pieces += 1
                answer.length += len(text)
            if line.get("done"):
                answer.final = line


def _embed(client: OllamaClient, model: str, answer: Answer, fields: dict[str, Any], limit: float) -> None:
    """Let a model embed one sentence within `limit` seconds."""
    answer.final = client.embed(model, timeout=limit, input=inference.PROMPT, **fields)
    vectors = answer.final.get("embeddings") or [[]]
    answer.pieces, answer.length = 1, len(vectors[0])


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
        if report.verdict == health.HEALTHY or report.verdict in health.FINAL_VERDICTS or left <= wait_sleep:
            return report, attempts, clock() - started
        pause(wait_sleep)
