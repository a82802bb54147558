# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ollama_model with models that are made from others: aliases."""

from __future__ import annotations

from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import guard_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_name
from fake_ollama import WRITES, brief, manifest
from scripted_server import Reply

ONE, TWO = manifest("one"), manifest("two")
GUARD = guard_name(parse_name("chat")).short


def test_an_alias_and_its_target_in_one_task(check_and_run, ollama):
    new = ollama.publish("a", ONE)
    result, _calls = check_and_run(
        models=[{"name": "chat", "copy_of": ollama.name("a")}, {"name": ollama.name("a")}],
    )
    assert brief(result) == [("pull", None, new), ("copy", None, new)]


def test_an_alias_is_switched_after_the_fetch(check_and_run, ollama):
    old = ollama.have("a", ONE)
    ollama.held["chat:latest"] = old
    new = ollama.publish("a", TWO)
    result, calls = check_and_run(
        models=[{"name": ollama.name("a"), "state": "latest"}, {"name": "chat", "copy_of": ollama.name("a")}],
    )
    assert brief(result) == [("update", old, new), ("copy", old, new)]
    fetched = guard_name(parse_name(ollama.name("a"))).short
    assert calls[-6:] == [
        "GET /api/tags",
        f"DELETE /api/delete {fetched}",
        f"POST /api/copy {GUARD}",
        "POST /api/copy chat:latest",
        f"DELETE /api/delete {GUARD}",
        "GET /api/tags",
    ]


def test_an_alias_stays_where_it_is_if_a_fetch_fails(run, ollama):
    old = ollama.have("a", ONE)
    ollama.held.update({"chat:latest": "sha256:" + "7" * 64})
    ollama.publish("b", Reply(500, "oops"))
    result = run(models=[{"name": "chat", "copy_of": ollama.name("a")}, {"name": ollama.name("b")}])
    assert result["failed"] and result["actions"] == []
    assert ollama.held == {ollama.name("a"): old, "chat:latest": "sha256:" + "7" * 64}


def test_an_alias_without_target_changes_nothing(run, ollama):
    ollama.publish("b", ONE)
    for check_mode in (True, False):
        result = run(check_mode, models=[{"name": ollama.name("b")}, {"name": "chat", "copy_of": "nobody"}])
        assert result["error_kind"] == "InvalidInput"
        assert "chat:latest is declared as a copy of nobody:latest, which the server does not have" in result["msg"]
    assert not [call for call in ollama.calls if call.startswith(WRITES)]


def test_what_an_interrupted_switch_left_behind_goes(run, ollama):
    old = ollama.have("a", ONE)
    ollama.held.update({"chat:latest": old, GUARD: "sha256:" + "7" * 64})
    result = run(models=[{"name": "chat", "copy_of": ollama.name("a")}])
    assert [action["action"] for action in result["actions"]] == ["cleanup"]
    assert GUARD not in ollama.held


def test_a_copy_that_has_no_effect_is_a_failure(run, ollama):
    ollama.have("a", ONE)
    ollama.server.replies["/api/copy"] = Reply()
    result = run(models=[{"name": "chat", "copy_of": ollama.name("a")}])
    assert result["error_kind"] == "BadAnswer" and "the server lists no such model" in result["msg"]
