# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts from plain values: what a model's run tells, held to its limits."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _run as run

RUN = run.Measurement(
    model="a:latest",
    kind="generate",
    was_loaded=True,
    seconds=0.5,
    seconds_to_first_token=0.1,
    tokens=16,
    tokens_per_second=100.0,
    answer_length=40,
    size=1000,
    size_vram=1000,
    context_length=4096,
)


def judged(limits=None, text="", **fields):
    checks = run.judge_run(replace(RUN, **fields), limits or run.RunLimits(), text)
    return {check.name: check for check in checks}


def test_rate_is_the_servers_own():
    assert run.per_second(3, 1113000) == pytest.approx(2695.4, abs=0.1)
    assert run.per_second(None, 1) is None
    assert run.per_second(3, None) is None
    assert run.per_second(3, 0) is None


def test_a_good_run_has_no_failure():
    limits = run.RunLimits(
        min_tokens_per_second=100, max_first_token_seconds=0.1, min_context_length=4096, expect="(?i)READY"
    )
    checks = judged(limits, "I am ready.")
    assert {name: check.status for name, check in checks.items()} == {
        "load": "skipped",
        "answer": "ok",
        "expect": "ok",
        "seconds": "ok",
        "first_token": "ok",
        "tokens_per_second": "ok",
        "context_length": "ok",
    }


@pytest.mark.parametrize(
    ("limits", "fields", "name", "status", "word"),
    [
        ({}, {"load_seconds": 2.0}, "load", "ok", None),
        ({}, {"answer_length": 0}, "answer", "failed", "empty_answer"),
        ({"max_seconds": 0.4}, {}, "seconds", "failed", "slow"),
        ({"min_tokens_per_second": 101}, {}, "tokens_per_second", "failed", "slow"),
        ({"min_tokens_per_second": 101}, {"tokens_per_second": None}, "tokens_per_second", "skipped", None),
        ({"max_first_token_seconds": 0.05}, {}, "first_token", "failed", "slow"),
        ({"max_first_token_seconds": 0.05}, {"seconds_to_first_token": None}, "first_token", "skipped", None),
        ({"min_context_length": 4097}, {}, "context_length", "failed", "short_context"),
        ({"min_context_length": 4097}, {"context_length": None}, "context_length", "skipped", None),
        ({"expect": "ready"}, {}, "expect", "failed", "unexpected_answer"),
        ({"expect": "ready"}, {"kind": "embed"}, "expect", "skipped", None),
    ],
)
def test_thresholds(limits, fields, name, status, word):
    check = judged(run.RunLimits(**limits), **fields)[name]
    assert (check.status, check.verdict) == (status, word)
    assert bool(check.remedy) is (status in ("failed", "warning"))


def test_an_embedding_has_no_tokens_to_count():
    assert set(judged(kind="embed")) == {"load", "answer", "seconds", "context_length"}


@pytest.mark.parametrize(
    ("error", "tokens", "word", "words"),
    [
        (errors.ServerTimeout("x"), 0, "hung", "gave no tokens within 30 s"),
        (errors.DeadlinePassed("x"), 1, "slow", "gave 1 token within 30 s"),
        (errors.DeadlinePassed("x"), 5, "slow", "gave 5 tokens within 30 s"),
        (errors.ServerBusy("busy; later"), 0, "busy", "busy"),
        (errors.BadAnswer("m", error="model runner has unexpectedly stopped"), 0, "runner_failed", "died"),
        (
            errors.BadAnswer("m", error="llama-server process has terminated: signal: killed"),
            0,
            "runner_failed",
            "killed",
        ),
        (
            errors.BadAnswer("m", error="an error was encountered while running the model: unexpected EOF"),
            3,
            "runner_failed",
            "unexpected EOF",
        ),
        (errors.BadAnswer("m answered 400", error='option "num_ctx" must be of type integer'), 0, "bad_answer", "400"),
        (errors.StreamBroken("ended; why"), 2, "no_answer", "ended"),
        (errors.ModelNotFound("gone; pull"), 0, "model_missing", "gone"),
    ],
)
def test_an_answer_that_does_not_end_well(error, tokens, word, words):
    check = run.failed_answer(error, "a:latest", 30.0, tokens)
    assert (check.status, check.verdict, check.target) == ("failed", word, "a:latest")
    assert words in check.reason


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (errors.ServerTimeout("x"), "loading"),
        (errors.BadAnswer("m", error="llama-server process has terminated: signal: killed"), "runner_failed"),
        (errors.BadAnswer("m", error="model requires more system memory (9 GiB) than is available"), "bad_answer"),
    ],
)
def test_a_load_that_does_not_end_well(error, word):
    assert run.failed_load(error, "a:latest", 300.0).verdict == word


def test_a_list_that_does_not_come_means_a_hung_runner():
    assert run.failed_list(errors.ServerTimeout("x")).verdict == "hung"
    assert run.failed_list(errors.NotOllama("x")).verdict == "not_ollama"


def test_the_servers_own_durations():
    final = {"total_duration": 4, "load_duration": 1, "eval_duration": 2, "eval_count": 3}
    assert run.durations(final) == {"total": 4, "load": 1, "prompt_eval": None, "eval": 2}


def test_an_answer_is_shown_in_part():
    check = judged(run.RunLimits(expect="^x$"), "no\n" * 200)["expect"]
    assert (len(check.value), check.threshold) == (80, "^x$")
    assert "'^x$' does not match" in check.reason


@pytest.mark.parametrize(
    ("fields", "load", "expected"),
    [
        # was_loaded, load_seconds, seconds, seconds_to_first_token
        ({}, 10_000_000, (True, None, 25.0, 21.0)),
        ({}, None, (True, None, 25.0, 21.0)),
        ({}, 20_000_000_000, (False, 20.0, 5.0, 1.0)),
        ({"seconds_to_first_token": None}, 20_000_000_000, (False, 20.0, 5.0, None)),
        ({"was_loaded": False, "load_seconds": 3.0}, 20_000_000_000, (False, 3.0, 25.0, 21.0)),
    ],
)
def test_a_load_that_nobody_expected_is_apart(fields, load, expected):
    one = replace(RUN, **{"seconds": 25.0, "seconds_to_first_token": 21.0, "durations": {"load": load}, **fields})
    seen = run.without_reload(one)
    assert (seen.was_loaded, seen.load_seconds, seen.seconds, seen.seconds_to_first_token) == expected
