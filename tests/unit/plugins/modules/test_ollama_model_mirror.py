# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""registry_mirror: fetched under the mirror's name, known under its own, and nothing left of the other one."""

from __future__ import annotations

import json

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import guard_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_name
from ansible_collections.alchemorsel.ollama.plugins.modules import ollama_model_info
from fake_ollama import BLOB, WRITES, brief, digest_of, manifest
from scripted_server import Reply

ONE, TWO, THREE = manifest("one"), manifest("two"), manifest("three")
#: `a` stands for its name at the mirror in the calls, `a:latest` is the canonical one there, too: see `calls`
GUARD = guard_name(parse_name("a")).short


@pytest.fixture
def mirrored(run, ollama):
    """Run the module with the fake's registry as a mirror."""
    return lambda check_mode=False, **options: run(check_mode, registry_mirror=ollama.host, **options)


@pytest.fixture
def calls(ollama):
    """Return the requests that change something so far, with `mirror/` before the mirror's names."""

    def changes():
        written = []
        for method, path, body in ollama.server.requests:
            if f"{method} {path}".startswith(WRITES):
                names = [body[key] for key in ("source", "model", "destination") if key in body]
                shown = " ".join(names).replace(f"{ollama.host}/library/", "mirror/").replace(GUARD, "guard")
                written.append(f"{path.removeprefix('/api/')} {shown}")
        ollama.server.requests.clear()
        return written

    return changes


def test_a_missing_model_is_known_under_its_own_name(check_and_run, ollama):
    new = ollama.publish("a", ONE)
    result, _calls = check_and_run(name="a", registry_mirror=ollama.host)
    assert brief(result) == [("pull", None, new)]
    assert [model["name"] for model in result["models"]] == ["a:latest"]
    assert ollama.held == {"a:latest": new}


def test_the_exchange_keeps_a_model_under_the_name_at_every_moment(mirrored, ollama, calls):
    ollama.held["a:latest"] = digest_of(ONE)
    new = ollama.publish("a", TWO)
    result = mirrored(name="a", state="latest")
    assert brief(result) == [("update", digest_of(ONE), new)]
    assert ollama.held == {"a:latest": new}
    assert calls() == [
        "pull mirror/a:latest",
        "copy a:latest guard",
        "copy mirror/a:latest a:latest",
        "delete guard",
        "delete mirror/a:latest",
    ]
    assert mirrored(name="a", state="latest")["changed"] is False
    assert calls() == []


def test_a_source_that_the_host_cannot_read_is_compared_before_the_exchange(mirrored, ollama, calls):
    ollama.held["a:latest"] = digest_of(ONE)
    ollama.publish("a", Reply(401, "login"))

    def pulled(model):
        ollama.held[model] = digest_of(ONE)
        return [{"status": "success"}]

    ollama.pulls = [pulled]
    result = mirrored(name="a", state="latest")
    assert (result["changed"], brief(result)) == (False, [("update", digest_of(ONE), digest_of(ONE))])
    # The model under its own name was not written.
    assert calls() == ["pull mirror/a:latest", "delete mirror/a:latest"]


@pytest.mark.parametrize("there", [True, False])
def test_another_digest_than_the_pinned_one_never_gets_the_name(mirrored, ollama, calls, there):
    ollama.held = {"a:latest": digest_of(ONE)} if there else {}
    before = dict(ollama.held)
    ollama.publish("a", Reply(500, "oops"))

    def pulled(model):
        ollama.held[model] = digest_of(TWO)
        return [{"status": "success"}]

    ollama.pulls = [pulled]
    result = mirrored(models=[{"name": "a", "digest": digest_of(THREE)}])
    assert result["error_kind"] == "DigestNotServed"
    assert f"a:latest could not be fetched from the mirror {ollama.host}: a:latest is pinned to" in result["msg"]
    assert ollama.held == before
    assert not [call for call in calls() if call.endswith(" a:latest") and not call.startswith(("pull", "delete"))]


def test_a_mirror_that_fails_is_named_and_nobody_else_is_asked(mirrored, ollama, calls):
    ollama.held["other:latest"] = digest_of(ONE)
    result = mirrored(name="a")
    assert (result["error_kind"], result["changed"]) == ("SourceNotFound", False)
    assert f"a:latest could not be fetched from the mirror {ollama.host}: pull of {ollama.name('a')}" in result["msg"]
    assert calls() == ["pull mirror/a:latest"]
    assert ollama.held == {"other:latest": digest_of(ONE)}
    predicted = mirrored(True, name="a")
    assert f"the mirror of a:latest, {ollama.url}/v2/library/a/manifests/latest, does not have it" in predicted["msg"]


def test_other_registries_have_no_mirror(run, ollama):
    new = ollama.publish("a", ONE)
    result = run(name=ollama.name("a"), registry_mirror="192.0.2.1:5000")
    assert brief(result) == [("pull", None, new)]
    assert ollama.held == {ollama.name("a"): new}


# --- what an interrupted run left ---------------------------------------------------------------------------------


def test_an_interrupted_fetch_is_finished(check_and_run, ollama):
    # Killed after the pull, before the copy.
    new = ollama.publish("a", ONE)
    ollama.held[ollama.name("a")] = new
    result, _calls = check_and_run(name="a", registry_mirror=ollama.host)
    assert brief(result) == [("pull", None, new), ("cleanup", new, None)]
    assert ollama.held == {"a:latest": new}


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_name_that_is_not_needed_any_more_is_removed(check_and_run, ollama, state):
    # Killed after the copy, before the deletion; or the model is not wanted any more.
    new = ollama.publish("a", ONE)
    ollama.held = {ollama.name("a"): new, ollama.name("b"): new} | ({"a:latest": new} if state == "present" else {})
    result, _calls = check_and_run(name="a", state=state, registry_mirror=ollama.host)
    assert [(action["action"], action["name"]) for action in result["actions"]] == [("cleanup", ollama.name("a"))]
    assert "left over from an interrupted run for a:latest" in result["actions"][0]["reason"]
    # Nobody declared b: its name at the mirror is somebody's own.
    assert ollama.held == {ollama.name("b"): new} | ({"a:latest": new} if state == "present" else {})


def test_what_is_left_over_is_not_pruned_but_cleaned_up(check_and_run, ollama):
    new = ollama.publish("a", ONE)
    ollama.held = {"a:latest": new, ollama.name("a"): new}
    result, _calls = check_and_run(
        name="a", registry_mirror=ollama.host, exclusive=True, prune_local=True, max_delete=0
    )
    assert [action["action"] for action in result["actions"]] == ["cleanup"]


def test_exclusive_asks_the_mirror_what_could_be_had_again(check_and_run, ollama):
    ollama.held = {"a:latest": digest_of(ONE), "extra:latest": digest_of(ONE), "local:latest": digest_of(ONE)}
    ollama.publish("extra", ONE)
    result, calls = check_and_run(name="a", registry_mirror=ollama.host, exclusive=True)
    assert "GET /v2/library/extra/manifests/latest" in calls
    assert [(action["action"], action["name"]) for action in result["actions"]] == [("delete", "extra:latest")]
    assert [kept["name"] for kept in result["kept"]] == ["local:latest"]
    assert "the mirror of local:latest" in result["kept"][0]["reason"]


# --- the operator's own names -------------------------------------------------------------------------------------


@pytest.mark.parametrize("claim", ["declared", "needed"])
def test_a_name_at_the_mirror_that_is_declared_is_not_passed_through(mirrored, ollama, calls, claim):
    ollama.held[ollama.name("a")] = digest_of(ONE)
    ollama.publish("a", TWO)
    other = {"name": ollama.name("a")} if claim == "declared" else {"name": "chat", "copy_of": ollama.name("a")}
    result = mirrored(models=[{"name": "a"}, other])
    assert result["error_kind"] == "InvalidInput"
    assert f"has the name {ollama.name('a')} meanwhile, but that one is declared" in result["msg"]
    assert (calls(), ollama.held) == ([], {ollama.name("a"): digest_of(ONE)})
    # Where nothing is to be fetched, they get on with each other.
    ollama.held["a:latest"] = digest_of(TWO)
    mirrored(models=[{"name": "a"}, other])
    assert ollama.held[ollama.name("a")] == digest_of(ONE)


# --- around it ----------------------------------------------------------------------------------------------------


def test_progress_is_shown_under_the_models_own_name(mirrored, ollama, tmp_path):
    path = tmp_path / "progress"
    seen = []

    def pulled(model):
        yield {"status": "pulling manifest"}
        while not (path.exists() and json.loads(path.read_text())["pulls"]):
            yield {"status": "pulling b", "digest": BLOB, "total": 100, "completed": 40}
        seen.append(json.loads(path.read_text())["pulls"][0]["model"])
        ollama.held[model] = digest_of(ONE)
        yield {"status": "success"}

    ollama.pulls = [pulled]
    mirrored(name="a", _progress_file=str(path), pull_timeout=60)
    assert seen == ["a:latest"]


def test_updates_are_looked_for_at_the_mirror(run_module, ollama):
    ollama.held["a:latest"] = digest_of(ONE)
    new = ollama.publish("a", TWO)
    options = {"url": ollama.url, "insecure_registries": [ollama.host], "registry_mirror": ollama.host}
    model = run_module(ollama_model_info, {**options, "check_updates": True})["models"][0]
    assert (model["outdated"], model["source_digest"]) == (True, new)


def test_a_mirror_has_no_scheme(run, ollama):
    result = run(name="a", registry_mirror=ollama.url)
    assert (result["error_kind"], ollama.calls) == ("InvalidInput", [])
    assert "without a scheme" in result["msg"]
