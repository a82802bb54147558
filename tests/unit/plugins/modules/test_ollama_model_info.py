# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ollama_model_info: what is read, with how many requests, and never a write."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.alchemorsel.ollama.plugins.modules import ollama_model_info
from fake_ollama import digest_of, manifest
from scripted_server import Reply

ONE, TWO = manifest("one"), manifest("two")


@pytest.fixture
def info(run_module, ollama):
    return lambda **options: run_module(
        ollama_model_info, {"url": ollama.url, "insecure_registries": [ollama.host], **options}
    )


def test_everything_with_three_requests(info, ollama):
    ollama.have("b", ONE)
    ollama.have("a", TWO)
    ollama.held["alchemorsel-tmp/x:guard"] = digest_of(ONE)
    ollama.loaded = {ollama.name("a")}
    result = info()
    assert ollama.calls == ["GET /api/version", "GET /api/tags", "GET /api/ps"]
    assert (result["version"], result["changed"], result["missing"]) == ("0.32.15", False, [])
    assert [model["name"] for model in result["models"]] == [ollama.name("a"), ollama.name("b")]
    assert [model["name"] for model in result["running"]] == [ollama.name("a")]
    assert result["models"][0] == {
        "name": ollama.name("a"),
        "digest": digest_of(TWO),
        "size": 107,
        "modified_at": "2026-01-01T00:00:00Z",
        "remote": False,
        "format": "gguf",
        "family": "llama",
        "parameter_size": None,
        "quantization": None,
        "parent": None,
        "capabilities": None,
    }


def test_by_name_in_any_spelling(info, ollama):
    ollama.held = {"llama3.2:latest": digest_of(ONE), "llama3.2:1b": digest_of(TWO)}
    result = info(name=["Library/LLAMA3.2", "nope"])
    assert [model["name"] for model in result["models"]] == ["llama3.2:latest"]
    assert result["missing"] == ["nope:latest"]
    assert info(name=[])["models"] == []


def test_updates_are_one_manifest_request_each(info, ollama):
    for model in ("current", "outdated", "gone", "unread"):
        ollama.have(model, ONE)
    ollama.publish("current", ONE)
    new = ollama.publish("outdated", TWO)
    ollama.publish("unread", Reply(500, "oops"))
    result = info(check_updates=True)
    assert sorted(ollama.calls) == sorted(
        ["GET /api/version", "GET /api/tags", "GET /api/ps"]
        + [f"GET /v2/library/{model}/manifests/latest" for model in ("current", "outdated", "gone", "unread")]
    )
    facts = {model["name"].split("/")[2]: model for model in result["models"]}
    assert {name: fact["outdated"] for name, fact in facts.items()} == {
        "current:latest": False,
        "outdated:latest": True,
        "gone:latest": None,
        "unread:latest": None,
    }
    assert facts["outdated:latest"]["source_digest"] == new
    assert result["outdated"] == [ollama.name("outdated")]
    assert "outdated" not in info()
    assert "does not have it" in facts["gone:latest"]["source_problem"]
    assert "answered 500 'oops'" in facts["unread:latest"]["source_problem"]


def test_cloud_stubs_have_no_source_to_ask(info, ollama):
    ollama.held = {"gpt:8b-cloud": digest_of(ONE)}
    model = info(check_updates=True)["models"][0]
    assert (model["outdated"], model["source_problem"]) == (None, "it has no source that can be asked")


def test_details_are_one_show_each_and_a_broken_model_is_said(info, ollama):
    ollama.have("a", ONE)
    result = info(details=True)
    assert result["models"][0]["show"]["system"] == f"system of {ollama.name('a')}"
    ollama.server.replies["/api/show"] = Reply(404, {"error": "model 'a' not found"})
    result = info(details=True)
    assert result["models"][0]["show"] is None
    assert "blobs are missing or broken" in str(result["warnings"])


@pytest.mark.parametrize(
    ("listed", "shown", "capabilities"),
    [(None, ["completion"], ["completion"]), (["completion", "tools"], ["completion"], ["completion", "tools"])],
)
def test_old_servers_tell_capabilities_with_details(info, ollama, listed, shown, capabilities):
    entry = {"name": "a:latest", "digest": "a" * 64, "size": 1, "capabilities": listed}
    ollama.server.replies["/api/tags"] = {"models": [entry]}
    ollama.server.replies["/api/show"] = {"details": {}, "capabilities": shown}
    assert info()["models"][0]["capabilities"] == listed
    assert info(details=True)["models"][0]["capabilities"] == capabilities


def test_a_pinned_model_is_told_from_one_that_leaves(info, ollama):
    ends = {"a:latest": "2318-12-31T23:47:16.854775807Z", "b:latest": "2026-01-01T00:00:00Z", "c:latest": None}
    ollama.server.replies["/api/ps"] = {
        "models": [{"name": name, "digest": "a" * 64, "expires_at": end} for name, end in ends.items()]
    }
    assert {model["name"]: model["pinned"] for model in info()["running"]} == {
        "a:latest": True,
        "b:latest": False,
        "c:latest": False,
    }


def test_a_hung_runner_hides_only_what_is_loaded(info, ollama):
    ollama.have("a", ONE)
    ollama.server.replies["/api/ps"] = Reply(hang=True)
    result = info(timeout=5)
    assert result["running"] is None
    assert len(result["models"]) == 1
    assert "a runner may hang" in str(result["warnings"])


def test_invalid_names_all_at_once(info, ollama):
    result = info(name=["x:cloud", "a@b"])
    assert result["failed"] and result["msg"].startswith("2 complaints")
    assert ollama.calls == []


def test_options_equal_documentation():
    spec = ollama_model_info.argument_spec()
    documented = yaml.safe_load(ollama_model_info.DOCUMENTATION)["options"]
    shared = {**ollama_model_info.server_argument_spec(), **ollama_model_info.source_argument_spec()}
    assert set(documented) == set(spec) - set(shared)
