# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts from plain values: what is judged live and ready, and the sentence in which it ends."""

from __future__ import annotations

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _health as health
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _verdicts as verdicts
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_name

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
NAME = parse_name("Tiny-A")
LISTED = {"name": "tiny-a:latest", "digest": DIGEST, "size": 5}


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (errors.ServerUnreachable, "no_answer"),
        (errors.ServerTimeout, "no_answer"),
        (errors.StreamBroken, "no_answer"),
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


@pytest.mark.parametrize("kind", [errors.ServerUnreachable, errors.ServerTimeout])
def test_no_connection_at_all(kind):
    assert health.verdict_of_error(kind("nobody there; start it", connected=False)) == "unreachable"


@pytest.mark.parametrize(
    ("error", "names", "word"),
    [
        (None, ["tcp", "http", "api"], None),
        (errors.ServerUnreachable("x; y", connected=False), ["tcp"], "unreachable"),
        (errors.ServerTimeout("x; y"), ["tcp", "http"], "no_answer"),
        (errors.NotOllama("x; y"), ["tcp", "http", "api"], "not_ollama"),
        (errors.AccessRefused("x; y"), ["tcp", "http", "api"], "refused"),
    ],
)
def test_how_far_the_first_request_came(error, names, word):
    checks = health.check_first_request("http://h:1", 0.5, 30.0, error)
    assert [check.name for check in checks] == names
    assert [check.status for check in checks[:-1]] == ["ok"] * (len(names) - 1)
    assert checks[-1].verdict == word
    if word is None:
        assert (checks[1].value, checks[1].threshold, checks[1].unit) == (0.5, 30.0, "s")


def test_tls_is_a_step_of_its_own():
    steps = health.check_first_request("https://h:1", 0.5, 30.0, errors.TLSFailure("expired; renew"))
    assert [(check.name, check.status) for check in steps] == [("tcp", "ok"), ("tls", "failed")]
    steps = health.check_first_request("https://h:1", 0.5, 30.0)
    assert [check.name for check in steps] == ["tcp", "tls", "http", "api"]


def test_an_error_without_remedy_gets_that_of_its_verdict():
    check = health.failed_request("api", errors.BadAnswer("http://h/api/tags answered 500: boom"))
    assert (check.reason, check.remedy) == ("http://h/api/tags answered 500: boom", "read the server's log")


@pytest.mark.parametrize(
    ("version", "floor", "status"),
    [
        ("0.17.1", "0.17.1", "ok"),
        ("0.32.15", "0.17.1", "ok"),
        ("0.9.9", "0.17.1", "failed"),
        ("0.17.1-rc0", "0.17.1", "ok"),
        ("0.0.0", "0.17.1", "failed"),
        ("", "0.17.1", "failed"),
        ("0.0.0", "0", "ok"),
        ("0.1", "0.0.0", "ok"),
    ],
)
def test_version_floor(version, floor, status):
    check = health.check_version(version, floor)
    assert check.status == status
    assert check.verdict == ("old_version" if status == "failed" else None)


@pytest.mark.parametrize("version", ["0.0.0", "", "dev"])
def test_a_version_that_says_nothing_is_told_so(version):
    assert health.check_version(version, "0.17.1").reason == (
        f"the server says version '{version}', so it is unknown whether it is at least 0.17.1"
    )


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
    check = health.check_model(health.WantedModel(NAME, digest), listed, problem)
    assert (check.verdict, check.target) == (word, "Tiny-A:latest")
    assert check.status == ("failed" if word else "ok")
    assert reason in check.reason
    assert bool(check.remedy) is bool(word)


def test_a_digest_that_differs_is_told_with_both_sides():
    check = health.check_model(health.WantedModel(NAME, OTHER), LISTED)
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
    ok = verdicts.Check("api", verdicts.OK, "fine")
    warning = verdicts.Check("gpu", verdicts.WARNING, "half")
    slow = verdicts.Check("seconds", verdicts.FAILED, "late", verdict="slow", remedy="hurry")
    broken = verdicts.Check("model", verdicts.FAILED, "gone", verdict="model_missing")
    assert health.verdict([ok, warning]) == "healthy"
    assert health.verdict([ok, slow, broken]) == "slow"
    assert health.sentence("http://h", "0.32.15", [ok, slow, broken], 60, 3) == (
        "http://h is not healthy after 3 attempts in 60 s (slow): late; hurry; also: gone"
    )


def test_sentence_of_a_healthy_server():
    checks = [
        verdicts.Check("model", verdicts.OK, "", "a"),
        verdicts.Check("model", verdicts.OK, "", "b"),
        verdicts.Check("seconds", verdicts.OK, "", "a:latest", value=0.214, unit="s"),
    ]
    assert health.sentence("http://h", "0.32.15", checks, 0, 1) == (
        "http://h is healthy: Ollama 0.32.15, 2 models ready, a:latest answered in 0.21 s"
    )
