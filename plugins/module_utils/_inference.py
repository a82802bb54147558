# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which model proves that a server infers, with which request, and what its run tells. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._health import (
    FAILED,
    OK,
    SKIPPED,
    WARNING,
    Check,
    Number,
    failed_request,
    find_model,
    version_key,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName, parse_listed

# An expiry this far away is a pin (keep_alive below 0 gives a date in about 292 years).
PINNED_SECONDS = 10 * 365 * 24 * 3600
# A loaded model that leaves within this time counts as not loaded: its load must not fall into the time of an answer.
LEAVING_SECONDS = 5.0

PROMPT = "Answer with one word: ready?"
MAX_TOKENS = 16


@dataclass(frozen=True)
class Limits:
    """What a run is held to: seconds, tokens per second (None: not judged), and whether it must be on the GPU."""

    load_timeout: float = 300.0
    max_seconds: float = 30.0
    min_tokens_per_second: float | None = None
    gpu_required: bool = False


@dataclass(frozen=True)
class Measurement:
    """One run of a model. Times in seconds; counts in tokens; what the server did not tell is None."""

    model: str
    kind: str
    was_loaded: bool
    seconds: float
    load_seconds: float | None = None
    seconds_to_first_token: float | None = None
    tokens: int | None = None
    tokens_per_second: float | None = None
    prompt_tokens: int | None = None
    answer_length: int = 0
    size: int | None = None
    size_vram: int | None = None
    context_length: int | None = None


# --- which model, for how long ---------------------------------------------------------------------------------------


def seconds_left(entry: dict[str, Any], now: datetime) -> float | None:
    """Return the seconds until a loaded model leaves memory; None if ps does not tell it."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", str(entry.get("expires_at", "")))
    if not match:
        return None
    # The server writes nanoseconds, datetime takes microseconds.
    fraction = (match.group(2) or ".0")[:7].ljust(7, "0")
    zone = "+00:00" if match.group(3) == "Z" else match.group(3)
    try:
        return (datetime.fromisoformat(match.group(1) + fraction + zone) - now).total_seconds()
    except ValueError:
        return None


def is_staying(entry: dict[str, Any] | None, now: datetime) -> bool:
    """Whether a model is loaded and not about to leave."""
    if entry is None:
        return False
    left = seconds_left(entry, now)
    return left is None or left > LEAVING_SECONDS


def keep_alive(entry: dict[str, Any], now: datetime) -> Number | None:
    """Return the keep_alive (s) that leaves a loaded model's stay as it is; -1 for a pinned one, None for none to send."""
    left = seconds_left(entry, now)
    if left is None:
        return None
    return -1 if left > PINNED_SECONDS else max(1, int(left))


def choose_models(
    explicit: list[ModelName],
    declared: list[ModelName],
    tags: list[dict[str, Any]],
    loaded: list[dict[str, Any]],
    allow_load: bool,
) -> list[ModelName] | Check:
    """Return the models to prove inference with, or the failed check that says why there is none.

    Explicit ones if given; else one model: a declared one that is loaded, any loaded one, the smallest declared one, the
    smallest of the server; those that only embed last. A model that is not loaded is taken only where that evicts nobody, or with `allow_load`.
    """
    if explicit:
        if allow_load or not loaded:
            return explicit
        absent = [name.short for name in explicit if find_model(name, loaded) is None]
        if not absent:
            return explicit
        others = ", ".join(str(entry.get("name")) for entry in loaded)
        return Check(
            "load",
            FAILED,
            f"{absent[0]} is not loaded, and loading it could evict what is: {others}",
            absent[0],
            "not_loaded",
            remedy="set allow_load: true, or prove a model that is loaded",
        )
    in_memory = [name for name in declared if find_model(name, loaded)]
    if in_memory:
        return in_memory[:1]
    if loaded and not allow_load:
        return [parse_listed(str(loaded[0].get("name")))]
    wanted = {name.key for name in declared}
    candidates = [entry for entry in tags if not entry.get("remote_host")]
    preferred = [entry for entry in candidates if parse_listed(str(entry.get("name"))).key in wanted] or candidates
    if not preferred:
        return Check(
            "load",
            FAILED,
            "the server has no model to run",
            verdict="model_missing",
            remedy="pull one with ollama_model",
        )
    # One that writes tokens proves more than one that embeds.
    best = min(preferred, key=lambda entry: (_seems_to_embed(entry), int(entry.get("size", 0))))
    return [parse_listed(str(best["name"]))]


def _seems_to_embed(listed: dict[str, Any]) -> bool:
    """Whether a model of tags looks embedding-only; servers before 0.30 list no capabilities there, only the family."""
    if listed.get("capabilities"):
        return is_embedding_only(listed)
    return "bert" in str((listed.get("details") or {}).get("family") or "")


def is_embedding_only(shown: dict[str, Any]) -> bool:
    """Whether a model embeds and does not generate, by the capabilities that show tells."""
    capabilities = shown.get("capabilities") or []
    return "embedding" in capabilities and "completion" not in capabilities


def runner_options(entry: dict[str, Any] | None, shown: dict[str, Any], version: str) -> dict[str, int]:
    """Return the options under which the server uses a loaded runner as it is, instead of loading the model again.

    A runner is replaced if a request asks for another context, and its pin is lost then. ps shows the context clamped to
    what the model was trained for. Servers from 0.30 on compare clamped values when they generate; older ones, and all
    when they embed, compare what was asked for, which cannot be seen where the value was clamped: then nothing is sent, and
    the default is compared.
    """
    context = (entry or {}).get("context_length")
    if not isinstance(context, int) or context <= 0:
        return {}
    trained = next(
        (value for key, value in (shown.get("model_info") or {}).items() if key.endswith(".context_length")), None
    )
    if context == trained and (version_key(version) < (0, 30) or is_embedding_only(shown)):
        return {}
    return {"num_ctx": context}


# --- the outcome ------------------------------------------------------------------------------------------------------


def per_second(count: Any, nanoseconds: Any) -> float | None:
    """Return tokens per second from the server's own counters, None where it left one out."""
    if not isinstance(count, int) or not isinstance(nanoseconds, int) or nanoseconds <= 0:
        return None
    return count / (nanoseconds / 1e9)


def judge_run(run: Measurement, limits: Limits) -> list[Check]:
    """Return the checks of a run that ended with an answer."""
    model = run.model
    if run.load_seconds is None:
        checks = [Check("load", SKIPPED, f"{model} was loaded already", model, threshold=limits.load_timeout, unit="s")]
    else:
        reason = f"{model} was loaded in {run.load_seconds:.1f} s"
        checks = [Check("load", OK, reason, model, None, run.load_seconds, limits.load_timeout, "s")]
    what = "numbers" if run.kind == "embed" else "characters"
    checks.append(
        Check(
            "answer", OK, f"{model} answered with {run.answer_length} {what}", model, None, run.answer_length, 1, what
        )
        if run.answer_length
        else Check(
            "answer",
            FAILED,
            f"{model} answered with nothing",
            model,
            "empty_answer",
            0,
            1,
            what,
            "try the model by hand; if it stays silent, pull or create it again",
        )
    )
    checks.append(_limit("seconds", model, run.seconds, limits.max_seconds, "s", slow=run.seconds > limits.max_seconds))
    if run.kind == "generate":
        checks.append(_limit("first_token", model, run.seconds_to_first_token, None, "s"))
        rate, floor = run.tokens_per_second, limits.min_tokens_per_second
        too_low = rate is not None and floor is not None and rate < floor
        checks.append(_limit("tokens_per_second", model, rate, floor, "tokens/s", slow=too_low))
    checks.append(_judge_gpu(run, limits.gpu_required))
    return checks


def _limit(name: str, model: str, value: float | None, threshold: float | None, unit: str, slow: bool = False) -> Check:
    """Return the check of one figure."""
    if value is None:
        return Check(name, SKIPPED, f"the server did not tell it for {model}", model, None, None, threshold, unit)
    reason = f"{value:.2f} {unit} for {model}"
    if not slow:
        return Check(name, OK, reason, model, None, value, threshold, unit)
    return Check(
        name,
        FAILED,
        f"{reason}, wanted is {threshold:g} {unit}",
        model,
        "slow",
        value,
        threshold,
        unit,
        "see whether the model is on the GPU and what else loads the host, or change the limit",
    )


def _judge_gpu(run: Measurement, required: bool) -> Check:
    """Judge how much of a loaded model is in GPU memory, by the server's own account."""
    model = run.model
    if run.size is None or run.size_vram is None:
        status = FAILED if required else SKIPPED
        return Check(
            "gpu",
            status,
            f"the server does not list {model} as loaded",
            model,
            "on_cpu" if required else None,
            threshold=required,
            remedy="look at 'ollama ps'; a model derived from another one shows under the other's name"
            if required
            else None,
        )
    share = run.size_vram / run.size if run.size else 0.0
    reason = f"{share:.0%} of {model} is in GPU memory"
    value = round(100 * share, 1)
    if not required or share >= 1:
        return Check("gpu", OK, reason, model, None, value, 100 if required else None, "%")
    if share > 0:
        remedy = "take a smaller model or context, or unload others"
        return Check("gpu", WARNING, reason, model, None, value, 100, "%", remedy)
    return Check(
        "gpu",
        FAILED,
        f"{model} runs on the CPU",
        model,
        "on_cpu",
        value,
        100,
        "%",
        "read the reasons of gpu_info; if the GPU vanished from the container, recreate it",
    )


# What the server says when the process that holds a model died under it.
_RUNNER_DIED = re.compile(r"terminated|unexpected EOF|signal: |exit code|runner")


def failed_load(error: errors.OllamaError, model: str, limit: float) -> Check:
    """Judge a load that did not end well; `limit` in seconds."""
    if isinstance(error, (errors.ServerTimeout, errors.DeadlinePassed)):
        return Check(
            "load",
            FAILED,
            f"{model} was not loaded within {limit:g} s",
            model,
            "loading",
            threshold=limit,
            unit="s",
            remedy="raise load_timeout (a client that leaves aborts the load), or see whether another load hangs",
        )
    return _failed_request("load", error, model)


def failed_answer(error: errors.OllamaError, model: str, limit: float, tokens: int) -> Check:
    """Judge an answer that did not end well; `tokens` had arrived by then, `limit` in seconds."""
    if isinstance(error, (errors.ServerTimeout, errors.DeadlinePassed)):
        remedy = (
            "see what else loads the host, or raise max_seconds"
            if tokens
            else "its runner hangs or others wait before it; if that stays, restart the server"
        )
        return Check(
            "answer",
            FAILED,
            f"{model} is loaded and gave {tokens or 'no'} token{'' if tokens == 1 else 's'} within {limit:g} s",
            model,
            "slow" if tokens else "hung",
            tokens,
            limit,
            "s",
            remedy,
        )
    return _failed_request("answer", error, model)


def _failed_request(name: str, error: errors.OllamaError, model: str) -> Check:
    if isinstance(error, errors.BadAnswer) and _RUNNER_DIED.search(error.error or ""):
        return Check(
            name,
            FAILED,
            f"the process that runs {model} died: {error.error}",
            model,
            "runner_failed",
            remedy="look for an out-of-memory kill (kernel log, memory.events of the container) and at memory and pids limits",
        )
    return failed_request(name, error, model)


def failed_list(error: errors.OllamaError) -> Check:
    """Judge that /api/ps did not answer; while a runner hangs it blocks for up to 30 s (0.32)."""
    if isinstance(error, (errors.ServerTimeout, errors.DeadlinePassed)):
        return Check(
            "load",
            FAILED,
            "the server answers, but does not tell which models are loaded: the process of one hangs",
            verdict="hung",
            remedy="find the model that does not answer and restart the server if it stays so",
        )
    return failed_request("load", error)
