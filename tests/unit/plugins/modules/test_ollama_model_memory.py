# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ollama_model and the server's memory, against the stand-in in both versions."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
from ansible_collections.alchemorsel.ollama.plugins.modules import ollama_model
from fake_ollama import manifest, without

#: Servers and processes of their own: not for every save
pytestmark = pytest.mark.slow

VERSIONS = ["0.24.0", "0.32.15"]
ONE = manifest("one")
NEVER, SOON = "2318-04-13T23:47:16.854775807Z", "2026-01-01T00:05:00Z"


@pytest.fixture(params=VERSIONS)
def lab(request, standin, model_registry, run_module):
    """`lab(**environment)` starts a server; the result runs the module on it."""

    def start(**environment):
        server = standin(request.param, {"STANDIN_TIME_SCALE": "0.01", **environment})
        for model in ("a", "b", "bert"):
            model_registry.publish(f"library/{model}", weights=f"tiny-{model}")

        def run(models, check_mode=False, **options):
            published = ("a", "b", "bert")
            models = [
                {
                    key: model_registry.model(value)
                    if key in ("name", "from", "copy_of") and value in published
                    else value
                    for key, value in entry.items()
                }
                for entry in models
            ]
            options = {"url": server.url, "models": models, "insecure_registries": [model_registry.host], **options}
            return run_module(ollama_model, {"_ansible_diff": True, **options}, check_mode)

        run.server = server
        run.name = model_registry.model
        return run

    return start


def check_run_again(run, models, **options):
    """Run in check mode, for real and again: the prediction is the outcome, and the second run does nothing."""
    predicted = run(models, check_mode=True, **options)
    result = run(models, **options)
    assert not result.get("failed"), result["msg"]
    hidden = ["seconds", "digest_before", "digest_after", "bytes"]
    assert [without(action, hidden) for action in predicted["actions"]] == [
        without(action, hidden) for action in result["actions"]
    ]
    assert predicted["changed"] == result["changed"]
    before = in_memory(run)
    again = run(models, **options)
    assert (again["changed"], again["actions"]) == (False, [])
    assert in_memory(run) == before
    return result


def in_memory(run):
    """What ps shows, name -> whether it stays for good."""
    return {entry["name"]: entry["expires_at"] > "2200" for entry in run.server.json("GET", "/api/ps")["models"]}


def brief(result):
    return [(action["action"], action["name"], action["changed"]) for action in result["actions"]]


def happens(condition, seconds=20.0):
    """Wait until something is so; tell whether it is."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_pulled_and_loaded_and_unloaded(lab):
    run = lab()
    a, bert = run.name("a"), run.name("bert")
    models = [{"name": "a", "loaded": True}, {"name": "bert", "keep_alive": -1}, {"name": "b", "loaded": False}]
    result = check_run_again(run, models)
    assert brief(result)[-2:] == [("load", a, True), ("load", bert, True)]
    assert in_memory(run) == {a: True, bert: True}
    assert result["diff"]["after"].endswith(f"{a} memory: pinned\n{bert} memory: pinned\n")
    assert "memory" not in result["diff"]["before"]
    load = result["actions"][-2]
    assert load["digest_before"] == load["digest_after"] == result["models"][0]["digest"] and load["bytes"] > 0
    runners = run.server.runners
    result = check_run_again(run, [{"name": "a", "loaded": False}, {"name": "bert", "loaded": True}])
    assert brief(result) == [("unload", a, True)]
    assert in_memory(run) == {bert: True}
    # The list forgets a process that has been told to end before it is gone.
    assert happens(lambda: len(run.server.runners) == len(runners) - 1)
    assert f"{a} memory: pinned\n" in result["diff"]["before"] and "memory" not in result["diff"]["after"]


def test_what_would_leave_is_kept_by_the_same_process(lab):
    run = lab()
    run([{"name": "a"}])
    run.server.json("POST", "/api/generate", {"model": run.name("a"), "keep_alive": "10m"})
    runners = run.server.runners
    result = check_run_again(run, [{"name": "a", "loaded": True}])
    assert [action["reason"] for action in result["actions"]] == ["loaded, but not for good"]
    assert (in_memory(run), run.server.runners) == ({run.name("a"): True}, runners)


def test_an_alias_and_a_model_with_a_context_of_its_own(lab):
    run = lab()
    wide = {"name": "wide", "from": "a", "parameters": {"num_ctx": 64}, "loaded": True}
    result = check_run_again(run, [{"name": "a"}, wide])
    assert brief(result)[-1] == ("load", "wide:latest", True)
    alias = [{"name": "a", "loaded": True}, {"name": "alias", "copy_of": "a", "loaded": True}]
    result = check_run_again(run, alias)
    assert brief(result) == [("copy", "alias:latest", True), ("load", run.name("a"), True)]
    assert in_memory(run) == {run.name("a"): True}


@pytest.mark.parametrize("weights", ["tiny-a", "tiny-c"])
def test_an_update_replaces_what_is_in_memory(lab, model_registry, weights):
    run = lab()
    models = [{"name": "a", "state": "latest", "loaded": True}]
    check_run_again(run, models)
    model_registry.publish("library/a", weights=weights, system="New")
    result = check_run_again(run, models)
    assert brief(result) == [("update", run.name("a"), True), ("load", run.name("a"), True)]
    assert result["actions"][1]["reason"] == "an older version is loaded"
    (entry,) = run.server.json("GET", "/api/ps")["models"]
    assert "sha256:" + entry["digest"] == result["models"][0]["digest"]
    assert happens(lambda: len(run.server.runners) == 1)


def test_one_that_has_to_leave_for_another_is_named(lab):
    run = lab(OLLAMA_MAX_LOADED_MODELS="1")
    run([{"name": "a", "loaded": True}, {"name": "b"}, {"name": "bert"}])
    models = [{"name": "a", "loaded": True}, {"name": "b", "loaded": True}, {"name": "bert", "state": "absent"}]
    result = run(models)
    assert (result["error_kind"], result["changed"]) == ("Evicted", True)
    assert f"for it the server unloaded {run.name('a')}" in result["msg"]
    assert brief(result) == [("load", run.name("b"), True)]
    assert run.name("bert") in [model["name"] for model in result["models"]]


def test_a_load_that_takes_too_long_is_given_up(lab):
    run = lab(STANDIN_LOAD_SECONDS="30")
    result = run([{"name": "a", "loaded": True}], load_timeout=0.3)
    assert result["error_kind"] == "LoadTimeout" and "was not loaded within 0.3 s" in result["msg"]
    assert brief(result) == [("pull", run.name("a"), True)]
    assert in_memory(run) == {}
    assert happens(lambda: not run.server.runners)


def test_the_server_gives_a_load_up(lab):
    run = lab(STANDIN_LOAD_SECONDS="30", OLLAMA_LOAD_TIMEOUT="1s")
    result = run([{"name": "a", "loaded": True}])
    assert result["error_kind"] == "LoadTimeout" and "OLLAMA_LOAD_TIMEOUT" in result["msg"]


def test_a_process_that_is_killed_while_it_loads(lab):
    run = lab(STANDIN_LOAD_SECONDS="60")
    run([{"name": "a"}])

    def kill():
        assert happens(lambda: run.server.runners, 60)
        for pid in run.server.runners:
            os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    result = run([{"name": "a", "loaded": True}])
    killer.join()
    assert result["error_kind"] == "RunnerDied" and "out-of-memory kill" in result["msg"]
    assert "signal: killed" in result["error"]


def test_a_model_that_only_embeds_is_seen_and_unloaded(lab):
    run = lab()
    run([{"name": "bert"}])
    run.server.json("POST", "/api/embed", {"model": run.name("bert"), "keep_alive": -1})
    assert check_run_again(run, [{"name": "bert", "loaded": True}])["actions"] == []
    assert brief(check_run_again(run, [{"name": "bert", "keep_alive": 0}])) == [("unload", run.name("bert"), True)]


# --- requests and options -----------------------------------------------------------------------------------------


def test_memory_costs_one_request_and_only_where_it_is_declared(run, ollama):
    digest = ollama.have("a", ONE)
    ollama.server.replies["/api/ps"] = {
        "models": [{"name": ollama.name("a"), "digest": digest[7:], "expires_at": NEVER}]
    }
    assert not run(name=ollama.name("a"))["changed"]
    assert ollama.calls == ["GET /api/tags"]
    for declared in ({"loaded": True}, {"keep_alive": -1}):
        assert not run(models=[{"name": ollama.name("a"), **declared}])["changed"]
        assert ollama.calls == ["GET /api/tags", "GET /api/ps"]


def test_a_load_is_put_off(run, ollama):
    ollama.have("a", ONE)
    models = [{"name": ollama.name("a"), "loaded": True}]
    result = run(_defer=True, models=models, timeout=30, load_timeout=50, lock_timeout=7)
    assert result["work_due"] == {"seconds": 7 + 2 * 10 * 30 + 2 * 50.0, "offers": {}}
    assert ollama.calls == ["GET /api/tags", "GET /api/ps", "GET /api/version"]
    result = run(_defer=True, models=models, timeout=30, lock_timeout=7)
    assert result["work_due"]["seconds"] == 7 + 2 * 10 * 30 + 2 * 300.0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"load_timeout": 0}, "load_timeout is 0.0; wanted a number of seconds above 0"),
        ({"models": [{"name": "a", "keep_alive": "5m"}]}, "after which the server unloads it by itself"),
        ({"models": [{"name": "a", "loaded": True}, {"name": "b", "from": "a", "loaded": True}]}, "declare it of a:latest instead"),
    ],
)  # fmt: skip
def test_refused_before_the_server_is_asked(run, ollama, options, words):
    result = run(**{"models": [{"name": "a"}], **options})
    assert (result["error_kind"], result["changed"]) == ("InvalidInput", False)
    assert words in result["msg"]
    assert ollama.calls == []
