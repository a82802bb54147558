# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ollama_health against scripted servers: verdict, sentence and the requests that were made for them."""

from __future__ import annotations

import pytest
import yaml
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _health_options, _probe
from ansible_collections.alchemorsel.ollama.plugins.module_utils._verdicts import VERDICTS, Check
from ansible_collections.alchemorsel.ollama.plugins.modules import ollama_health
from healthy_server import BERT, DIGEST, FINAL, ps_entry, replies
from scripted_server import Reply


@pytest.fixture
def server(scripted_server):
    """Start a healthy server but for the replies given, by the last part of their path."""
    return lambda **changed: scripted_server(replies(**changed))


@pytest.fixture
def run(run_module):
    """Run ollama_health."""
    return lambda url, check_mode=False, **options: run_module(ollama_health, {"url": url, **options}, check_mode)


def statuses(result):
    return {check["name"]: check["status"] for check in result["checks"]}


# --- healthy: what is asked and told -----------------------------------------


def test_live_is_one_request(server, run):
    one = server()
    result = run(one.url, level="live")
    assert (result["healthy"], result["verdict"], result["changed"]) == (True, "healthy", False)
    assert one.paths() == ["/api/version"]
    assert result["msg"] == f"{one.url} is healthy: Ollama 0.32.15"


def test_ready_asks_two_more_and_one_per_model(server, tmp_path, run):
    one = server()
    result = run(
        one.url,
        models=["a", {"name": "B:1", "digest": "sha256:" + "b" * 64}],
        require_cloud_disabled=True,
        store_path=str(tmp_path),
        min_free=1,
    )
    assert result["healthy"] is True
    assert one.paths() == ["/api/version", "/api/tags", "/api/status", "/api/show", "/api/show"]
    assert all(body["system"] for body in one.sent("/api/show"))  # else the server may repeat an old answer
    assert statuses(result) == dict.fromkeys(["tcp", "http", "api", "version", "space", "cloud", "model"], "ok")
    assert result["models"][0] == {"name": "a:latest", "digest": "sha256:" + DIGEST, "size": 5}


@pytest.mark.parametrize("check_mode", [False, True])
def test_inference_loads_measures_and_leaves_memory_as_it_was(server, check_mode, run):
    one = server()
    result = run(one.url, check_mode=check_mode, level="inference", models=["a"])
    assert result["healthy"] is True
    load, answer = one.sent("/api/generate")
    assert load == {"model": "a:latest", "stream": False}
    assert answer["keep_alive"] == 0  # it was not loaded before
    assert answer["options"] == {"num_predict": 16, "num_ctx": 4096}
    (figures,) = result["runs"]
    assert figures["tokens_per_second"] == pytest.approx(2000.0)  # 4 tokens in 2 ms, the server's own counters
    assert (figures["tokens"], figures["prompt_tokens"], figures["answer_length"]) == (4, 7, 5)
    assert (figures["was_loaded"], figures["size_vram"]) == (False, 0)
    assert figures["load_seconds"] is not None


def test_a_loaded_model_is_not_loaded_again_and_stays_as_long_as_it_would(server, run):
    one = server(ps={"models": [ps_entry(stays=120)]})
    result = run(one.url, level="inference")
    (answer,) = one.sent("/api/generate")
    assert 100 <= answer["keep_alive"] <= 120
    assert result["runs"][0]["was_loaded"] is True
    assert statuses(result)["load"] == "skipped"


def test_a_pinned_model_stays_pinned(server, run):
    one = server(ps={"models": [ps_entry(stays=9e9)]})
    run(one.url, level="inference")
    assert one.sent("/api/generate")[0]["keep_alive"] == -1


def test_a_copy_of_a_loaded_model_is_loaded(server, run):
    """Both run in one process, which ps shows under the name that loaded it: to unload it would unload the other."""
    copies = {"models": [{"name": name, "digest": DIGEST, "size": 5} for name in ("a:latest", "copy:latest")]}
    one = server(tags=copies, ps={"models": [ps_entry(stays=9e9)]})
    result = run(one.url, level="inference", inference_models=["copy"])
    (answer,) = one.sent("/api/generate")
    assert (answer["model"], answer["keep_alive"]) == ("copy:latest", -1)
    assert result["runs"][0]["was_loaded"] is True


def test_a_model_that_does_not_show_is_not_unloaded(server, run):
    """It may be derived from the loaded one and run in its process."""
    one = server(ps={"models": [ps_entry("b:1")]})
    result = run(one.url, level="inference", inference_models=["a"], allow_load=True)
    load, answer = one.sent("/api/generate")
    assert "keep_alive" not in {**load, **answer}
    assert statuses(result)["gpu"] == "skipped"


def test_what_others_load_meanwhile_is_not_evicted(server, run):
    mine, others = {"models": [ps_entry()]}, {"models": [ps_entry("x:1", digest="c" * 64)]}
    one = server(ps=[{"models": []}, mine, others])
    result = run(one.url, level="inference", inference_models=["a", "b:1"])
    assert result["verdict"] == "not_loaded"
    assert "b:1 is not loaded, and loading it could evict what is: x:1" in result["msg"]
    assert {body["model"] for body in one.sent("/api/generate")} == {"a:latest"}


def test_a_model_about_to_leave_is_nobody_to_evict(server, run):
    one = server(ps=[{"models": []}, {"models": [ps_entry()]}, {"models": [ps_entry(stays=1)]}])
    run(one.url, level="inference", inference_models=["a", "b:1"])
    assert {body["model"] for body in one.sent("/api/generate")} == {"a:latest", "b:1"}


@pytest.mark.parametrize(("expect", "healthy"), [("^rea", True), ("^no$", False)])
def test_what_is_asked_and_expected(server, run, expect, healthy):
    one = server(ps={"models": [ps_entry()]})
    result = run(one.url, level="inference", prompt="Say it", max_tokens=3, expect=expect)
    (answer,) = one.sent("/api/generate")
    assert answer["prompt"] == "Say it"
    assert answer["options"] == {"num_ctx": 4096, "num_predict": 3, "temperature": 0}
    assert (result["healthy"], statuses(result)["expect"]) == (healthy, "ok" if healthy else "failed")


def test_low_space_does_not_hide_inference(server, run):
    result = run(server().url, level="inference", store_path="/", min_free="8000000T")
    assert result["verdict"] == "low_space"
    assert result["runs"]


def test_a_thinking_model_answers_too(server, run):
    thinking = Reply(lines=[{"model": "a", "response": "", "thinking": "hm", "done": False}, FINAL])
    one = server(ps={"models": [ps_entry()]}, generate=thinking)
    assert run(one.url, level="inference")["runs"][0]["answer_length"] == 2


def test_an_embedding_model_embeds(server, run):
    def embed(body):
        return {"model": "a", "embeddings": [[0.1, 0.2, 0.3]] if "input" in body else [], "prompt_eval_count": 4}

    one = server(show=BERT, embed=embed)
    result = run(one.url, level="inference", models=["a"])
    assert result["healthy"] is True
    assert "/api/generate" not in one.paths()
    load, answer = one.sent("/api/embed")
    assert load == {"model": "a:latest"}
    assert (answer["keep_alive"], "input" in answer) == (0, True)
    assert (result["runs"][0]["kind"], result["runs"][0]["answer_length"]) == ("embed", 3)


def test_nobody_there(server, run):
    gone = server()
    gone.stop()
    result = run(gone.url, level="live")
    assert (result["verdict"], result["healthy"], result["version"]) == ("unreachable", False, None)


def test_all_complaints_at_once(server, run):
    result = run(
        server(version={"version": "0.16.0"}, status={"cloud": {"disabled": False}}).url,
        models=["c", "d", "a"],
        require_cloud_disabled=True,
    )
    for words in ("0.16.0 is older", "cloud models are enabled", "model c:latest", "model d:latest"):
        assert words in result["msg"]
    assert "model a" not in result["msg"]


def test_a_broken_model_is_not_loaded(server, run):
    one = server(show=Reply(404, {"error": "model 'a' not found"}))
    run(one.url, level="inference", models=["a"])
    assert "/api/generate" not in one.paths()


def test_partly_on_the_gpu_is_a_warning(server, run, monkeypatch):
    warnings = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda _module, text: warnings.append(text))
    one = server(ps={"models": [ps_entry(size_vram=60)]})
    result = run(one.url, level="inference", gpu="required", gpu_witness="none")
    assert result["healthy"] is True
    assert statuses(result)["gpu"] == "warning"
    assert ["60% of a:latest" in text for text in warnings] == [True]


# --- waiting -----------------------------------------------------------------


def test_waits_until_it_is_healthy(server, run):
    one = server(version=[Reply(503, {"error": "server busy"}), Reply(502, ""), Reply(body={"version": "0.32.15"})])
    result = run(one.url, level="live", wait_timeout=60, wait_sleep=0.01)
    assert (result["healthy"], result["attempts"]) == (True, 3)


def test_what_time_does_not_cure_is_not_waited_for(server, run):
    result = run(server(version={"version": "0.1.0"}).url, level="live", wait_timeout=60, wait_sleep=0.01)
    assert (result["verdict"], result["attempts"]) == ("old_version", 1)


def test_the_deadline_ends_with_the_last_reason():
    """With a clock of its own: 10 s of waiting, 3 s pauses, each attempt takes 1 s."""
    now = [0.0]
    limits = []

    def ask(limit):
        limits.append(limit)
        now[0] += 1
        report = _probe.Report()
        report.checks.append(Check("api", "failed", f"attempt {len(limits)}", verdict="unreachable"))
        return report

    def pause(seconds):
        now[0] += seconds

    report, attempts, waited = _probe.wait_until_healthy(ask, 8.0, 10.0, 3.0, clock=lambda: now[0], pause=pause)
    assert (attempts, waited) == (3, 9.0)
    assert report.checks[0].reason == "attempt 3"
    assert limits == [8.0, 6.0, 2.0]  # no request outlasts the deadline


# --- options -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_seconds": 0}, "max_seconds is 0; wanted a number of seconds above 0"),
        ({"wait_timeout": -1}, "wait_timeout is -1"),
        ({"min_version": "new"}, "min_version is 'new'; wanted a version"),
        ({"models": ["a b"]}, "'a b' is invalid"),
        ({"inference_models": ["x:cloud"]}, "reserves"),
        ({"timeout": 0}, "timeout is 0"),
        ({"max_first_token_seconds": -1}, "max_first_token_seconds is -1; wanted a number of seconds above 0"),
        ({"min_certificate_days": -1}, "min_certificate_days is -1; wanted 0 or"),
        ({"max_tokens": 0}, "max_tokens is 0; wanted 1 to 512"),
        ({"max_tokens": 513}, "max_tokens is 513; wanted 1 to 512"),
        ({"prompt": " "}, "prompt is empty"),
        ({"prompt": "x" * 4001}, "prompt has 4001 characters; wanted at most 4000"),
        ({"expect": "("}, "expect is '(', which is no regular expression"),
        ({"container": "--help"}, "container is '--help'; wanted the name or ID of a container"),
        ({"gpu_witness": "log"}, "give container or log_path"),
        ({"ca_path": "/does/not/exist"}, "ca_path"),
    ],
)
def test_bad_input_is_one_sentence_and_no_verdict(options, words, run):
    result = run("http://127.0.0.1:9", **options)
    assert result["failed"] is True
    assert words in result["msg"]
    assert "healthy" not in result


def test_documentation_names_options_and_results(server, run):
    documented = yaml.safe_load(ollama_health.DOCUMENTATION)["options"]
    spec = _health_options.health_argument_spec()
    assert {name: option.get("default") for name, option in documented.items()} == {
        name: option.get("default") for name, option in spec.items()
    }
    result = run(server().url, level="inference", models=["a"])
    returned = yaml.safe_load(ollama_health.RETURN)
    assert set(result) - {"changed", "invocation", "warnings", "deprecations"} == set(returned)
    assert set(result["checks"][0]) == set(returned["checks"]["contains"])
    assert returned["verdict"]["choices"] == ["healthy", *VERDICTS]
    assert set(result["runs"][0]) == set(returned["runs"]["sample"][0])
