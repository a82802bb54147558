# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ollama_model as the action plugin runs it: putting pulls off, and writing down how far they are."""

from __future__ import annotations

import json

import pytest
from fake_ollama import BLOB, WRITES, digest_of, manifest, without
from scripted_server import Reply

ONE, TWO = manifest("one"), manifest("two")


@pytest.mark.parametrize("state", ["present", "absent"])
def test_without_a_pull_nothing_is_put_off(run, ollama, state):
    ollama.have("a", ONE)
    options = {"name": ollama.name("a"), "state": state}
    result = run(_defer=True, **options)
    assert result["changed"] is (state == "absent")
    assert "work_due" not in result


@pytest.mark.parametrize("update", [False, True])
def test_a_pull_is_put_off_before_anything_is_done(run, ollama, update):
    ollama.publish("a", TWO)
    ollama.have("gone", ONE)
    if update:
        ollama.have("a", ONE)
    held = dict(ollama.held)
    models = [{"name": ollama.name("a"), "state": "latest"}, {"name": ollama.name("gone"), "state": "absent"}]
    result = run(_defer=True, models=models, pull_timeout=100, timeout=30, lock_timeout=7)
    assert ollama.held == held
    assert not [call for call in ollama.calls if call.startswith(WRITES)]
    due = result.pop("work_due")
    assert without(result, ["invocation", "warnings"]) == {"changed": False}
    # Two actions: the wait for another run, the limit of the pull, and time for the requests around them.
    assert due["seconds"] == 7.0 + 100.0 + 3 * 10 * 30
    # What the source said is not asked again, and decides, whatever the source says meanwhile.
    ollama.publish("a", Reply(404, "gone"))

    def pulled(model):
        ollama.held[model] = digest_of(TWO)
        return [{"status": "success"}]

    ollama.pulls = [pulled]
    result = run(_offers=due["offers"], models=models)
    assert [action["action"] for action in result["actions"]] == ["update" if update else "pull", "delete"]
    assert not [call for call in ollama.calls if "/manifests/" in call]


def test_check_mode_is_not_put_off(run, ollama):
    ollama.publish("a", ONE)
    result = run(check_mode=True, _defer=True, name=ollama.name("a"))
    assert (result["changed"], len(result["actions"])) == (True, 1)


def test_what_is_refused_is_not_put_off(run, ollama):
    result = run(_defer=True, models=[{"name": ollama.name("a"), "digest": digest_of(ONE)}])
    assert (result["failed"], result["error_kind"]) == (True, "InvalidInput")


@pytest.mark.parametrize("fails", [False, True])
def test_progress_is_there_while_a_model_is_pulled(run, ollama, tmp_path, fails):
    path = tmp_path / "progress"
    seen = []

    def pulled(model):
        yield {"status": "pulling manifest"}
        yield {"status": "pulling b", "digest": BLOB, "total": 100, "completed": 40}
        while not (path.exists() and any(pull["done"] for pull in json.loads(path.read_text())["pulls"])):
            yield {"status": "pulling b", "digest": BLOB, "total": 100, "completed": 40}
        seen.append(json.loads(path.read_text())["pulls"])
        if fails:
            yield {"error": "max retries exceeded"}
        else:
            ollama.held[model] = digest_of(ONE)
            yield {"status": "success"}

    ollama.pulls = [pulled]
    result = run(name=ollama.name("a"), _progress_file=str(path), pull_timeout=60)
    assert [(pull["model"], pull["step"], pull["done"], pull["total"]) for pull in seen[0]] == [
        (ollama.name("a"), "pulling", 40, 100)
    ]
    assert result.get("failed", False) is fails
    assert list(tmp_path.iterdir()) == []


def test_an_interval_must_be_positive(run, ollama):
    assert "progress_interval is 0.0" in run(name="a", progress_interval=0)["msg"]
