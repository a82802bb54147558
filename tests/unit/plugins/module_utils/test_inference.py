# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts from plain values: which model is run, with what, and what its run tells."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _inference as inference
from ansible_collections.alchemorsel.ollama.plugins.module_utils._health import Check
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_name

NOW = datetime(2026, 11, 22, 10, 0, 0, tzinfo=timezone.utc)
A, B = parse_name("a"), parse_name("b")
TAGS = [{"name": "big:latest", "size": 9}, {"name": "a:latest", "size": 7}, {"name": "b:latest", "size": 5}]


def entry(name: str = "a:latest", **fields):
    return {"name": name, **fields}


# --- how long it stays -------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("2026-11-22T10:05:00Z", 300.0),
        ("2026-11-22T10:00:01.5Z", 1.5),
        ("2026-11-22T10:00:10.123456789Z", 10.123456),
        ("2026-11-22T12:00:00.25+02:00", 0.25),
        ("2026-11-22T09:59:00-00:00", -60.0),
        ("soon", None),
        ("2026-13-40T10:00:00Z", None),
        (None, None),
    ],
)
def test_seconds_left(text, left):
    assert inference.seconds_left(entry(expires_at=text), NOW) == left


@pytest.mark.parametrize(("seconds", "value"), [(300, 300), (299.9, 299), (0.2, 1), (292 * 365 * 24 * 3600, -1)])
def test_keep_alive_leaves_the_stay_as_it_is(seconds, value):
    until = (NOW + timedelta(seconds=seconds)).isoformat()
    assert inference.keep_alive(entry(expires_at=until), NOW) == value


def test_keep_alive_is_not_sent_where_the_stay_is_unknown():
    assert inference.keep_alive(entry(), NOW) is None


@pytest.mark.parametrize(("seconds", "staying"), [(300, True), (6, True), (4, False), (-1, False)])
def test_a_model_about_to_leave_counts_as_not_loaded(seconds, staying):
    until = (NOW + timedelta(seconds=seconds)).isoformat()
    assert inference.is_staying(entry(expires_at=until), NOW) is staying


def test_staying_without_entry_or_expiry():
    assert inference.is_staying(None, NOW) is False
    assert inference.is_staying(entry(), NOW) is True


# --- which model -------------------------------------------------------------


@pytest.mark.parametrize(
    ("explicit", "declared", "loaded", "allow", "chosen"),
    [
        ([], [], [], False, ["b:latest"]),  # the smallest there is
        ([], [A], [], False, ["a:latest"]),  # declared before smaller
        ([], [A, B], [], False, ["b:latest"]),  # the smallest declared
        ([], [A, B], ["a:latest"], False, ["a:latest"]),  # loaded before smaller
        ([], [A], ["big:latest"], False, ["big:latest"]),  # nobody is evicted for a declared one
        ([], [A], ["big:latest"], True, ["a:latest"]),  # unless allowed
        ([A, B], [], [], False, ["a:latest", "b:latest"]),
        ([A], [], ["a:latest", "big:latest"], False, ["a:latest"]),
        ([A], [], ["big:latest"], True, ["a:latest"]),
    ],
)
def test_choice(explicit, declared, loaded, allow, chosen):
    result = inference.choose_models(explicit, declared, TAGS, [entry(name) for name in loaded], allow)
    assert [name.short for name in result] == chosen


def test_a_loaded_model_is_not_evicted_for_a_named_one():
    check = inference.choose_models([A, B], [], TAGS, [entry("a:latest"), entry("big:latest")], False)
    assert isinstance(check, Check)
    assert (check.verdict, check.target) == ("not_loaded", "b:latest")
    assert "a:latest, big:latest" in check.reason
    assert "allow_load" in check.remedy


@pytest.mark.parametrize(
    "small", [{"capabilities": ["embedding"]}, {"details": {"family": "nomic-bert"}}, {"size": 9}], ids=str
)
def test_a_model_that_only_embeds_comes_last(small):
    tags = [{"name": "small:1", "size": 1, **small}, {"name": "a:latest", "size": 7, "capabilities": ["completion"]}]
    assert [name.short for name in inference.choose_models([], [], tags, [], False)] == ["a:latest"]


def test_a_cloud_stub_is_not_run():
    check = inference.choose_models([], [], [{"name": "x:1", "size": 1, "remote_host": "https://r"}], [], False)
    assert isinstance(check, Check)
    assert check.verdict == "model_missing"


@pytest.mark.parametrize(
    ("capabilities", "embeds"),
    [(["embedding"], True), (["completion"], False), (["completion", "embedding"], False), ([], False), (None, False)],
)
def test_embedding_only(capabilities, embeds):
    assert inference.is_embedding_only({"capabilities": capabilities}) is embeds


@pytest.mark.parametrize(
    ("context", "version", "options"),
    [
        (4096, "0.32.15", {"num_ctx": 4096}),
        (8192, "0.32.15", {"num_ctx": 8192}),  # clamped values are compared
        (4096, "0.24.0", {"num_ctx": 4096}),
        (8192, "0.24.0", {}),  # may have been clamped, what was asked for is unknown
        (0, "0.32.15", {}),
        (None, "0.32.15", {}),
    ],
)
def test_a_request_does_not_ask_for_another_context(context, version, options):
    shown = {"model_info": {"general.architecture": "llama", "llama.context_length": 8192}}
    assert inference.runner_options(entry(context_length=context), shown, version) == options


def test_a_clamped_context_is_not_sent_when_embedding():
    shown = {"capabilities": ["embedding"], "model_info": {"bert.context_length": 512}}
    assert inference.runner_options(entry(context_length=512), shown, "0.32.15") == {}
    assert inference.runner_options(entry(context_length=256), shown, "0.32.15") == {"num_ctx": 256}


# --- what a run tells --------------------------------------------------------

RUN = inference.Measurement(
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
)


def judged(limits=None, **fields):
    checks = inference.judge_run(replace(RUN, **fields), limits or inference.Limits())
    return {check.name: check for check in checks}


def test_rate_is_the_servers_own():
    assert inference.per_second(3, 1113000) == pytest.approx(2695.4, abs=0.1)
    assert inference.per_second(None, 1) is None
    assert inference.per_second(3, None) is None
    assert inference.per_second(3, 0) is None


def test_a_good_run_has_no_failure():
    checks = judged(inference.Limits(min_tokens_per_second=100, gpu_required=True))
    assert {name: check.status for name, check in checks.items()} == {
        "load": "skipped",
        "answer": "ok",
        "seconds": "ok",
        "first_token": "ok",
        "tokens_per_second": "ok",
        "gpu": "ok",
    }


@pytest.mark.parametrize(
    ("limits", "fields", "name", "status", "word"),
    [
        ({}, {"load_seconds": 2.0}, "load", "ok", None),
        ({}, {"answer_length": 0}, "answer", "failed", "empty_answer"),
        ({"max_seconds": 0.4}, {}, "seconds", "failed", "slow"),
        ({"min_tokens_per_second": 101}, {}, "tokens_per_second", "failed", "slow"),
        ({"min_tokens_per_second": 101}, {"tokens_per_second": None}, "tokens_per_second", "skipped", None),
        ({}, {"size_vram": 0}, "gpu", "ok", None),
        ({"gpu_required": True}, {"size_vram": 0}, "gpu", "failed", "on_cpu"),
        ({"gpu_required": True}, {"size_vram": 600}, "gpu", "warning", None),
        ({"gpu_required": True}, {"size": None, "size_vram": None}, "gpu", "failed", "on_cpu"),
        ({}, {"size": None, "size_vram": None}, "gpu", "skipped", None),
    ],
)
def test_thresholds(limits, fields, name, status, word):
    check = judged(inference.Limits(**limits), **fields)[name]
    assert (check.status, check.verdict) == (status, word)
    assert bool(check.remedy) is (status in ("failed", "warning"))


def test_an_embedding_has_no_tokens_to_count():
    assert set(judged(kind="embed")) == {"load", "answer", "seconds", "gpu"}


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
        (errors.StreamBroken("ended; why"), 2, "unreachable", "ended"),
        (errors.ModelNotFound("gone; pull"), 0, "model_missing", "gone"),
    ],
)
def test_an_answer_that_does_not_end_well(error, tokens, word, words):
    check = inference.failed_answer(error, "a:latest", 30.0, tokens)
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
    assert inference.failed_load(error, "a:latest", 300.0).verdict == word


def test_a_list_that_does_not_come_means_a_hung_runner():
    assert inference.failed_list(errors.ServerTimeout("x")).verdict == "hung"
    assert inference.failed_list(errors.NotOllama("x")).verdict == "not_ollama"
