# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model's run tells, held to its limits. No I/O: `_trial.py` runs it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._health import failed_request
from ansible_collections.alchemorsel.ollama.plugins.module_utils._numbers import is_whole
from ansible_collections.alchemorsel.ollama.plugins.module_utils._verdicts import OK, SKIPPED, Check, failed

# A loaded model is ready within milliseconds. Where the server says it took longer, it had to load the model again: its
# process had died or hung.
RELOADED_FROM_SECONDS = 0.2
PROMPT = "Answer with one word: ready?"
MAX_TOKENS = 16
# What the server calls its durations (nanoseconds) -> their names in the result.
DURATIONS = {
    "total_duration": "total",
    "load_duration": "load",
    "prompt_eval_duration": "prompt_eval",
    "eval_duration": "eval",
}


@dataclass(frozen=True)
class RunLimits:
    """What a model is asked, and what its run is held to: seconds, tokens (per second); None: not judged."""

    load_timeout: float = 300.0
    max_seconds: float = 30.0
    max_first_token_seconds: float | None = None
    min_tokens_per_second: float | None = None
    min_context_length: int | None = None
    gpu_required: bool = False
    prompt: str = PROMPT
    max_tokens: int = MAX_TOKENS
    #: regular expression that must be found in the answer
    expect: str | None = None


@dataclass(frozen=True)
class Measurement:
    """One run of a model. Times in seconds, but `durations` (the server's own) in nanoseconds; counts in tokens.

    What the server did not tell is None.
    """

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
    durations: dict[str, int | None] = field(default_factory=dict)
    size: int | None = None
    size_vram: int | None = None
    context_length: int | None = None


def per_second(tokens: int | None, nanoseconds: int | None) -> float | None:
    """Return tokens per second from the server's own counters, None where it left one out."""
    if tokens is None or nanoseconds is None or nanoseconds <= 0:
        return None
    return tokens / (nanoseconds / 1e9)


def durations(final: dict[str, Any]) -> dict[str, int | None]:
    """Return the server's own durations in nanoseconds, as the last line of an answer has them."""
    return {name: count(final, key) for key, name in DURATIONS.items()}


def count(final: dict[str, Any], key: str) -> int | None:
    """Return a number as the last line of an answer has it, ``None`` where it has none."""
    value = final.get(key)
    return value if isinstance(value, int) and is_whole(value) else None


def without_reload(run: Measurement) -> Measurement:
    """Return a run with the time of a load apart that nobody expected, as the server tells it."""
    load = (run.durations.get("load") or 0) / 1e9
    if run.load_seconds is not None or load < RELOADED_FROM_SECONDS:
        return run
    first = run.seconds_to_first_token
    return replace(
        run,
        was_loaded=False,
        load_seconds=load,
        seconds=max(0.0, run.seconds - load),
        seconds_to_first_token=None if first is None else max(0.0, first - load),
    )


def judge_run(run: Measurement, limits: RunLimits, text: str = "") -> list[Check]:
    """Return the checks of a run that ended with an answer, but for the GPU; `text` is what the model wrote."""
    model = run.model
    if run.load_seconds is None:
        checks = [Check("load", SKIPPED, f"{model} was loaded already", model, threshold=limits.load_timeout, unit="s")]
    else:
        reason = f"{model} was loaded in {run.load_seconds:.1f} s"
        checks = [Check("load", OK, reason, model, None, run.load_seconds, limits.load_timeout, "s")]
    what = "numbers" if run.kind == "embed" else "characters"
    if run.answer_length:
        reason = f"{model} answered with {run.answer_length} {what}"
        checks.append(Check("answer", OK, reason, model, None, run.answer_length, 1, what))
    else:
        checks.append(failed("answer", "empty_answer", f"{model} answered with nothing", model, 0, 1, what))
    if limits.expect is not None:
        checks.append(_judge_text(run, limits.expect, text))
    checks.append(_at_most("seconds", model, run.seconds, limits.max_seconds))
    if run.kind == "generate":
        checks.append(_at_most("first_token", model, run.seconds_to_first_token, limits.max_first_token_seconds))
        checks.append(_judge_rate(run, limits.min_tokens_per_second))
    checks.append(_judge_context(run, limits.min_context_length))
    return checks


def _judge_text(run: Measurement, expect: str, text: str) -> Check:
    """Judge what a model wrote; what it thought before is no part of it."""
    if run.kind == "embed":
        return Check("expect", SKIPPED, f"{run.model} writes no text", run.model, threshold=expect)
    found = re.search(expect, text)
    shown = " ".join(text.split())[:80]
    if found:
        return Check("expect", OK, f"{run.model} wrote what was expected", run.model, None, shown, expect)
    return failed(
        "expect",
        "unexpected_answer",
        f"{run.model} wrote '{shown}', which '{expect}' does not match",
        run.model,
        shown,
        expect,
    )


def _at_most(name: str, model: str, value: float | None, most: float | None) -> Check:
    """Return the check of a time in seconds."""
    if value is None:
        return _untold(name, model, most, "s")
    reason = f"{_WHAT[name]} of {model} took {value:.2f} s"
    if most is None or value <= most:
        return Check(name, OK, reason, model, None, value, most, "s")
    return failed(name, "slow", f"{reason}, wanted are at most {most:g} s", model, value, most, "s")


_WHAT = {"seconds": "the answer", "first_token": "the first token"}


def _judge_rate(run: Measurement, least: float | None) -> Check:
    name, unit, rate = "tokens_per_second", "tokens/s", run.tokens_per_second
    if rate is None:
        return _untold(name, run.model, least, unit)
    reason = f"{run.model} wrote {rate:.2f} {unit}"
    if least is None or rate >= least:
        return Check(name, OK, reason, run.model, None, rate, least, unit)
    return failed(name, "slow", f"{reason}, wanted are at least {least:g} {unit}", run.model, rate, least, unit)


def _judge_context(run: Measurement, least: int | None) -> Check:
    name, context = "context_length", run.context_length
    if context is None:
        return _untold(name, run.model, least, "tokens")
    reason = f"{run.model} is loaded with a context of {context} tokens"
    if least is None or context >= least:
        return Check(name, OK, reason, run.model, None, context, least, "tokens")
    return failed(name, "short_context", f"{reason}, wanted are {least}", run.model, context, least, "tokens")


def _untold(name: str, model: str, threshold: float | None, unit: str) -> Check:
    return Check(name, SKIPPED, f"the server did not tell it for {model}", model, None, None, threshold, unit)


# --- what did not end well --------------------------------------------------------------------------------------------

# What the server says when the process that holds a model died under it.
_RUNNER_DIED = re.compile(r"terminated|unexpected EOF|signal: |exit code|runner")


def failed_load(error: errors.OllamaError, model: str, limit: float) -> Check:
    """Judge a load that did not end well; `limit` in seconds."""
    if isinstance(error, (errors.ServerTimeout, errors.DeadlinePassed)):
        return failed("load", "loading", f"{model} was not loaded within {limit:g} s", model, threshold=limit, unit="s")
    return _failed_request("load", error, model)


def failed_answer(error: errors.OllamaError, model: str, limit: float, tokens: int) -> Check:
    """Judge an answer that did not end well; `tokens` had arrived by then, `limit` in seconds."""
    if isinstance(error, (errors.ServerTimeout, errors.DeadlinePassed)):
        count = f"{tokens or 'no'} token{'' if tokens == 1 else 's'}"
        reason = f"{model} is loaded and gave {count} within {limit:g} s"
        remedy = "see what else loads the host, or raise max_seconds" if tokens else None
        return failed("answer", "slow" if tokens else "hung", reason, model, None, limit, "s", remedy)
    return _failed_request("answer", error, model)


def _failed_request(name: str, error: errors.OllamaError, model: str) -> Check:
    if isinstance(error, errors.BadAnswer) and _RUNNER_DIED.search(error.error or ""):
        return failed(name, "runner_failed", f"the process that runs {model} died: {error.error}", model)
    return failed_request(name, error, model)


def failed_list(error: errors.OllamaError) -> Check:
    """Judge that /api/ps did not answer; while a runner hangs it blocks for up to 30 s (0.32)."""
    if isinstance(error, (errors.ServerTimeout, errors.DeadlinePassed)):
        return failed(
            "load",
            "hung",
            "the server answers, but does not tell which models are loaded: the process of one hangs",
            remedy="find the model that does not answer and restart the server if it stays so",
        )
    return failed_request("load", error)
