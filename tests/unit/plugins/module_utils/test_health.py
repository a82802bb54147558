# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts from plain values: what is judged live and ready, and the sentence in which it ends."""

from __future__ import annotations

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _health as health
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_name

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
NAME = parse_name("Tiny-A")
LISTED = {"name": "tiny-a:latest", "digest": DIGEST, "size": 5}


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (errors.ServerUnreachable, "unreachable"),
        (errors.ServerTimeout, "unreachable"),
        (errors.StreamBroken, "unreachable"),
        (errors.TLSFailure, "tls_failure"),
        (errors.NotOllama, "not_ollama"),
        (errors.AccessRefused, "refused"),
        (errors.ServerBusy, "busy"),
        (errors.ModelNotFound, "model_missing"),
        (errors.BadAnswer, "bad_answer"),
    ],
)
def test_each_error_of_the_client_has_a_verdict(kind, word):
    check = health.failed_request("api", kind("it does not work: 42; do this"))
    assert (check.verdict, check.reason, check.remedy) == (word, "it does not work: 42", "do this")


def test_an_error_without_remedy_keeps_its_message():
    check = health.failed_request("api", errors.BadAnswer("http://h/api/tags answered 500: boom"))
    assert (check.reason, check.remedy) == ("http://h/api/tags answered 500: boom", None)


@pytest.mark.parametrize(
    ("version", "floor", "status"),
    [
        ("0.17.1", "0.17.1", "ok"),
        ("0.32.15", "0.17.1", "ok"),
        ("0.9.9", "0.17.1", "failed"),
        ("0.17.1-rc0", "0.17.1", "ok"),
        ("0.0.0", "0.17.1", "failed"),
        ("", "0.17.1", "failed"),
    ],
)
def test_version_floor(version, floor, status):
    check = health.check_version(version, floor)
    assert check.status == status
    assert check.verdict == ("old_version" if status == "failed" else None)


def test_wanted_models_take_the_list_of_ollama_model():
    wanted = health.wanted_models(
        ["tiny-a", {"name": "b:1", "digest": "A" * 64, "keep_alive": -1}, {"name": "gone", "state": "absent"}]
    )
    assert [(item.name.short, item.digest) for item in wanted] == [("tiny-a:latest", None), ("b:1", DIGEST)]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (7, "models contains 7; wanted a name"),
        ({"nam": "x"}, "wanted a name, or a dictionary with name"),
        ("a b", "'a b' is invalid"),
        ({"name": "a", "digest": "sha256:12"}, "digest 'sha256:12' is invalid"),
    ],
)
def test_wanted_models_refuse_the_rest(entry, words):
    with pytest.raises(errors.InvalidInput, match="wanted") as caught:
        health.wanted_models([entry])
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("digest", "listed", "problem", "word", "reason"),
    [
        (None, LISTED, None, None, "there and whole"),
        (DIGEST, LISTED, None, None, "there and whole"),
        (OTHER, LISTED, None, "wrong_digest", "another digest"),
        (None, None, None, "model_missing", "is not on the server"),
        (None, LISTED, errors.ModelNotFound("m; r", error="model 'tiny-a' not found"), "model_broken", "not found"),
        (None, LISTED, errors.BadAnswer("http://h answered 500: an empty body"), "model_broken", "500"),
        (None, LISTED, errors.ServerBusy("busy; wait"), "busy", "busy"),
    ],
)
def test_model(digest, listed, problem, word, reason):
    check = health.check_model(health.Wanted(NAME, digest), listed, problem)
    assert (check.verdict, check.target) == (word, "Tiny-A:latest")
    assert check.status == ("failed" if word else "ok")
    assert reason in check.reason
    assert bool(check.remedy) is bool(word)


def test_a_digest_that_differs_is_told_with_both_sides():
    check = health.check_model(health.Wanted(NAME, OTHER), LISTED)
    assert (check.value, check.threshold) == (DIGEST, OTHER)


def test_models_are_found_in_any_spelling():
    models = [{"name": "x:1"}, {"name": "bad name"}, {"name": "tiny-A:latest"}]
    assert health.find_model(parse_name("registry.ollama.ai/library/TINY-a"), models) is models[2]
    assert health.find_model(parse_name("hf.co/library/tiny-a"), models) is None


@pytest.mark.parametrize(("free", "word"), [(10, None), (9, "low_space"), (None, "low_space")])
def test_space(free, word):
    check = health.check_space("/store", free, 10)
    assert (check.verdict, check.value, check.threshold, check.unit) == (word, free, 10, "bytes")


@pytest.mark.parametrize(("disabled", "word"), [(True, None), (False, "cloud_on"), (None, "cloud_on")])
def test_cloud(disabled, word):
    assert health.check_cloud({"disabled": disabled, "source": "env"}).verdict == word


def test_verdict_is_the_first_failure():
    ok = health.Check("api", health.OK, "fine")
    warning = health.Check("gpu", health.WARNING, "half")
    slow = health.Check("seconds", health.FAILED, "late", verdict="slow", remedy="hurry")
    broken = health.Check("model", health.FAILED, "gone", verdict="model_missing")
    assert health.verdict([ok, warning]) == "healthy"
    assert health.verdict([ok, slow, broken]) == "slow"
    assert health.sentence("http://h", "0.32.15", [ok, slow, broken], 60, 3) == (
        "http://h is not healthy after 3 attempts in 60 s (slow): late; hurry. gone"
    )


def test_sentence_of_a_healthy_server():
    checks = [
        health.Check("model", health.OK, "", "a"),
        health.Check("model", health.OK, "", "b"),
        health.Check("seconds", health.OK, "", "a:latest", value=0.214, unit="s"),
    ]
    assert health.sentence("http://h", "0.32.15", checks, 0, 1) == (
        "http://h is healthy: Ollama 0.32.15, 2 models ready, a:latest answered in 0.21 s"
    )
