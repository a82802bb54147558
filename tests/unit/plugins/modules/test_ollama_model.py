# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ollama_model: each task is the ordered list of its requests; check mode is proved by the absence of the writes."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _apply
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import guard_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_name
from ansible_collections.alchemorsel.ollama.plugins.modules import ollama_model
from fake_ollama import WRITES, brief, digest_of, manifest, without
from scripted_server import Reply

from tests.unit.memory_run import Timeless

ONE, TWO = manifest("one"), manifest("two")


# --- states -------------------------------------------------------------------------------------------------------


def test_no_op_with_20_models_is_one_request(run, ollama):
    names = [ollama.name(f"m{number}") for number in range(20)]
    ollama.held = dict.fromkeys(names, digest_of(ONE))
    for check_mode in (False, True):
        result = run(check_mode, name=names)
        assert (result["changed"], result["actions"], len(result["models"])) == (False, [], 20)
        assert ollama.calls == ["GET /api/tags"]


def test_a_missing_model_is_pulled(check_and_run, ollama):
    new = ollama.publish("a", ONE)
    result, calls = check_and_run(name=ollama.name("a"))
    assert calls == ["GET /api/tags", "GET /api/version", "POST /api/pull a:latest", "GET /api/tags"]
    assert result["changed"] is True
    action = result["actions"][0]
    assert without(action, ["seconds"]) == {
        "name": ollama.name("a"),
        "action": "pull",
        "reason": "not there",
        "digest_before": None,
        "digest_after": new,
        "bytes": 107,
        "changed": True,
    }
    assert result["diff"]["before"] == ""
    assert result["diff"]["after"] == f"{ollama.name('a')} {new}\n"


def test_present_never_touches_what_is_there(run, ollama):
    ollama.have("a", ONE)
    ollama.publish("a", TWO)
    assert run(name=ollama.name("a"))["changed"] is False
    assert ollama.calls == ["GET /api/tags"]


def test_latest_pulls_what_differs_at_the_source(check_and_run, ollama):
    old = ollama.have("a", ONE)
    new = ollama.publish("a", TWO)
    result, calls = check_and_run(models=[{"name": ollama.name("a"), "state": "latest"}])
    guard = guard_name(parse_name(ollama.name("a"))).short
    assert brief(result) == [("update", old, new)]
    assert calls == [
        "GET /api/tags",
        "GET /v2/library/a/manifests/latest",
        "GET /api/version",
        f"POST /api/copy {guard}",
        "POST /api/pull a:latest",
        "GET /api/tags",
        f"DELETE /api/delete {guard}",
    ]


@pytest.mark.parametrize("end", ["", "\n", " " * 3000])
def test_latest_of_a_current_model_is_one_manifest_request(run, ollama, end):
    body = manifest("one", end)
    ollama.publish("a", body)
    # The server's digest leaves the white space out beyond what its decoder had read.
    ollama.held[ollama.name("a")] = digest_of(body[:512] if len(body) > 3000 else body)
    assert run(name=ollama.name("a"), state="latest")["changed"] is False
    assert ollama.calls == ["GET /api/tags", "GET /v2/library/a/manifests/latest"]


@pytest.mark.parametrize("moved", [False, True])
def test_latest_pulls_and_compares_where_the_source_cannot_be_read(run, ollama, moved):
    old = ollama.have("a", ONE)
    ollama.publish("a", Reply(401, "login"))
    predicted = run(check_mode=True, name=ollama.name("a"), state="latest")
    assert brief(predicted) == [("update", old, "unknown")]
    assert predicted["changed"] is True

    def pulled(model):
        ollama.held[model] = digest_of(TWO if moved else ONE)
        return [{"status": "success"}]

    ollama.pulls = [pulled]
    result = run(name=ollama.name("a"), state="latest")
    assert brief(result) == [("update", old, digest_of(TWO if moved else ONE))]
    assert result["changed"] is moved
    assert "refuses to show it (401); it is pulled and the digests are compared" in str(result["warnings"])


def test_a_model_without_source_cannot_be_latest(run, ollama):
    ollama.have("a", ONE)
    result = run(name=ollama.name("a"), state="latest")
    assert result["failed"] and "use state present" in result["msg"]
    assert not [call for call in ollama.calls if call.startswith(WRITES)]


def test_absent_unloads_then_deletes(check_and_run, ollama):
    old = ollama.have("a", ONE)
    ollama.loaded = {ollama.name("a")}
    result, calls = check_and_run(name=ollama.name("a"), state="absent")
    assert brief(result) == [("delete", old, None)]
    assert calls == [
        "GET /api/tags",
        "GET /api/version",
        "GET /api/ps",
        "POST /api/generate a:latest",
        "GET /api/ps",
        "DELETE /api/delete a:latest",
    ]


def test_a_model_that_vanished_meanwhile_is_no_failure(run, ollama):
    ollama.have("a", ONE)
    ollama.server.replies["/api/delete"] = Reply(404, {"error": "model 'a' not found"})
    ollama.server.replies["/api/ps"] = {"models": []}
    result = ollama_result = run(check_mode=True, name=ollama.name("a"), state="absent")
    assert result["changed"] is ollama_result["changed"] is True
    ollama.server.replies["/api/ps"] = lambda body: ollama.held.clear() or {"models": []}
    assert "failed" not in run(name=ollama.name("a"), state="absent")


def test_a_model_that_keeps_answering_is_not_deleted(run, ollama, monkeypatch):
    monkeypatch.setattr(_apply, "Clock", Timeless)
    digest = ollama.have("a", ONE).partition(":")[2]
    ollama.server.replies["/api/ps"] = {"models": [{"name": ollama.name("a"), "digest": digest}]}
    result = run(name=ollama.name("a"), state="absent")
    assert result["error_kind"] == "ServerBusy"
    assert "was not deleted" in result["msg"]
    assert not [call for call in ollama.calls if call.startswith("DELETE")]


def test_an_older_version_in_memory_does_not_keep_a_model_from_being_deleted(run, ollama):
    ollama.have("a", ONE)
    ollama.server.replies["/api/ps"] = {"models": [{"name": ollama.name("a"), "digest": "0" * 64}]}
    assert brief(run(name=ollama.name("a"), state="absent")) == [("delete", digest_of(ONE), None)]
    assert not [call for call in ollama.calls if call.startswith("POST /api/generate")]


# --- refusals -----------------------------------------------------------------------------------------------------


def test_bad_input_is_refused_without_a_request(run, ollama):
    result = run(
        models=[{"name": "x:cloud"}, {"name": "m@sha256:1"}, {"name": "a"}, {"name": "A:latest"}],
        max_delete=-1,
        pull_timeout=0,
        stall_timeout=-1,
        retries=-1,
    )
    assert result["error_kind"] == "InvalidInput"
    for words in ("pull_timeout is 0", "stall_timeout is -1", "retries is -1", "max_delete is -1", "3 complaints"):
        assert words in result["msg"]
    assert ollama.calls == []
    assert result["changed"] is False


def test_an_old_server_is_refused_only_when_there_is_work(run, ollama):
    ollama.server.replies["/api/version"] = {"version": "0.17.0"}
    ollama.have("a", ONE)
    ollama.publish("b", TWO)
    assert run(name=ollama.name("a"))["changed"] is False
    for check_mode in (True, False):
        result = run(check_mode, name=ollama.name("b"))
        assert result["error_kind"] == "OldServer" and "CVE-2026-7482" in result["msg"]
    result = run(name=ollama.name("b"), allow_vulnerable_version=True)
    assert result["changed"] is True and "CVE-2026-7482" in str(result["warnings"])


def test_a_model_that_is_not_listed_after_success_is_a_failure(run, ollama):
    ollama.pulls = [[{"status": "success"}]]
    result = run(name=ollama.name("a"))
    assert result["error_kind"] == "BadAnswer" and "does not list the model" in result["msg"]


def test_an_end_without_success_is_a_failure(run, ollama):
    ollama.pulls = [[{"status": "pulling manifest"}]]
    result = run(name=ollama.name("a"))
    assert "ended without success" in result["msg"]
    assert result["changed"] is False


def test_options_equal_documentation():
    spec = {name: entry for name, entry in ollama_model.argument_spec().items() if not name.startswith("_")}
    documented = yaml.safe_load(ollama_model.DOCUMENTATION)["options"]
    own = {name for name in spec if name not in ollama_model.server_argument_spec()}
    shared = (
        ollama_model.source_argument_spec,
        ollama_model.progress_argument_spec,
        ollama_model.models_argument_spec,
        ollama_model.removal_argument_spec,
        ollama_model.pulls_argument_spec,
        ollama_model.store_argument_spec,
        ollama_model.memory_argument_spec,
        ollama_model.state_argument_spec,
    )
    assert set(documented) == own.difference(*(options() for options in shared))
    examples = yaml.safe_load(ollama_model.EXAMPLES)
    used = {option for task in examples for option in task["alchemorsel.ollama.ollama_model"]}
    assert set(spec) - used == set()
