# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ollama_health's fault table: what is wrong with the server, options, verdict, and words in the message."""

from __future__ import annotations

import pytest
from ansible_collections.alchemorsel.ollama.plugins.modules import ollama_health
from healthy_server import FINAL, ps_entry, replies
from scripted_server import Reply

FAULTS = {
    "not ollama": (
        {"version": Reply(body="<html>nginx</html>")},
        {"level": "live"},
        "not_ollama",
        "is not an Ollama server",
    ),
    "no such path": ({"version": Reply(404, "404 page not found")}, {"level": "live"}, "not_ollama", "404"),
    "other JSON": ({"version": {"version": 3}}, {"level": "live"}, "not_ollama", "is not an Ollama server"),
    "403 empty": ({"version": Reply(403)}, {"level": "live"}, "refused", "403 and an empty body"),
    "gateway": ({"version": Reply(502, "bad gateway")}, {"level": "live"}, "no_answer", "502"),
    "no answer": ({"version": Reply(hang=True)}, {"level": "live", "timeout": 0.3}, "no_answer", "did not answer"),
    "old": ({"version": {"version": "0.16.0"}}, {"level": "live"}, "old_version", "0.16.0 is older than 0.17.1"),
    "missing": ({}, {"models": ["c"]}, "model_missing", "model c:latest is not on the server"),
    "digest": ({}, {"models": [{"name": "a", "digest": "c" * 64}]}, "wrong_digest", "another digest"),
    "broken": (
        {"show": Reply(404, {"error": "model 'a' not found"})},
        {"models": ["a"]},
        "model_broken",
        "missing or damaged: model 'a' not found",
    ),
    "broken 500": ({"show": Reply(500)}, {"models": ["a"]}, "model_broken", "missing or damaged"),
    "cloud": (
        {"status": {"cloud": {"disabled": False}}},
        {"require_cloud_disabled": True},
        "cloud_on",
        "leave this host",
    ),
    "space": ({}, {"store_path": "/", "min_free": "8000000T"}, "low_space", "are wanted"),
    "no store": ({}, {"store_path": "/does/not/exist"}, "low_space", "does not exist"),
    "ps hangs": ({"ps": Reply(hang=True)}, {"level": "inference", "timeout": 5}, "hung", "hangs"),
    "nothing to run": ({"tags": {"models": []}}, {"level": "inference"}, "model_missing", "no model to run"),
    "evict": (
        {"ps": {"models": [ps_entry("b:1")]}},
        {"level": "inference", "inference_models": ["a"]},
        "not_loaded",
        "could evict",
    ),
    "load hangs": (
        {"generate": Reply(hang=True)},
        {"level": "inference", "load_timeout": 0.3},
        "loading",
        "was not loaded within 0.3 s",
    ),
    "load killed": (
        {"generate": Reply(500, {"error": "llama-server process has terminated: signal: killed"})},
        {"level": "inference"},
        "runner_failed",
        "signal: killed",
    ),
    "busy": (
        {"generate": Reply(503, {"error": "server busy, please try again.  maximum pending requests exceeded"})},
        {"level": "inference"},
        "busy",
        "server busy",
    ),
    "hung": (
        {"ps": {"models": [ps_entry()]}, "generate": Reply(hang=True)},
        {"level": "inference", "max_seconds": 0.3},
        "hung",
        "gave no tokens within 0.3 s",
    ),
    "slow": (
        {"ps": {"models": [ps_entry()]}, "generate": Reply(lines=[{"response": "x", "done": False}], hang=True)},
        {"level": "inference", "max_seconds": 1},
        "slow",
        "gave 1 token within 1 s",
    ),
    "dies while it answers": (
        {
            "ps": {"models": [ps_entry()]},
            "generate": Reply(
                lines=[
                    {"response": "x", "done": False},
                    {"error": "an error was encountered while running the model: unexpected EOF"},
                ]
            ),
        },
        {"level": "inference"},
        "runner_failed",
        "unexpected EOF",
    ),
    "stream breaks off": (
        {"ps": {"models": [ps_entry()]}, "generate": Reply(lines=[{"response": "x", "done": False}], cut=True)},
        {"level": "inference"},
        "no_answer",
        "ended before its last line",
    ),
    "silent": (
        {"ps": {"models": [ps_entry()]}, "generate": Reply(lines=[FINAL])},
        {"level": "inference"},
        "empty_answer",
        "answered with nothing",
    ),
    "low rate": (
        {"ps": {"models": [ps_entry()]}},
        {"level": "inference", "min_tokens_per_second": 2001},
        "slow",
        "a:latest wrote 2000.00 tokens/s, wanted are at least 2001 tokens/s",
    ),
    "on the CPU": (
        {"ps": {"models": [ps_entry()]}},
        {"level": "inference", "gpu": "required"},
        "on_cpu",
        "runs on the CPU",
    ),
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_fault(scripted_server, run_module, fault):
    changed, options, word, words = FAULTS[fault]
    url = scripted_server(replies(**changed)).url
    result = run_module(ollama_health, {"url": url, **options})
    assert (result["failed"], result["healthy"], result["verdict"]) == (True, False, word)
    assert words in result["msg"]
    assert f"({word})" in result["msg"]
    failed = next(check for check in result["checks"] if check["status"] == "failed")
    assert failed["verdict"] == word
