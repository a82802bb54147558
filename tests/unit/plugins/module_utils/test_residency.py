# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Models come into memory and leave it as declared, on a server that runs one process for each file of weights."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._apply import Executor
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import declare, refuse
from ansible_collections.alchemorsel.ollama.plugins.module_utils._derived import plan_all, to_show
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidInput
from ansible_collections.alchemorsel.ollama.plugins.module_utils._load_errors import load_error
from ansible_collections.alchemorsel.ollama.plugins.module_utils._memory import (
    Memory,
    conflicts,
    residences,
    with_memory,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._plan import (
    Offer,
    Rules,
    held_models,
    hold_name,
    questions,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull import Clock
from hypothesis import event, given
from hypothesis import strategies as st

from tests.unit.created_models import Content
from tests.unit.memory_server import FOREVER, MINUTES, MemoryServer

BASE, WIDE = Content("w"), Content("w", parameters={"num_ctx": 8192})
OLD, NEW = Content("old"), Content("new")


class Timeless(Clock):
    """Sleeping costs no time, but the clock goes on."""

    def __init__(self):
        self.time = 0.0
        self.now = lambda: self.time
        self.sleep = self._sleep

    def _sleep(self, seconds):
        self.time += seconds


class Source:
    """Stands for the fetches: what the registry has comes onto the server."""

    def __init__(self, server, live, contents):
        self.server, self.live, self.contents = server, live, contents

    def fetch(self, action):
        name = action.name.short
        if name not in self.contents:
            raise errors.PullFailed(f"no {name}")
        self.server.models[name] = self.contents[name]
        return self.live.list()[action.name.key]


def plan_for(server, items, source):
    held = held_models(server.tags())
    offers = {
        name.key: Offer(source[name.short].digest, frozenset([source[name.short].digest]), 10**9)
        if name.short in source
        else Offer(problem="its source cannot be read")
        for name in questions(items, held, Rules())
    }
    shown = {name.key: server.models[name.short].show() for name in to_show(items, held)}
    plan = plan_all(items, held, offers, Rules(), shown)
    return held, with_memory(plan, residences(items), held, server.ps(), datetime.now(timezone.utc))


def run(server, entries, source=None, report=None):
    """Plan and carry out as the module does; return the outcome."""
    items = declare(entries)
    refuse(conflicts(items))
    source = {f"{name}:latest": content for name, content in (source or {}).items()}
    held, plan = plan_for(server, items, source)
    memory = Memory(residences(items))
    executor = Executor(server, held, insecure=lambda name: False, memory=memory, clock=Timeless(), report=report)
    executor._fetcher = Source(server, executor._live, source)
    server.asked.clear()
    return executor.run(plan)


def kinds(outcome):
    return [(done.action.kind, done.action.name.short, done.changed) for done in outcome.done]


def server_with(room=9, **models):
    return MemoryServer({f"{name}:latest": content for name, content in models.items()}, room)


def pinned(server):
    return sorted(runner.name for runner in server.runners.values() if runner.pinned)


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
    server = server_with(a=OLD)
    server.start("a:latest", FOREVER)
    server.models.update({hold_name(parse_name("a")).short: OLD, "a:latest": NEW})
    entries = [{"name": "a", "loaded": True}]
    assert [kind for kind, _name, _changed in kinds(run(server, entries))] == ["load", "cleanup"]
    assert [runner.digest for runner in server.runners.values()] == [NEW.digest]
    assert list(server.models) == ["a:latest"]


def test_what_an_update_brought_that_is_the_same_is_not_loaded_again():
    server = server_with(a=OLD)
    server.start("a:latest", FOREVER)
    held = dict(server.models)
    items = declare([{"name": "a", "state": "latest", "loaded": True}])
    there, plan = plan_for(server, items, {})
    executor = Executor(server, there, insecure=lambda name: False, memory=Memory(residences(items)), clock=Timeless())
    executor._fetcher = Source(server, executor._live, {"a:latest": OLD})
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


# --- failures of a load -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exc", "kind", "words"),
    [
        (errors.ServerTimeout("t"), "LoadTimeout", "m was not loaded within 300 s, so the load was given up; raise load_timeout"),
        (errors.ServerBusy("b", error="server busy"), "ServerBusy", "raise OLLAMA_MAX_QUEUE"),
        (errors.ModelNotFound("n", error="model 'm' not found"), "LoadFailed", "or files of it (model 'm' not found)"),
        (errors.ServerUnreachable("u"), "ServerUnreachable", "u"),
        (errors.BadAnswer("x", error="llama runner process has terminated: signal: killed"), "RunnerDied", "out-of-memory kill"),
        (errors.BadAnswer("x", error="llama-server process has terminated: signal: killed"), "RunnerDied", "memory.events"),
        (errors.BadAnswer("x", error="timed out waiting for llama-server to start - "), "LoadTimeout", "OLLAMA_LOAD_TIMEOUT"),
        (errors.BadAnswer("x", error="timed out waiting for llama runner to start - "), "LoadTimeout", "OLLAMA_LOAD_TIMEOUT"),
        (
            errors.BadAnswer("x", error="model requires more system memory (9.0 GiB) than is available (1.0 GiB)"),
            "NotEnoughMemory",
            "(9.0 GiB) than is available",
        ),
        (errors.BadAnswer("x", error='option "num_ctx" must be of type integer'), "LoadFailed", "create it again"),
        (errors.BadAnswer("x", error="something new"), "LoadFailed", "see the server's log"),
    ],
)  # fmt: skip
def test_failures_of_a_load(exc, kind, words):
    found = load_error(exc, "m", 300.0)
    assert found.kind == kind and words in found.message
    assert found.error == exc.error


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


# --- any server ---------------------------------------------------------------------------------------------------

NAMES = ["a", "b", "c"]
CONTENTS = st.builds(
    Content,
    weights=st.sampled_from("uvw"),
    system=st.sampled_from(["", "S"]),
    parameters=st.sampled_from([{}, {"num_ctx": 1}]),
)
PULLED = st.dictionaries(
    st.sampled_from(NAMES),
    st.fixed_dictionaries(
        {"state": st.sampled_from(["present", "latest", "absent"])},
        optional={"loaded": st.booleans(), "keep_alive": st.just("-1")},
    ),
)
MADE = st.dictionaries(
    st.sampled_from(["x", "y"]),
    st.sampled_from(
        [
            {"copy_of": "a"},
            {"copy_of": "x"},
            {"from": "a"},
            {"from": "b", "system": "T"},
            {"from": "b", "parameters": {"num_ctx": 2}},
        ]
    ).flatmap(
        lambda fields: st.fixed_dictionaries({}, optional={"loaded": st.booleans()}).map(
            lambda more: {**fields, **more}
        )
    ),
)


@given(
    st.dictionaries(st.sampled_from([*NAMES, "x", "y", "other"]), CONTENTS),
    st.fixed_dictionaries(dict.fromkeys(NAMES, CONTENTS)),
    st.lists(st.tuples(st.sampled_from([*NAMES, "x", "y", "other"]), st.sampled_from([FOREVER, MINUTES])), max_size=4),
    PULLED,
    MADE,
    st.integers(1, 4),
)
def test_memory_becomes_as_declared_and_stays_so(contents, source, started, pulled, made, room):
    server = server_with(room=room, **contents)
    for name, stays in started:
        if name in contents:
            server.start(f"{name}:latest", stays)
    entries = [{"name": name, **fields} for name, fields in [*pulled.items(), *made.items()]]
    for entry in entries:
        if entry.get("state") == "absent":
            entry.update(loaded=None, keep_alive=None)
    try:
        outcome = run(server, entries, source)
    except InvalidInput:
        event("refused")
        return
    assert not [name for name in server.models if name.startswith("alchemorsel-tmp/")]
    if outcome.failures:
        assert [failure.kind for failure in outcome.failures] == ["Evicted"]
        # Too little room, or two that have the same weights without a word about it.
        wanted = [server.models[one.name.short] for one in residences(declare(entries)) if one.loaded]
        assert (
            len({content.weights for content in wanted}) < len({content.digest for content in wanted})
            or len(wanted) > room
        )
        event("does not fit")
        return
    event(", ".join(sorted({done.action.kind for done in outcome.done})))
    wanted = residences(declare(entries))
    held = held_models(server.tags())
    for one in wanted:
        digests = {held[name.key].digest for name in one.names if name.key in held}
        found = [runner for runner in server.runners.values() if runner.digest in digests]
        if one.loaded:
            assert any(runner.pinned for runner in found)
        else:
            assert not [runner for runner in found if runner.name in {name.short for name in one.names}]
    loads = list(server.loads)
    assert kinds(run(server, entries, source)) == []
    assert server.loads == loads
