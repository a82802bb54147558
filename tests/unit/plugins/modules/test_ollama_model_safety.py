# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ollama_model loses nothing: pins, guards, and what exclusive may remove."""

from __future__ import annotations

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import (
    guard_name,
    hold_name,
    new_name,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_name
from fake_ollama import WRITES, brief, digest_of, manifest
from scripted_server import Reply

ONE, TWO, THREE = manifest("one"), manifest("two"), manifest("three")


# --- digests ------------------------------------------------------------------------------------------------------


def test_a_pin_that_is_right_asks_nobody(run, ollama):
    pin = ollama.have("a", ONE)
    assert run(models=[{"name": ollama.name("a"), "digest": pin.upper().replace("SHA256:", "")}])["changed"] is False
    assert ollama.calls == ["GET /api/tags"]


def test_a_pin_is_fetched_under_a_guard(check_and_run, ollama):
    old = ollama.have("a", ONE)
    pin = ollama.publish("a", TWO)
    result, calls = check_and_run(models=[{"name": ollama.name("a"), "digest": pin}])
    guard = guard_name(parse_name(ollama.name("a"))).short
    assert brief(result) == [("update", old, pin)]
    assert calls[3:] == [
        f"POST /api/copy {guard}",
        "POST /api/pull a:latest",
        "GET /api/tags",
        f"DELETE /api/delete {guard}",
    ]


def test_a_pin_that_the_source_does_not_serve_changes_nothing(run, ollama):
    ollama.have("a", ONE)
    served, pin = ollama.publish("a", TWO), digest_of(THREE)
    for check_mode in (True, False):
        result = run(check_mode, models=[{"name": ollama.name("a"), "digest": pin}])
        assert result["failed"] and pin in result["msg"] and served in result["msg"]
    assert not [call for call in ollama.calls if call.startswith(WRITES)]


@pytest.mark.parametrize("there", [True, False])
def test_a_pull_that_brings_another_digest_is_undone(run, ollama, there):
    if there:
        ollama.have("a", ONE)
    before = dict(ollama.held)
    ollama.publish("a", Reply(500, "oops"))

    def pulled(model):
        ollama.held[model] = digest_of(TWO)
        return [{"status": "success"}]

    ollama.pulls = [pulled]
    result = run(models=[{"name": ollama.name("a"), "digest": digest_of(THREE)}])
    assert result["error_kind"] == "DigestNotServed"
    assert digest_of(TWO) in result["msg"] and digest_of(THREE) in result["msg"]
    assert ollama.held == before
    assert result["changed"] is False


def test_a_pin_whose_pull_fails_leaves_no_guard(run, ollama):
    ollama.have("a", ONE)
    before = dict(ollama.held)
    pin = ollama.publish("a", TWO)
    ollama.pulls = [[{"error": "max retries exceeded: EOF"}]]
    assert run(models=[{"name": ollama.name("a"), "digest": pin}])["error_kind"] == "PullFailed"
    assert ollama.held == before


def test_a_full_disk_ends_the_pull_at_once(run, ollama):
    ollama.have("a", ONE)
    before = dict(ollama.held)
    ollama.publish("a", TWO)
    ollama.pulls = [[{"error": "write /m/blobs/sha256-1-partial: no space left on device"}]]
    result = run(name=ollama.name("a"), state="latest", retries=5)
    assert (result["error_kind"], result["changed"]) == ("DiskFull", False)
    assert "free space in the server's store" in result["msg"]
    assert [call for call in ollama.calls if call.startswith("POST /api/pull")] == ["POST /api/pull a:latest"]
    assert ollama.held == before


def test_an_update_that_is_not_listed_is_undone(run, ollama):
    ollama.have("a", ONE)
    before = dict(ollama.held)
    ollama.publish("a", TWO)

    def pulled(model):
        # Its config came broken.
        del ollama.held[model]
        return [{"status": "success"}]

    ollama.pulls = [pulled]
    result = run(name=ollama.name("a"), state="latest")
    assert (result["error_kind"], result["changed"]) == ("BadAnswer", False)
    assert "the server does not list the model" in result["msg"]
    assert ollama.held == before


def test_a_later_update_that_fails_keeps_what_an_interrupted_one_brought(run, ollama):
    # Any digest is good for latest, so that the newer of the two stays; a pinned one goes back to the guard's.
    ollama.have("a", TWO)
    before = dict(ollama.held)
    guard = guard_name(parse_name(ollama.name("a"))).short
    ollama.held[guard] = digest_of(ONE)
    ollama.publish("a", THREE)
    ollama.pulls = [[{"error": "max retries exceeded: EOF"}]]
    assert run(name=ollama.name("a"), state="latest")["error_kind"] == "PullFailed"
    assert ollama.held == before


def test_an_interrupted_run_is_finished(check_and_run, ollama):
    # Killed after the pull: the new model is there, the old one under its guard name.
    pin = ollama.have("a", TWO)
    guard = guard_name(parse_name(ollama.name("a"))).short
    ollama.held[guard] = digest_of(ONE)
    result, _calls = check_and_run(models=[{"name": ollama.name("a"), "digest": pin}])
    assert [action["action"] for action in result["actions"]] == ["cleanup"]
    assert guard not in ollama.held


def test_a_guard_of_an_interrupted_run_is_not_overwritten(run, ollama):
    # Killed while the wrong model was there: what is under the guard name is the good one.
    ollama.have("a", TWO)
    guard = guard_name(parse_name(ollama.name("a"))).short
    ollama.held[guard] = digest_of(ONE)
    ollama.publish("a", Reply(500, "oops"))
    ollama.pulls = [[{"status": "success"}]]
    result = run(models=[{"name": ollama.name("a"), "digest": digest_of(THREE)}])
    assert result["error_kind"] == "DigestNotServed"
    assert ollama.held == {ollama.name("a"): digest_of(ONE)}


def test_a_pull_that_fails_brings_back_the_guard_of_an_interrupted_run(run, ollama):
    ollama.have("a", TWO)
    guard = guard_name(parse_name(ollama.name("a"))).short
    ollama.held[guard] = digest_of(ONE)
    ollama.publish("a", Reply(500, "oops"))
    ollama.pulls = [[{"error": "pull model manifest: file does not exist"}]]
    result = run(models=[{"name": ollama.name("a"), "digest": digest_of(THREE)}])
    assert result["error_kind"] == "SourceNotFound"
    assert ollama.held == {ollama.name("a"): digest_of(ONE)}


# --- exclusive ----------------------------------------------------------------------------------------------------


def test_exclusive_fetches_first_and_removes_what_can_be_had_again(check_and_run, ollama):
    for model in ("a", "extra", "local"):
        ollama.have(model, ONE)
    ollama.publish("extra", ONE)
    ollama.publish("new", TWO)
    result, calls = check_and_run(name=[ollama.name("a"), ollama.name("new")], exclusive=True)
    assert [(action["action"], action["name"]) for action in result["actions"]] == [
        ("pull", ollama.name("new")),
        ("delete", ollama.name("extra")),
    ]
    assert [kept["name"] for kept in result["kept"]] == [ollama.name("local")]
    assert calls.index("POST /api/pull new:latest") < calls.index("DELETE /api/delete extra:latest")


def test_exclusive_deletes_nothing_after_a_failure(run, ollama):
    ollama.have("extra", ONE)
    ollama.publish("b", TWO)
    names = [ollama.name("missing"), ollama.name("b"), ollama.name("missing2")]
    result = run(name=names, exclusive=True, prune_local=True, parallel=1)
    assert result["error_kind"] == "SourceNotFound"
    assert result["msg"].startswith("2 models failed: (1)")
    # What could be fetched was.
    assert brief(result) == [("pull", None, digest_of(TWO))]
    assert result["changed"] is True
    assert ollama.name("extra") in ollama.held


def test_too_many_deletions_stop_the_run(run, ollama):
    for number in range(6):
        ollama.have(f"m{number}", ONE)
    result = run(name=ollama.name("m0"), exclusive=True, prune_local=True, max_delete=4)
    assert "would remove 5 undeclared models, max_delete allows 4" in result["msg"]
    assert ollama.calls == ["GET /api/tags"]


# --- what interrupted runs left for models that nobody declares ---------------------------------------------------


@pytest.fixture
def interrupted(ollama):
    """A model that nobody declares, replaced by an interrupted run; its old digest is under the guard name."""
    ollama.have("kept", ONE)
    ollama.have("a", TWO)
    name = parse_name(ollama.name("a"))
    ollama.held[guard_name(name).short] = digest_of(ONE)
    ollama.held[new_name(name).short] = digest_of(TWO)
    return name


def test_an_undeclared_model_gets_its_digest_back(check_and_run, ollama, interrupted):
    guard, new = guard_name(interrupted).short, new_name(interrupted).short
    result, calls = check_and_run(name=ollama.name("kept"))
    assert brief(result) == [
        ("cleanup", digest_of(TWO), None),
        ("restore", digest_of(TWO), digest_of(ONE)),
        ("cleanup", digest_of(ONE), None),
    ]
    assert [call for call in calls if call.startswith(WRITES)] == [
        f"DELETE /api/delete {new}",
        f"POST /api/copy {new}",
        "POST /api/copy a:latest",
        f"DELETE /api/delete {new}",
        f"DELETE /api/delete {guard}",
    ]
    assert ollama.held == {ollama.name("kept"): digest_of(ONE), ollama.name("a"): digest_of(ONE)}


@pytest.mark.parametrize("count", range(5))
def test_taking_back_may_be_interrupted_anywhere(run, ollama, interrupted, count):
    """The server fails after so many requests that change something; the next run goes on from there."""
    left = [count]

    def failing(really):
        def answer(body):
            left[0] -= 1
            return really(body) if left[0] >= 0 else Reply(500, {"error": "no"})

        return answer

    really = {path: ollama.server.replies[path] for path in ("/api/copy", "/api/delete")}
    ollama.server.replies.update({path: failing(reply) for path, reply in really.items()})
    assert run(name=ollama.name("kept"))["error_kind"] == "BadAnswer"
    assert ollama.name("a") in ollama.held
    ollama.server.replies.update(really)
    assert "failed" not in run(name=ollama.name("kept"))
    assert ollama.held == {ollama.name("kept"): digest_of(ONE), ollama.name("a"): digest_of(ONE)}


def test_a_failed_restoration_leaves_the_fetches(run, ollama, interrupted):
    ollama.publish("b", TWO)
    really = ollama.server.replies["/api/copy"]
    ollama.server.replies["/api/copy"] = Reply(500, {"error": "no"})
    result = run(name=[ollama.name("kept"), ollama.name("b")])
    assert (result["failed"], brief(result)[-1]) == (True, ("pull", None, digest_of(TWO)))
    assert guard_name(interrupted).short in ollama.held
    ollama.server.replies["/api/copy"] = really
    assert [action["action"] for action in run(name=ollama.name("kept"))["actions"]] == ["restore", "cleanup"]


def test_a_server_that_is_lost_is_told_once(run, ollama):
    """The old model is held since it is in memory, and that name cannot be removed any more either."""
    ollama.have("a", ONE)
    ollama.publish("a", TWO)
    loaded = {"name": ollama.name("a"), "digest": digest_of(ONE), "expires_at": "2026-01-01T00:00:00Z"}
    ollama.server.replies["/api/ps"] = {"models": [loaded]}
    for path in ("/api/pull", "/api/delete"):
        ollama.server.replies[path] = Reply(502, "bad gateway")
    options = {"url": ollama.url, "insecure_registries": [ollama.host], "retries": 0}
    result = run(models=[{"name": ollama.name("a"), "state": "latest", "loaded": True}], **options)
    assert result["error_kind"] == "ServerUnreachable"
    assert "models failed" not in result["msg"]
    assert hold_name(parse_name(ollama.name("a"))).short in ollama.held
