# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Models come into memory and leave it as declared, on a server that runs one process for each file of weights."""

from __future__ import annotations

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _apply
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import guard_name, hold_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._apply import Executor
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import declare
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declared_memory import residences
from ansible_collections.alchemorsel.ollama.plugins.module_utils._memory import Memory
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_name

from tests.unit.created_models import Content
from tests.unit.memory_run import Source, Timeless, kinds, pinned, plan_for, run, server_with
from tests.unit.memory_server import FOREVER, MINUTES, MemoryServer
from tests.unit.whole_server import Source as NoSource
from tests.unit.whole_server import WholeServer
from tests.unit.whole_server import run as run_module

BASE, WIDE = Content("w"), Content("w", parameters={"num_ctx": 8192})
OLD, NEW = Content("old"), Content("new")


def interrupted(keeping_name, **others):
    """Return a server whose model a is in memory for good, and was replaced by a run that did not get beyond that."""
    server = server_with(a=OLD, **others)
    server.start("a:latest", FOREVER)
    server.models.update({keeping_name(parse_name("a")).short: OLD, "a:latest": NEW})
    return server


# --- single cases -------------------------------------------------------------------------------------------------


def test_loaded_once_and_for_good():
    server = server_with(a=BASE)
    told = []
    entries = [{"name": "a", "loaded": True}]
    outcome = run(server, entries, report=lambda name, line: told.append((name, line["status"])))
    assert kinds(outcome) == [("load", "a:latest", True)] and not outcome.failures
    assert (pinned(server), server.loads) == (["a:latest"], ["a:latest"])
    assert told == [("a:latest", "loading"), ("a:latest", "ended")]
    assert kinds(run(server, entries)) == []
    assert server.asked == []


def test_one_that_would_leave_is_kept_without_a_load():
    server = server_with(a=BASE)
    server.start("a:latest", MINUTES)
    assert kinds(run(server, [{"name": "a", "keep_alive": "-1"}])) == [("load", "a:latest", True)]
    assert (pinned(server), server.loads) == (["a:latest"], ["a:latest"])


def test_a_model_whose_older_version_is_in_memory_goes_and_takes_no_other_ones_process_along():
    """The older one cannot be reached by name: that stands for weights now that the declared model has, too."""
    server = server_with(a=OLD, b=NEW)
    server.start("a:latest", FOREVER)
    server.models["a:latest"] = Content("new", system="S")
    outcome = run(server, [{"name": "a", "state": "absent"}, {"name": "b", "loaded": True}])
    assert kinds(outcome) == [("load", "b:latest", True), ("delete", "a:latest", True)] and not outcome.failures
    assert pinned(server) == ["a:latest", "b:latest"]
    assert kinds(run(server, [{"name": "b", "loaded": True}])) == []


def test_an_older_version_leaves_although_a_model_that_is_removed_has_its_digest_still():
    server = server_with(a=OLD, twin=OLD)
    server.start("a:latest", FOREVER)
    entries = [{"name": "a", "state": "latest", "loaded": False}, {"name": "twin", "state": "absent"}]
    outcome = run(server, entries, {"a": NEW})
    assert kinds(outcome) == [
        ("update", "a:latest", True),
        ("unload", "a:latest", True),
        ("delete", "twin:latest", True),
    ]
    assert server.runners == {}
    assert kinds(run(server, entries, {"a": NEW})) == []


def test_weights_that_are_loaded_under_a_name_that_nobody_declared():
    server = server_with(a=BASE, other=Content("w", system="S"))
    server.start("other:latest", FOREVER)
    run(server, [{"name": "a", "loaded": True}])
    assert (pinned(server), server.loads) == (["a:latest"], ["other:latest", "a:latest"])
    assert kinds(run(server, [{"name": "a", "loaded": True}])) == []


def test_weights_that_are_loaded_under_a_declared_name_are_kept():
    server = server_with(a=BASE, other=Content("w", system="S", base="a:latest"))
    server.start("other:latest", MINUTES)
    entries = [{"name": "a", "loaded": True}, {"name": "other", "from": "a", "system": "S"}]
    assert kinds(run(server, entries)) == [("load", "a:latest", True)]
    assert (pinned(server), server.loads) == (["other:latest"], ["other:latest"])
    assert kinds(run(server, entries)) == []


def test_unloaded():
    server = server_with(a=BASE, alias=BASE)
    server.start("a:latest", FOREVER)
    entries = [{"name": "alias", "copy_of": "a", "loaded": False}]
    assert kinds(run(server, entries)) == [("unload", "alias:latest", True)]
    assert server.runners == {}
    assert kinds(run(server, entries)) == []


@pytest.mark.parametrize("new", [NEW, Content("old", system="S")])
@pytest.mark.parametrize("loaded", [True, False])
def test_an_update_leaves_nothing_old_in_memory(new, loaded):
    server = server_with(a=OLD)
    server.start("a:latest", FOREVER)
    entries = [{"name": "a", "state": "latest", "loaded": loaded}]
    outcome = run(server, entries, {"a": new})
    assert kinds(outcome) == [("update", "a:latest", True), ("load" if loaded else "unload", "a:latest", True)]
    assert [runner.digest for runner in server.runners.values()] == ([new.digest] if loaded else [])
    assert list(server.models) == ["a:latest"]
    assert kinds(run(server, entries, {"a": new})) == []


def test_the_old_one_leaves_before_the_new_one_comes():
    server = server_with(room=2, a=OLD, b=BASE)
    server.start("a:latest", FOREVER)
    server.start("b:latest", FOREVER)
    entries = [{"name": "a", "state": "latest", "loaded": True}, {"name": "b", "loaded": True}]
    assert not run(server, entries, {"a": NEW}).failures
    assert pinned(server) == ["a:latest", "b:latest"]


def test_a_failed_update_leaves_the_old_one_in_memory():
    server = server_with(a=OLD)
    server.start("a:latest", FOREVER)
    entries = [{"name": "a", "state": "latest", "loaded": True}]
    outcome = run(server, entries, {})
    assert len(outcome.failures) == 1 and kinds(outcome) == []
    assert (pinned(server), list(server.models)) == (["a:latest"], ["a:latest"])


def test_an_interrupted_update_is_finished():
    # Killed after the fetch: the old model is in memory for good, and reached only by its second name.
    server = interrupted(hold_name)
    entries = [{"name": "a", "loaded": True}]
    assert [kind for kind, _name, _changed in kinds(run(server, entries))] == ["load", "cleanup"]
    assert [runner.digest for runner in server.runners.values()] == [NEW.digest]
    assert list(server.models) == ["a:latest"]


def test_a_restored_model_leaves_nothing_in_memory_of_what_had_taken_its_place():
    server = server_with(a=NEW)
    server.start("a:latest", FOREVER)
    server.models[guard_name(parse_name("a")).short] = OLD
    entries = [{"name": "a", "digest": OLD.digest, "loaded": False}]
    assert [kind for kind, _name, _changed in kinds(run(server, entries))] == ["restore", "unload", "cleanup"]
    assert (server.runners, server.models) == ({}, {"a:latest": OLD})


@pytest.mark.parametrize("declared", [True, False])
def test_a_process_under_the_name_of_a_left_over_belongs_to_the_model_that_stays(declared):
    # The guard goes with the update, not with the cleanup at the end.
    server = server_with(a=OLD)
    guard = guard_name(parse_name("a")).short
    server.models[guard] = NEW
    server.start(guard, FOREVER)
    entries = [{"name": "a", "state": "latest", "loaded": declared}]
    moved = [] if declared else ["unload"]
    assert [kind for kind, _name, _changed in kinds(run(server, entries, {"a": NEW}))] == ["update", *moved, "cleanup"]
    assert len(server.runners) == declared
    assert kinds(run(server, entries, {"a": NEW})) == []


def test_an_older_version_that_cannot_be_told_to_leave_is_a_failure_that_was_said_before():
    server = server_with(a=OLD)
    server.start("a:latest", FOREVER)
    server.models["a:latest"] = NEW
    items = declare([{"name": "a", "loaded": False}])
    (action,) = plan_for(server, items, {})[1].actions
    assert "which the server unloads only if it has the same weights" in action.reason
    (failure,) = run(server, [{"name": "a", "loaded": False}]).failures
    assert failure.kind == "ServerBusy" and "an older version that the server cannot be told" in failure.message


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_hold_goes_with_what_it_holds(state):
    server = interrupted(hold_name)
    assert not run(server, [{"name": "a", "state": state}]).failures
    assert (server.runners, list(server.models)) == ({}, ["a:latest"] if state == "present" else [])


@pytest.mark.parametrize(
    "entries", [[{"name": "z", "loaded": True}], [{"name": "a", "loaded": True}], [{"name": "a", "loaded": False}]]
)
def test_a_hold_goes_with_what_it_holds_whatever_else_is_declared(entries):
    server = interrupted(hold_name, z=BASE)
    server.start("a:latest", FOREVER)
    server.start("z:latest", FOREVER)
    outcome = run(server, entries)
    assert not outcome.failures
    assert OLD.digest not in [runner.digest for runner in server.runners.values()]
    assert sorted(server.models) == ["a:latest", "z:latest"]
    assert kinds(run(server, entries)) == []


def test_a_hold_of_what_a_model_has_now_is_only_a_name():
    server = interrupted(hold_name, b=OLD)
    assert kinds(run(server, [{"name": "a"}])) == [("cleanup", hold_name(parse_name("a")).short, True)]
    assert pinned(server) == ["a:latest"]


@pytest.mark.parametrize("place", ["mirror.example:5000/library/a:latest", guard_name(parse_name("b")).short])
def test_whatever_is_cleaned_up_in_the_end_reaches_its_process(tmp_path, monkeypatch, lock_folder, place):
    monkeypatch.setattr(_apply, "Clock", Timeless)
    server = WholeServer({"a:latest": OLD, "b:latest": BASE}, NoSource())
    server.start("a:latest", FOREVER)
    server.models.update({place: OLD, "a:latest": NEW})
    options = {
        "models": [{"name": "a", "loaded": False}, {"name": "b"}],
        "registry_mirror": "mirror.example:5000",
    }
    told = run_module(server, tmp_path, **options)
    assert [action["action"] for action in told.result["actions"]] == ["unload", "cleanup"]
    assert (told.failure, server.runners, sorted(server.models)) == (None, {}, ["a:latest", "b:latest"])
    assert run_module(server, tmp_path, **options).result["actions"] == []


def test_a_guard_reaches_an_older_version_as_well():
    # The update of a run that declared nothing of the memory was interrupted.
    server = interrupted(guard_name)
    entries = [{"name": "a", "loaded": False}]
    assert [kind for kind, _name, _changed in kinds(run(server, entries))] == ["unload", "cleanup"]
    assert (server.runners, list(server.models)) == ({}, ["a:latest"])


def test_a_hold_of_an_interrupted_run_is_let_go_before_it_is_used_again():
    server = interrupted(hold_name)
    server.start("a:latest", FOREVER)
    entries = [{"name": "a", "state": "latest", "loaded": False}]
    items = declare(entries)
    (_update, unload, _cleanup) = plan_for(server, items, {"a:latest": BASE})[1].actions
    assert unload.reason == "declared not loaded"
    assert not run(server, entries, {"a": BASE}).failures
    assert (server.runners, list(server.models)) == ({}, ["a:latest"])


def test_what_an_update_brought_that_is_the_same_is_not_loaded_again():
    server = server_with(a=OLD)
    server.start("a:latest", FOREVER)
    held = dict(server.models)
    items = declare([{"name": "a", "state": "latest", "loaded": True}])
    there, plan = plan_for(server, items, {})
    executor = Executor(server, there, insecure=lambda name: False, memory=Memory(residences(items)), clock=Timeless())
    executor._fetcher_of = lambda live: Source(server, live, {"a:latest": OLD})
    assert [(done.action.kind, done.changed) for done in executor.run(plan).done] == [
        ("update", False),
        ("load", False),
    ]
    assert (server.models, server.loads) == (held, ["a:latest"])


def test_an_update_leaves_another_name_of_the_old_model_in_memory():
    server = server_with(a=OLD, other=OLD)
    server.start("a:latest", FOREVER)
    entries = [{"name": "a", "state": "latest", "loaded": True}, {"name": "other", "loaded": True}]
    assert not run(server, entries, {"a": NEW}).failures
    assert sorted(runner.digest for runner in server.runners.values()) == sorted([OLD.digest, NEW.digest])
    assert kinds(run(server, entries, {"a": NEW})) == []


def test_a_model_that_is_loaded_under_a_name_that_goes_is_loaded_anew():
    server = server_with(a=OLD, other=OLD)
    server.start("other:latest", FOREVER)
    entries = [{"name": "a", "loaded": True}, {"name": "other", "state": "absent"}]
    assert [kind for kind, _name, _changed in kinds(run(server, entries))] == ["load", "delete"]
    assert pinned(server) == ["a:latest"]
    assert kinds(run(server, entries)) == []


def test_two_that_do_not_fit_are_named_and_nothing_is_deleted():
    server = server_with(room=1, a=OLD, b=NEW, c=BASE)
    server.start("a:latest", FOREVER)
    entries = [{"name": "a", "loaded": True}, {"name": "b", "loaded": True}, {"name": "c", "state": "absent"}]
    outcome = run(server, entries)
    (failure,) = outcome.failures
    assert failure.kind == "Evicted"
    assert "b:latest (1.0 GB) is loaded, but for it the server unloaded a:latest (1.0 GB)" in failure.message
    assert kinds(outcome) == [("load", "b:latest", True)]
    assert "c:latest" in server.models


def test_a_model_that_somebody_removes_meanwhile():
    server = server_with(a=BASE, b=OLD)

    def load(model, **fields):
        server.models.pop("b:latest", None)
        return MemoryServer.generate(server, model, **fields)

    server.generate = load
    (failure,) = run(server, [{"name": "a", "loaded": True}, {"name": "b", "loaded": True}]).failures
    assert failure.kind == "LoadFailed" and "b:latest cannot be loaded: the server does not find it" in failure.message


def test_a_load_without_effect_is_a_failure():
    server = server_with(a=BASE)
    server.generate = lambda model, **fields: {"model": model}
    (failure,) = run(server, [{"name": "a", "loaded": True}]).failures
    assert failure.kind == "LoadFailed" and "does not show it as loaded for good" in failure.message


def test_a_model_that_does_not_leave_is_a_failure():
    server = server_with(a=BASE)
    server.start("a:latest", FOREVER)
    server.unload = lambda model: None
    (failure,) = run(server, [{"name": "a", "loaded": False}]).failures
    assert failure.kind == "ServerBusy" and "a:latest is still in memory 1 s after it was unloaded" in failure.message


def test_nothing_is_loaded_after_a_failed_fetch():
    server = server_with(a=BASE)
    outcome = run(server, [{"name": "a", "loaded": True}, {"name": "b"}])
    assert len(outcome.failures) == 1 and server.loads == []


def test_a_failed_load_is_told_and_ends_the_progress():
    server = server_with(a=BASE)
    told = []

    def fail(model, **fields):
        raise errors.BadAnswer("x", http_status=500, error="llama runner process has terminated: signal: killed")

    server.generate = fail
    entries = [{"name": "a", "loaded": True}]
    outcome = run(server, entries, report=lambda name, line: told.append(line["status"]))
    assert [failure.kind for failure in outcome.failures] == ["RunnerDied"]
    assert told == ["loading", "ended"]
