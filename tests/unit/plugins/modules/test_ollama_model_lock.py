# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ollama_model works on a server alone, as far as this machine is concerned, and waits only where it has to."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _lock
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import guard_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._lock import ServerLock, lock_name, parse_holder
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_name
from fake_ollama import WRITES, brief, digest_of, manifest

ONE, TWO = manifest("one"), manifest("two")


@pytest.fixture
def other(ollama):
    """Another run on this machine that is at work on the server; the kernel does not mind that it is the same process."""
    with ServerLock(ollama.url) as lock:
        lock.acquire(0)
        yield lock


@pytest.fixture
def after_a_wait(monkeypatch):
    """`after_a_wait(what)` lets something happen while the module waits for the lock."""

    def let(what):
        def sleep(seconds):
            waited.append(seconds)
            if len(waited) == 1:
                what()

        monkeypatch.setattr(_lock.Clock, "__init__", lambda self: vars(self).update(now=lambda: 0.0, sleep=sleep))
        return waited

    waited = []
    return let


def locks(folder):
    return {path.name: (path.stat().st_mtime_ns, path.read_text()) for path in folder.iterdir()}


def test_a_run_that_changes_something_holds_the_lock_meanwhile(run, ollama, lock_folder):
    ollama.publish("a", ONE)
    held = []

    def pulled(model):
        held.append(parse_holder((lock_folder / lock_name(ollama.url)).read_text()))
        with pytest.raises(_lock.errors.ServerLocked):
            ServerLock(ollama.url).acquire(0)
        ollama.held[model] = digest_of(ONE)
        return [{"status": "success"}]

    ollama.pulls = [pulled]
    assert run(name=ollama.name("a"))["changed"] is True
    assert [(holder.pid, holder.working) for holder in held] == [(os.getpid(), True)]
    assert parse_holder((lock_folder / lock_name(ollama.url)).read_text()).working is False


def test_who_has_nothing_to_change_neither_waits_nor_writes(run, ollama, lock_folder, other):
    ollama.have("a", ONE)
    ollama.publish("b", ONE)
    before = locks(lock_folder)
    assert run(name=ollama.name("a"), lock_timeout=0)["changed"] is False
    assert run(check_mode=True, name=ollama.name("b"), lock_timeout=0)["changed"] is True
    assert "work_due" in run(_defer=True, name=ollama.name("b"), lock_timeout=0)
    assert locks(lock_folder) == before
    other.release()
    released = locks(lock_folder)
    assert run(name=ollama.name("a"))["changed"] is False
    assert locks(lock_folder) == released


def test_a_run_that_waits_too_long_says_for_whom(run, ollama, other):
    ollama.publish("a", ONE)
    result = run(name=ollama.name("a"), lock_timeout=0)
    assert result["error_kind"] == "ServerLocked"
    assert f"process {os.getpid()}, which began " in result["msg"]
    assert "raise lock_timeout" in result["msg"] and lock_name(ollama.url) in result["msg"]
    assert (result["changed"], result["actions"]) == (False, [])
    assert not [call for call in ollama.calls if call.startswith(WRITES)]


def test_after_the_wait_there_may_be_nothing_left_to_do(run, ollama, other, after_a_wait):
    ollama.publish("a", ONE)

    def done_by_the_other():
        ollama.have("a", ONE)
        other.release()

    waited = after_a_wait(done_by_the_other)
    result = run(name=ollama.name("a"))
    assert len(waited) == 1
    assert (result["changed"], result["actions"]) == (False, [])
    assert ollama.calls == ["GET /api/tags", "GET /api/version", "GET /api/tags"]


def test_after_the_wait_the_plan_is_made_anew(run, ollama, other, after_a_wait):
    """What the sources said before is old then: the tag has moved, and the other run has pulled what it was."""
    old, new = ollama.publish("a", ONE), digest_of(TWO)
    offers = run(_defer=True, name=ollama.name("a"), state="latest")["work_due"]["offers"]

    def moved():
        ollama.have("a", ONE)
        ollama.publish("a", TWO)
        other.release()

    after_a_wait(moved)
    assert brief(run(name=ollama.name("a"), state="latest", _offers=offers)) == [("update", old, new)]


def test_the_wait_is_shown(run, ollama, other, after_a_wait, tmp_path):
    ollama.publish("a", ONE)
    path, seen = tmp_path / "progress", []

    def look():
        seen.extend(json.loads(path.read_text())["pulls"])
        other.release()

    after_a_wait(look)
    assert run(name=ollama.name("a"), _progress_file=str(path))["changed"] is True
    assert [(pull["model"], pull["step"]) for pull in seen] == [
        (ollama.name("a"), f"waiting for another run on this server, process {os.getpid()}")
    ]


def test_a_run_between_look_and_lock_is_noticed_without_a_wait(run, ollama):
    """The other run begins after this one has looked, and is done before this one begins."""
    ollama.publish("a", ONE)

    def in_between(body):
        with ServerLock(ollama.url) as lock:
            lock.acquire(0)
            ollama.have("a", ONE)
        return {"version": "0.32.15"}

    ollama.server.replies["/api/version"] = in_between
    assert run(name=ollama.name("a"))["changed"] is False
    assert not [call for call in ollama.calls if call.startswith(WRITES)]


@pytest.mark.parametrize("options", [{"name": "a"}, {"name": "b", "state": "absent"}], ids=["its own", "another's"])
def test_a_run_that_ends_between_the_first_look_and_its_own_lock_is_noticed(run, ollama, options):
    """What the list shows of its work is over when this run gets so far; a guard of it would be taken for left over."""
    ollama.have("a", TWO)
    ollama.have("b", ONE)
    guard = guard_name(parse_name(ollama.name("a"))).short
    tags = ollama.server.replies["/api/tags"]

    def looked(body):
        ollama.held[guard] = digest_of(ONE)
        seen = tags(body)
        with ServerLock(ollama.url) as lock:
            lock.acquire(0)
            del ollama.held[guard]
        ollama.server.replies["/api/tags"] = tags
        return seen

    ollama.server.replies["/api/tags"] = looked
    # Without these, the first look is the short one.
    result = run(**{**options, "name": ollama.name(options["name"])}, state_dir=None, insecure_registries=[])
    assert [action["action"] for action in result["actions"]] == (["delete"] if "state" in options else [])
    assert ollama.held[ollama.name("a")] == digest_of(TWO)
    assert not [name for name in ollama.held if "alchemorsel-tmp" in name]


def test_a_pull_that_turns_out_to_be_due_under_the_lock_is_put_off(run, ollama):
    """So that it is shown, and goes on if the connection to the host is lost."""
    ollama.have("a", ONE)
    ollama.have("b", ONE)
    ollama.publish("b", ONE)

    def removed(body):
        with ServerLock(ollama.url) as lock:
            lock.acquire(0)
            del ollama.held[ollama.name("b")]
        return {"version": "0.32.15"}

    ollama.server.replies["/api/version"] = removed
    models = [{"name": ollama.name("a"), "state": "absent"}, {"name": ollama.name("b")}]
    assert "work_due" in run(_defer=True, models=models)
    assert not [call for call in ollama.calls if call.startswith(WRITES)]


def test_a_deletion_that_has_to_wait_is_put_off(run, ollama, other):
    """So that the wait is shown, and goes on if the connection to the host is lost."""
    ollama.have("a", ONE)
    due = run(_defer=True, name=ollama.name("a"), state="absent", lock_timeout=100, timeout=30)["work_due"]
    assert due == {"seconds": 100.0 + 2 * 10 * 30, "offers": {}}
    other.release()
    assert run(_defer=True, name=ollama.name("a"), state="absent")["changed"] is True


@pytest.mark.parametrize("declared", [True, False])
def test_what_seems_left_over_is_the_other_runs(run, ollama, other, declared):
    ollama.have("a", ONE)
    ollama.have("b", ONE)
    guard = guard_name(parse_name(ollama.name("a"))).short
    ollama.held[guard] = digest_of(TWO)
    before = dict(ollama.held)
    for defer in (True, False):
        result = run(name=ollama.name("a" if declared else "b"), _defer=defer)
        assert (result["changed"], result["actions"], ollama.held) == (False, [], before)
    other.release()
    assert run(name=ollama.name("a" if declared else "b"))["actions"][-1]["action"] == "cleanup"
    assert guard not in ollama.held


def test_a_lock_that_cannot_be_used(run, ollama, lock_folder):
    ollama.publish("a", ONE)
    (lock_folder / lock_name(ollama.url)).symlink_to("/nonexistent")
    result = run(name=ollama.name("a"))
    assert result["error_kind"] == "LockUnusable"
    assert not [call for call in ollama.calls if call.startswith(WRITES)]
