# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers that no server gives end in plain words, or are read as far as they can be; never in a traceback."""

from __future__ import annotations

import json

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._answers import check_url
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._registry import Registry
from ansible_collections.alchemorsel.ollama.plugins.modules import ollama_health, ollama_model, ollama_model_info
from scripted_server import Reply, ScriptedServer

A = {"name": "a:latest", "digest": "a" * 64, "size": 1, "details": {}}
B = {"name": "b:latest", "digest": "b" * 64, "size": 1, "details": {}}
DEEP = "[" * 50_000
MODULES = {
    "names": (ollama_model, {"name": ["a"]}),
    "latest": (ollama_model, {"name": ["a"], "state": "latest", "exclusive": True}),
    "loaded": (ollama_model, {"models": [{"name": "a", "loaded": True}]}),
    "created": (ollama_model, {"models": [{"name": "a"}, {"name": "b", "from": "a", "system": "x"}]}),
    "absent": (ollama_model, {"name": ["b"], "state": "absent"}),
    "info": (ollama_model_info, {"check_updates": True, "details": True}),
    "running": (ollama_model_info, {"name": ["a"]}),
    "declared": (ollama_health, {"level": "inference", "models": ["a"], "allow_load": True}),
    "any": (ollama_health, {"level": "inference"}),
}
LIST = [
    {"models": [None]},
    {"models": ["x"]},
    {"models": [{"digest": "x"}]},
    {"models": [{**A, "name": "-"}]},
    {"models": [{**A, "name": 5}, B]},
    {"models": [{**A, "size": "abc", "size_vram": "x", "expires_at": 5, "details": "x", "capabilities": 5}]},
    {"models": [{**A, "size": [1], "context_length": "x"}]},
    Reply(body='{"models": [{"name": "a:latest", "size": 1e999}]}'),
    Reply(body=DEEP),
]
#: path -> answers to it, each to all modules
ODD = {
    "/api/version": [{"version": 5}, {"version": "x"}, Reply(body=DEEP)],
    "/api/tags": LIST,
    "/api/ps": LIST,
    "/api/show": [
        {"details": {}, "model_info": "x", "capabilities": 5},
        {"details": {}, "parameters": 5, "system": 7, "template": 8, "modelfile": 9, "license": 1, "messages": 2},
        Reply(500, DEEP),
        Reply(body=DEEP),
    ],
    "/api/generate": [
        {"model": "a"},
        Reply(lines=[{"model": "a", "response": 5, "done": True, "eval_count": "x", "eval_duration": "y"}]),
        Reply(lines=[{"model": "a", "response": "x", "done": True, "load_duration": "z", "prompt_eval_count": []}]),
        Reply(body=DEEP + "\n"),
    ],
    "/api/embed": [{"model": "a", "embeddings": 5}, {"model": "a", "embeddings": [5]}],
}
ANSWERS = [(path, number) for path, answers in ODD.items() for number in range(len(answers))]


@pytest.fixture
def answering(scripted_server, monkeypatch):
    """A server that is all right but for one of its answers."""
    # No source of a model is there.
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")

    def start(path: str, number: int) -> ScriptedServer:
        return scripted_server(
            {
                "/api/version": {"version": "0.32.15"},
                "/api/tags": {"models": [A, B]},
                "/api/ps": {"models": [{**A, "expires_at": "2319-01-01T00:00:00Z"}]},
                "/api/show": {"details": {}, "capabilities": ["embedding"] if path == "/api/embed" else []},
                "/api/generate": {"model": "a", "response": "x", "done": True},
                path: ODD[path][number],
            }
        )

    return start


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize(("path", "number"), ANSWERS)
def test_odd_answers_give_no_traceback(run_module, answering, module, path, number, tmp_path):
    server = answering(path, number)
    which, options = MODULES[module]
    if which is ollama_model:
        options = {**options, "state_dir": str(tmp_path), "retries": 0, "pull_timeout": 2}
    result = run_module(which, {"url": server.url, "timeout": 2, **options})
    assert result.get("msg") if result.get("failed") else "changed" in result


@pytest.mark.parametrize("number", [0, 1])
def test_a_list_that_cannot_be_read_is_not_an_empty_one(run_module, answering, number):
    server = answering("/api/tags", number)
    result = run_module(ollama_model, {"url": server.url, "name": ["c"]})
    assert (result["error_kind"], result["changed"]) == ("NotOllama", False)
    assert not server.sent("/api/pull")


def test_figures_of_a_pull_that_are_none(run_module, answering, scripted_server):
    server = answering("/api/tags", 3)
    odd = [{"status": 5, "digest": "x", "total": 5, "completed": wrong} for wrong in ("x", [1], None, -1, 1e300)]
    server.replies["/api/pull"] = Reply(lines=[*odd, {"error": "here it ends"}])
    result = run_module(ollama_model, {"url": server.url, "name": ["c"], "retries": 0})
    assert result["error_kind"] == "PullFailed" and "here it ends" in result["msg"]


# --- sources ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [DEEP, '{"layers": [{"digest": "x", "size": 1e999}]}', json.dumps({"layers": [{"size": [1]}]})]
)
def test_manifests_that_are_none(scripted_server, body):
    host = scripted_server({"/v2/library/a/manifests/latest": Reply(body=body)}).url.partition("://")[2]
    answer = Registry([host]).manifests([parse_name(f"{host}/library/a")])[f"{host}/library/a:latest"]
    if isinstance(answer, errors.PullFailed):
        assert isinstance(answer, errors.SourceUnusable) and "no manifest" in answer.message
    else:
        assert answer.size == 0


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example", "host:abc", "localhost:99999999"])
def test_hosts_in_names_that_are_none(host):
    with pytest.raises(errors.SourceUnreachable, match="cannot be reached from here"):
        Registry(timeout=2).manifest(parse_name(f"{host}/library/a"))


# --- addresses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://user:sekret@host:1",
        "http://user:sekret@host:notaport",
        "http://user:sek/ret@host",
        "http://user:sekret@[::1",
        "user:sekret@host:1",
        "http://host:1?key=sekret",
    ],
)
def test_secrets_in_an_address_are_not_shown(url):
    with pytest.raises(errors.InvalidInput) as caught:
        check_url(url)
    assert "sek" not in caught.value.message
    assert "host" in caught.value.message or "[::1" in caught.value.message


@pytest.mark.parametrize("url", ["http://user:sekret@127.0.0.1:1", "127.0.0.1:1?key=sekret", "user:sekret@127.0.0.1:1"])
@pytest.mark.parametrize("module", ["names", "info", "any"])
def test_secrets_in_an_address_are_not_shown_among_the_options(run_module, module, url):
    which, options = MODULES[module]
    result = run_module(which, {"url": url, **options})
    assert result["failed"] and "sekret" not in json.dumps(result)
    # The newest ansible-core leaves it to the controller to show the options
    if "invocation" in result:
        assert "127.0.0.1:1" in result["invocation"]["module_args"]["url"]


@pytest.mark.parametrize("key", ["sekret\n", "sek\tret", "sekr\u20act"])
@pytest.mark.parametrize("module", ["names", "info", "any"])
def test_a_key_that_cannot_be_sent_is_not_shown(run_module, answering, module, key):
    which, options = MODULES[module]
    result = run_module(which, {"url": answering("/api/version", 1).url, "api_key": key, **options})
    assert result["error_kind"] == "InvalidInput" and "api_key" in result["msg"]
    assert "sek" not in result["msg"]


# --- times --------------------------------------------------------------------------------------------------------

TIMES = {
    "latest": ["timeout", "pull_timeout", "stall_timeout", "progress_interval", "load_timeout", "lock_timeout"],
    "info": ["timeout"],
    "any": ["timeout", "load_timeout", "max_seconds", "wait_timeout", "wait_sleep"],
}


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), 1e7])
@pytest.mark.parametrize(("module", "option"), [(module, one) for module, options in TIMES.items() for one in options])
def test_times_that_no_clock_holds(run_module, answering, module, option, seconds):
    which, options = MODULES[module]
    result = run_module(which, {"url": answering("/api/version", 1).url, **options, option: seconds})
    assert result["error_kind"] == "InvalidInput" and f"{option} is " in result["msg"]
