# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ollama_model with created models: made once, made again when they or their base differ, never missing meanwhile."""

from __future__ import annotations

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import (
    guard_name,
    new_name,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_name
from fake_ollama import WRITES, brief, digest_of, manifest, without
from scripted_server import Reply

from tests.unit.created_models import Content

ONE, TWO = manifest("one"), manifest("two")
NEW, GUARD = new_name(parse_name("bot")).short, guard_name(parse_name("bot")).short
FIELDS = {"system": "Be brief.", "parameters": {"num_ctx": "8192", "stop": "###"}}


@pytest.fixture
def bot(ollama):
    """`bot(**changes)`: the declaration of a model created from one that the server has."""
    base = ollama.have("a", ONE)
    ollama.contents[base] = Content("weights", parameters={"temperature": 0.7})

    def entry(**changes):
        return {"name": "bot", "from": ollama.name("a"), **FIELDS, **changes}

    return entry


def run_all(run, models, **options):
    """Run in check mode, for real and again, and return prediction and outcome; both say the same but for the digest."""
    predicted = run(check_mode=True, models=models, **options)
    result = run(models=models, **options)
    assert predicted["changed"] == result["changed"]
    assert [model["name"] for model in predicted["models"]] == [model["name"] for model in result["models"]]
    hidden = ["seconds", "digest_after", "bytes"]
    assert [without(action, hidden) for action in predicted["actions"]] == [
        without(action, hidden) for action in result["actions"]
    ]
    again = run(models=models, **options)
    assert (again["changed"], again["actions"]) == (False, [])
    return predicted, result


def test_a_model_is_created_from_one_of_the_same_task(run, ollama):
    pulled = ollama.publish("a", ONE)
    models = [{"name": "bot", "from": ollama.name("a"), **FIELDS}, {"name": "alias", "copy_of": "bot"}]
    predicted, result = run_all(run, [*models, {"name": ollama.name("a")}])
    made = ollama.held["bot:latest"]
    assert brief(predicted) == [("pull", None, pulled), ("create", None, "unknown"), ("copy", None, "unknown")]
    assert brief(result) == [("pull", None, pulled), ("create", None, made), ("copy", None, made)]
    assert ollama.contents[made].parameters == {"num_ctx": 8192, "stop": ["###"]}
    assert "bot:latest system: Be brief.\nbot:latest parameter num_ctx: 8192\n" in result["diff"]["after"]
    assert set(ollama.held) == {ollama.name("a"), "bot:latest", "alias:latest"}


def test_a_second_run_asks_for_the_model_and_its_base(run, ollama, bot):
    run(models=[bot()])
    ollama.calls.clear()
    assert run(models=[bot(), bot(name="other", copy_of="bot", system=None, parameters=None, **{"from": None})])[
        "changed"
    ]
    ollama.calls.clear()
    assert not run(models=[bot()])["changed"]
    assert ollama.calls == ["GET /api/tags", "POST /api/show bot:latest", "POST /api/show a:latest"]


@pytest.mark.parametrize(
    ("changes", "before", "after"),
    [
        ({"system": "Be long."}, "system: Be brief.", "system: Be long."),
        ({"system": ""}, "system: Be brief.", None),
        ({"template": "{{ .System }}"}, "template: {{ .Prompt }}", "template: {{ .System }}"),
        ({"parameters": {"stop": ["###"]}}, "parameter num_ctx: 8192", None),
        ({"parameters": {"num_ctx": 4096, "stop": "###"}}, "parameter num_ctx: 8192", "parameter num_ctx: 4096"),
    ],
)
def test_a_field_that_differs(run, ollama, bot, changes, before, after):
    run(models=[bot()])
    old = ollama.held["bot:latest"]
    _predicted, result = run_all(run, [bot(**changes)])
    assert brief(result) == [("create", old, ollama.held["bot:latest"])]
    assert "not as declared: " in result["actions"][0]["reason"]
    assert f"bot:latest {before}\n" in result["diff"]["before"]
    if after:
        assert f"bot:latest {after}\n" in result["diff"]["after"]
    assert ollama.contents[ollama.held["bot:latest"]].parameters["temperature"] == 0.7


def test_the_old_model_stays_until_the_new_one_is_there(run, ollama, bot):
    run(models=[bot()])
    ollama.calls.clear()
    run(models=[bot(system="Be long.")])
    assert [call for call in ollama.calls if call.startswith(WRITES)] == [
        f"POST /api/create {NEW}",
        f"POST /api/copy {GUARD}",
        "POST /api/copy bot:latest",
        f"DELETE /api/delete {GUARD}",
        f"DELETE /api/delete {NEW}",
    ]


def test_a_base_that_another_task_changed(run, ollama, bot):
    run(models=[bot()])
    changed = ollama.have("a", TWO)
    ollama.contents[changed] = Content("other weights", parameters={"temperature": 0.7})
    _predicted, result = run_all(run, [bot()])
    assert result["actions"][0]["reason"] == "not as declared: weights"


def test_a_base_that_changes_in_the_same_task(run, ollama, bot):
    run(models=[bot()])
    changed = ollama.publish("a", TWO)
    ollama.contents[changed] = Content("other weights", parameters={"temperature": 0.7})
    _predicted, result = run_all(run, [bot(), {"name": ollama.name("a"), "state": "latest"}])
    assert [action["action"] for action in result["actions"]] == ["update", "create"]
    assert result["actions"][1]["reason"] == f"its base {ollama.name('a')} changes"


def test_a_chain_is_made_in_order(run, ollama, bot):
    models = [bot(name="third", **{"from": "second"}), bot(name="second", **{"from": "bot"}), bot()]
    _predicted, result = run_all(run, models)
    assert [action["name"] for action in result["actions"]] == ["bot:latest", "second:latest", "third:latest"]


def test_what_the_server_does_not_show_is_created_and_compared(run, ollama, bot):
    run(models=[bot()])
    shown = ollama.server.replies["/api/show"]
    ollama.server.replies["/api/show"] = lambda body: without(shown(body), ["modelfile"])
    before = dict(ollama.held)
    result = run(models=[bot()])
    assert result["changed"] is False
    assert "does not show its weights" in result["actions"][0]["reason"]
    assert ollama.held == before


def test_a_creation_that_fails_leaves_the_old_model(run, ollama, bot):
    run(models=[bot()])
    before = dict(ollama.held)
    for reply in (
        Reply(400, {"error": "template error: unclosed action"}),
        Reply(lines=[{"status": "writing manifest"}, {"error": "template error: unclosed action"}]),
    ):
        ollama.server.replies["/api/create"] = reply
        result = run(models=[bot(template="{{ .Prompt"), {"name": "gone", "state": "absent"}])
        assert result["error_kind"] == "BadAnswer"
        assert "bot:latest cannot be created from" in result["msg"] and "unclosed action" in result["msg"]
        assert ollama.held == before
    ollama.server.replies["/api/create"] = Reply(lines=[{"status": "success"}])
    assert "does not list the model" in run(models=[bot(system="x")])["msg"]


def test_what_an_interrupted_creation_left_behind_goes(run, ollama, bot):
    run(models=[bot()])
    ollama.held.update({NEW: digest_of(TWO), GUARD: digest_of(TWO)})
    result = run(models=[bot()])
    assert [action["action"] for action in result["actions"]] == ["cleanup", "cleanup"]
    assert not [name for name in ollama.held if "alchemorsel-tmp" in name]
    ollama.held.update({NEW: digest_of(TWO), GUARD: digest_of(TWO)})
    run(models=[bot(system="Be long.")])
    assert not [name for name in ollama.held if "alchemorsel-tmp" in name]


def test_a_run_that_ends_anywhere_is_finished_by_the_next(run, ollama, bot):
    models = [bot(), {"name": "second", "from": "bot"}, {"name": "alias", "copy_of": "second"}]
    run(models=models)
    start, names = dict(ollama.held), set(ollama.held)
    models[0] = bot(system="Be long.")
    run(models=models)
    wanted = dict(ollama.held)
    assert wanted != start
    writes = {path: ollama.server.replies[path] for path in ("/api/create", "/api/copy", "/api/delete")}
    ended = 0
    for allowed in range(20):
        ollama.held = dict(start)
        left = iter(range(allowed))

        def until(reply, left=left):
            return lambda body: reply(body) if next(left, None) is not None else Reply(500, "gone")

        ollama.server.replies.update({path: until(reply) for path, reply in writes.items()})
        result = run(models=models)
        ended += "failed" not in result
        # Whatever was there is there, old or new.
        assert names <= set(ollama.held)
        assert all(ollama.held[name] in (start[name], wanted[name]) for name in names)
        ollama.server.replies.update(writes)
        assert "failed" not in run(models=models)
        assert ollama.held == wanted
    # Two creations of five writes each, one copy of three: after fewer the run has failed.
    assert ended == 20 - 13


def test_a_model_without_its_files_is_created_again(run, ollama, bot):
    run(models=[bot()])
    shown = ollama.server.replies["/api/show"]
    missing = {"bot:latest"}
    gone = Reply(404, {"error": "model 'x' not found"})
    ollama.server.replies["/api/show"] = lambda body: gone if body["model"] in missing else shown(body)
    assert run(models=[bot()])["actions"][0]["reason"] == "files of it are missing or broken"
    missing.add(ollama.name("a"))
    result = run(models=[bot()])
    assert result["error_kind"] == "InvalidInput" and "lists but cannot show" in result["msg"]


def test_exclusive_keeps_the_base(run, ollama, bot):
    run(models=[bot()])
    ollama.have("b", TWO)
    result = run(models=[bot()], exclusive=True, prune_local=True)
    assert [action["name"] for action in result["actions"]] == [ollama.name("b")]


def test_a_base_that_is_not_there_is_named(run, ollama):
    result = run(models=[{"name": "bot", "from": "nobody"}])
    assert "bot:latest is declared as created from nobody:latest, which the server does not have" in result["msg"]
    assert "add it to models" in result["msg"]
