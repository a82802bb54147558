# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What interrupted runs left for models that nobody declares: taken back or removed, and nothing is lost on the way."""

from __future__ import annotations

import hashlib
import json

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import (
    RESTORE,
    Offer,
    Rules,
    guard_name,
    new_name,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._broken import Fault, Stock
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import Desired
from ansible_collections.alchemorsel.ollama.plugins.module_utils._derived import plan_all
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidInput
from ansible_collections.alchemorsel.ollama.plugins.module_utils._held import (
    Held,
    held_models,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_listed, parse_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._origin import Origin
from ansible_collections.alchemorsel.ollama.plugins.module_utils._plan import predict
from ansible_collections.alchemorsel.ollama.plugins.module_utils._states import ABSENT
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.created_models import Content
from tests.unit.whole_server import Source, WholeServer, run

NAMES = ["a", "b:1", "team/c", "h:5000/n/d:x"]


def digest(text):
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


OLD, NEW, OTHER = digest("old"), digest("new"), digest("other")


def guard(name):
    return guard_name(parse_name(name)).short


def new(name):
    return new_name(parse_name(name)).short


def server(models):
    return held_models({"name": name, "digest": value, "size": 10} for name, value in models.items())


def steps(plan):
    return [(action.kind, action.name.short, action.digest_before, action.digest_after) for action in plan.actions]


def plan_of(models, desired=(), offers=None, rules=None):
    return plan_all(list(desired), server(models), offers or {}, rules or Rules())


def test_an_exchange_that_was_not_finished_is_taken_back():
    plan = plan_of({"A": NEW, guard("a"): OLD, new("a"): OTHER})
    assert steps(plan) == [
        ("cleanup", new("a"), OTHER, None),
        # Spelled as the server has it
        ("restore", "A:latest", NEW, OLD),
        ("cleanup", guard("a"), OLD, None),
    ]
    assert plan.actions[1].source.short == guard("a")
    assert plan.tidies


def test_a_guard_that_is_not_needed_is_removed():
    assert steps(plan_of({"a": OLD, guard("a"): OLD})) == [("cleanup", guard("a"), OLD, None)]


def test_a_guard_whose_files_are_broken_takes_no_place():
    models = {"a": NEW, guard("a"): OLD, "b:1": OLD, guard("b:1"): OLD}
    stock = Stock(
        faults={
            key: Fault(model.name, "a blob is missing") for key, model in server(models).items() if model.name.internal
        }
    )
    plan = plan_all([], server(models), {}, Rules(), stock=stock)
    # The other one is not needed in any case.
    assert steps(plan) == [("cleanup", guard("b:1"), OLD, None)]
    assert [guard("a") in text and "a:latest stays as it is" in text for text in plan.warnings] == [True]


def test_the_last_of_a_model_is_kept_and_said():
    models = {"b:1": OLD, guard("a"): OLD}
    plan = plan_of(models)
    assert plan.actions == ()
    assert guard("a") in plan.warnings[0] and "ollama cp" in plan.warnings[0]
    declared = [Desired(parse_name("b:1"))]
    assert plan_of(models, declared, rules=Rules(exclusive=True)).actions == ()
    assert steps(plan_of(models, declared, rules=Rules(exclusive=True, prune_local=True))) == [
        ("cleanup", guard("a"), OLD, None)
    ]


@pytest.mark.parametrize("name", ["alchemorsel-tmp/x:guard", "alchemorsel-tmp/x:new", f"alchemorsel-tmp/{'0' * 32}:x"])
def test_what_has_another_form_is_left_alone(name):
    plan = plan_of({"a": OLD, name: OLD})
    assert (plan.actions, plan.warnings) == ((), ())


def test_a_declared_model_is_handled_anyway():
    models = {"a": NEW, guard("a"): OLD, new("a"): OTHER}
    assert [action[:2] for action in steps(plan_of(models, [Desired(parse_name("a"))]))] == [
        ("cleanup", new("a")),
        ("cleanup", guard("a")),
    ]
    assert [action[:2] for action in steps(plan_of(models, [Desired(parse_name("a"), ABSENT)]))][0] == (
        "delete",
        "a:latest",
    )


@pytest.mark.parametrize("there", [{"A": NEW}, {}, {"A": NEW, new("a"): OTHER}])
def test_a_pinned_digest_that_only_a_guard_has_comes_back(there):
    """Its source serves another one by now."""
    pinned, key = Desired(parse_name("a"), digest=OLD), parse_name("a").key
    plan = plan_of({**there, guard("a"): OLD}, [pinned], {key: Offer(NEW, frozenset([NEW]))})
    name = "A:latest" if there else "a:latest"
    assert steps(plan)[0] == ("restore", name, there.get("A"), OLD)
    assert {step[0] for step in steps(plan)[1:]} == {"cleanup"}
    assert {name: model.digest for name, model in predict(server({**there, guard("a"): OLD}), plan).items()} == {
        key: OLD
    }


def test_a_pin_is_not_given_what_is_broken_or_another_digest():
    pinned, key = Desired(parse_name("a"), digest=OLD), parse_name("a").key
    offers = {key: Offer(NEW, frozenset([NEW]))}
    with pytest.raises(InvalidInput, match="its source serves"):
        plan_of({"a": NEW, guard("a"): OTHER}, [pinned], offers)
    models = server({"a": NEW, guard("a"): OLD})
    stock = Stock(faults={guard_name(parse_name("a")).key: Fault(guard_name(parse_name("a")), "a blob is missing")})
    with pytest.raises(InvalidInput, match="its source serves"):
        plan_all([pinned], models, offers, Rules(), stock=stock)
    # As it should be already
    assert steps(plan_of({"a": OLD, guard("a"): OLD}, [pinned])) == [("cleanup", guard("a"), OLD, None)]


def test_an_alias_follows_the_model_that_is_taken_back():
    alias = Desired(parse_name("chat"), origin=Origin(parse_name("a")))
    models = {"a": NEW, guard("a"): OLD, "chat": NEW}
    plan = plan_of(models, [alias])
    assert steps(plan) == [
        ("restore", "a:latest", NEW, OLD),
        ("cleanup", guard("a"), OLD, None),
        ("copy", "chat:latest", NEW, OLD),
    ]
    assert {model.digest for model in predict(server(models), plan).values()} == {OLD}


def test_exclusive_judges_a_model_by_what_it_had():
    models = {"a": NEW, guard("a"): OLD, "b:1": OLD}
    rules = Rules(exclusive=True)
    key = parse_name("a").key
    for served, wanted in ((NEW, False), (OLD, True)):
        plan = plan_of(models, [Desired(parse_name("b:1"))], {key: Offer(served, frozenset([served]))}, rules)
        assert plan.actions[0].kind == RESTORE
        assert (("delete", "a:latest", OLD, None) in steps(plan)) is wanted


# --- a model of the server ----------------------------------------------------------------------------------------

DIGESTS = st.sampled_from([OLD, NEW, OTHER])
SERVERS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(NAMES, DIGESTS),
        **{make(name): DIGESTS for name in NAMES for make in (guard, new)},
    },
)


def requests_of(action):
    """What the server is asked for one action, one after the other: copies (from, to) and deletions (name, None)."""
    if action.kind != RESTORE:
        return [(action.name.key, None)]
    aside = new_name(action.name).key
    return [(action.name.key, aside), (action.source.key, action.name.key), (aside, None)]


@given(SERVERS, st.sets(st.sampled_from(NAMES)))
def test_nothing_is_lost_in_any_prefix(models, declared):
    desired = [Desired(parse_name(name)) for name in sorted(declared) if name in models]
    undeclared = [parse_name(name) for name in NAMES if name in models and name not in declared]
    there = server(models)
    plan = plan_all(desired, there, {})
    now = dict(there)
    for source, target in [request for action in plan.actions for request in requests_of(action)]:
        if target is None:
            del now[source]
        else:
            now[target] = Held(parse_listed(target), now[source].digest, now[source].size)
        for name in undeclared:
            # It is there at every moment, and what it had before the interruption can be had by the next run.
            assert name.key in now
            before = there.get(guard_name(name).key, there[name.key]).digest
            kept = now.get(guard_name(name).key)
            assert before in (now[name.key].digest, kept.digest if kept else None)
            again = plan_all(desired, now, {})
            assert predict(now, again)[name.key].digest == before
        for name in NAMES:
            if name not in models and guard(name) in models and name not in declared:
                assert guard_name(parse_name(name)).key in now
    assert predict(there, plan) == {key: model for key, model in now.items() if not model.name.internal}
    assert plan_all(desired, now, {}).actions == ()


# --- on a server ------------------------------------------------------------------------------------------------------


def store_model(root, name):
    """Write a model of its own as a server keeps it; return the path of its weights."""
    parsed, weights = parse_listed(name), name.encode()
    path = root / "manifests" / parsed.host / parsed.namespace / parsed.model / parsed.tag
    path.parent.mkdir(parents=True)
    blob = root / "blobs" / digest(name).replace(":", "-")
    blob.parent.mkdir(exist_ok=True)
    blob.write_bytes(weights)
    layer = {"digest": digest(name), "size": len(weights), "mediaType": "application/vnd.ollama.image.model"}
    path.write_text(json.dumps({"schemaVersion": 2, "config": layer, "layers": [layer]}))
    return blob


@pytest.fixture
def broken():
    """A server that runs a, or b:1, and where an interrupted run has kept another version of it whose weights are lost."""
    whole, lost = Content(weights="u"), Content(weights="v")
    models = {"a:latest": whole, "b:1": whole, guard("a"): lost, guard("b:1"): lost}
    server = WholeServer(models, Source({}, frozenset(["a:latest"])))
    server.lacking = {"v"}
    return server


@pytest.mark.parametrize("verify", [True, False])
def test_what_is_broken_does_not_take_the_place_of_what_is_whole(broken, tmp_path, lock_folder, verify):
    told = run(broken, tmp_path, models=[{"name": "x", "copy_of": "b:1"}], verify=verify)
    assert not told.failure
    assert (broken.models["x:latest"], broken.models["b:1"]) == (Content(weights="u"), Content(weights="u"))
    assert f"has kept an earlier b:1 as {guard('b:1')}, but files of that are broken" in " ".join(
        told.result["warnings"]
    )


def test_what_is_broken_goes_with_all_that_is_local(broken, tmp_path, lock_folder):
    options = {"models": [{"name": "x", "copy_of": "b:1"}], "exclusive": True, "prune_local": True}
    told = run(broken, tmp_path, **options)
    assert ("cleanup", guard("b:1")) in [(action["action"], action["name"]) for action in told.result["actions"]]
    assert run(broken, tmp_path, **options).result["actions"] == []
    broken.models[guard("b:1")] = Content(weights="v")
    told = run(broken, tmp_path, **options, protect=["b"])
    assert not told.failure and guard("b:1") in broken.models


def test_an_answer_of_the_moment_proves_nothing(broken, tmp_path, lock_folder, monkeypatch):
    # The guard is the last good one: what took its place is not what is pinned.
    broken.lacking = set()
    really = broken.show

    def show(model, **options):
        if model == guard("a"):
            raise errors.BadAnswer("no", url=broken.url, http_status=500, error="too many open files")
        return really(model, **options)

    monkeypatch.setattr(broken, "show", show)
    told = run(broken, tmp_path, models=[{"name": "a", "digest": OTHER}])
    assert told.failure.kind == "SourceNotFound"
    assert broken.models["a:latest"] == Content(weights="v")


@pytest.mark.parametrize("there", [True, False])
def test_what_is_broken_does_not_come_back_after_a_failed_pull(broken, tmp_path, lock_folder, there):
    if not there:
        del broken.models["a:latest"]
    told = run(broken, tmp_path, models=[{"name": "a", "digest": OTHER}])
    assert told.failure.kind == "SourceNotFound"
    assert broken.models.get("a:latest") == (Content(weights="u") if there else None)
    assert (guard("a") in broken.models) is not there


def test_what_is_cut_on_the_disk_does_not_come_back_either(broken, tmp_path, lock_folder):
    # The server shows it all the same.
    broken.lacking = set()
    del broken.models[guard("b:1")]
    root = tmp_path / "models"
    for name in ("a:latest", guard("a")):
        weights = store_model(root, name)
    weights.write_bytes(b"cut")
    told = run(broken, tmp_path, models=[{"name": "a", "digest": OTHER}], store_path=str(root))
    assert told.failure.kind == "SourceNotFound"
    assert broken.models["a:latest"] == Content(weights="u")


def test_a_broken_guard_goes_before_another_model_gets_its_name(broken, tmp_path, lock_folder, monkeypatch):
    # Its layers go with its name, and would stay behind a copy.
    really, over = broken.copy, []

    def copy(source, destination):
        over.append(destination in broken.models)
        really(source, destination)

    monkeypatch.setattr(broken, "copy", copy)
    assert run(broken, tmp_path, models=[{"name": "a", "digest": OTHER}]).failure
    assert over == [False]
