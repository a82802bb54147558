# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin of ollama_model, on a host and a clock that do what a test says."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.alchemorsel.ollama.plugins.action import ollama_model
from ansible_collections.alchemorsel.ollama.plugins.module_utils._progress import Pull

PULL = Pull("m:latest", 1, 1, "pulling", 10_000_000, 100_000_000, 10_000_000, 50.0)
LOST = AnsibleConnectionFailure("ssh: no route to host")
RESULT = {"changed": True, "models": [], "actions": [{"action": "pull"}], "kept": []}
FAILURE = {"changed": False, "failed": True, "msg": "no space", "error_kind": "DiskFull", "actions": []}
RUNNING = {"ansible_job_id": "j1.2", "started": 1, "finished": 0, "results_file": "/root/.ansible_async/j1.2"}
JOB_KEYS = {"ansible_job_id", "results_file", "started", "finished", "stdout", "stderr", "stdout_lines", "stderr_lines"}


def finished(result, yes=True):
    """What async_status says in the end; `yes` is 1 on ansible-core 2.17 and true from 2.19 on."""
    return {**RUNNING, "finished": yes, "stderr": "", "stderr_lines": [], **result}


def file_with(*pulls):
    return [json.dumps({"pid": 77, "pulls": [dataclasses.asdict(pull) for pull in pulls]})]


class Host:
    """Answers in order: `direct` to the module, `looks` to the shell, `states` to async_status; an exception is raised.

    `looks` can be a function of the seconds gone by.
    """

    def __init__(self, monkeypatch, **task):
        self.now = 1000.0
        self.calls, self.commands, self.shown = [], [], []
        self.direct = [{"changed": False, "work_due": {"seconds": 7500.0, "offers": {"m": {}}}}]
        self.looks, self.states = [["no file"]], [finished(RESULT)]
        task = {"args": {"name": "m"}, "async_val": 0, "check_mode": False, "no_log": False, **task}
        self.task = SimpleNamespace(**{"delegate_to": None, "action": "alchemorsel.ollama.ollama_model", **task})
        shell = SimpleNamespace(tmpdir="/tmp/x", get_option=lambda name: "~/.ansible_async")
        self.connection = SimpleNamespace(
            _shell=shell, has_native_async=False, reset=lambda: self.calls.append("reset")
        )
        self.plugin = ollama_model.ActionModule(self.task, self.connection, None, None, None, None)
        monkeypatch.setattr(self.plugin, "_execute_module", self.execute)
        monkeypatch.setattr(self.plugin, "_shell", self.shell)
        monkeypatch.setattr(ollama_model.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(ollama_model.time, "sleep", self.sleep)
        monkeypatch.setattr(ollama_model.display, "display", self.shown.append)

    def run(self, **variables):
        return self.plugin.run(task_vars={"inventory_hostname": "h1", **variables})

    def sleep(self, seconds):
        assert seconds > 0
        self.now += seconds

    def execute(self, module_name=None, module_args=None, task_vars=None, wrap_async=False):
        arguments = module_args or self.task.args
        if module_name:
            assert (module_name, arguments["_async_dir"]) == ("ansible.builtin.async_status", "/root/.ansible_async")
            assert (arguments["jid"], self.task.async_val) == ("j1.2", 0)
            self.calls.append(arguments["mode"])
            return take(self.states)
        if wrap_async:
            self.calls.append(("background", self.task.async_val, arguments))
            return dict(RUNNING, changed=True)
        self.calls.append(("direct", arguments))
        return take(self.direct)

    def shell(self, command):
        self.commands.append(command)
        return self.looks(self.now - 1000) if callable(self.looks) else take(self.looks)


def take(answers):
    answer = answers.pop(0) if len(answers) > 1 else answers[0]
    if isinstance(answer, Exception):
        raise answer
    return answer


@pytest.fixture
def host(monkeypatch):
    return lambda **task: Host(monkeypatch, **task)


# --- one execution ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("result", [{"changed": False, "models": []}, FAILURE])
def test_without_long_work_the_module_runs_once(host, result):
    one = host()
    invocation = {"module_args": {"name": ["m"], "_defer": True, "_progress_file": None}}
    one.direct = [{**result, "invocation": invocation}]
    assert one.run() == {**result, "invocation": {"module_args": {"name": ["m"]}}}
    assert one.calls == [("direct", {"name": "m", "_defer": True})]
    assert one.commands == one.shown == []


@pytest.mark.parametrize(
    "task",
    [
        {"check_mode": True},
        {"args": {"name": "m", "progress": False}},
        {"args": {"name": "m", "progress": "no"}},
        {"args": {"name": "m", "progress": "what"}},
        {"args": {"name": "m", "progress_interval": "often"}},
        {"args": {"name": "m", "progress_interval": -1}},
    ],
)
def test_the_module_runs_directly(host, task):
    one = host(**task)
    one.direct = [RESULT]
    assert one.run() == RESULT
    assert one.calls == [("direct", one.task.args)]


def test_an_async_of_the_user_is_the_users(host):
    one = host(async_val=60)
    assert one.run() == {**RUNNING, "changed": True}
    assert one.calls == [("background", 60, {"name": "m"})]
    assert one.task.async_val == 60


# --- the background -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("yes", [1, True])
@pytest.mark.parametrize("result", [RESULT, FAILURE])
def test_long_work_is_watched_to_its_end(host, result, yes):
    one = host()
    one.looks = [file_with(PULL), ["no file"]]
    one.states = [RUNNING, finished(result, yes)]
    assert one.run() == result
    kinds = [call[0] if isinstance(call, tuple) else call for call in one.calls]
    assert kinds == ["direct", "background", "status", "status"]
    _kind, limit, arguments = one.calls[1]
    assert (limit, one.task.async_val, arguments["name"], arguments["_offers"]) == (7501, 0, "m", {"m": {}})
    folder, _slash, name = arguments["_progress_file"].rpartition("/")
    assert folder == "~/.ansible_async"
    assert f"/root/.ansible_async/{name}" in one.commands[0]
    assert "kill -0 77" in one.commands[1]
    path = f"/root/.ansible_async/{name}"
    assert one.commands[-1] == f"rm -f /root/.ansible_async/j1.2 {path} {path}.new"


def test_a_background_that_cannot_be_started(host, monkeypatch):
    one = host()
    monkeypatch.setattr(
        one.plugin,
        "_execute_module",
        lambda wrap_async=False, **others: (
            {"failed": True, "msg": "no", "changed": True} if wrap_async else one.direct[0]
        ),
    )
    assert one.run() == {"failed": True, "msg": "no", "changed": False}
    assert one.task.async_val == 0


def test_a_lost_connection_is_tried_again_and_the_work_picked_up(host):
    one = host()
    one.looks = [file_with(PULL), LOST, [], LOST, ["no file"]]
    one.states = [LOST, {"failed": True, "msg": "no JSON"}, finished(RESULT)]
    assert one.run() == RESULT
    assert one.calls.count("reset") == 5
    lost = "[h1] connection lost, is tried again for 300 s; the work goes on there"
    assert one.shown == [lost, "[h1] connected again"]


def test_a_connection_that_stays_lost_makes_the_host_unreachable(host):
    one = host()
    one.looks = [LOST]
    with pytest.raises(AnsibleConnectionFailure, match="The work goes on there"):
        one.run()
    assert 300 < one.now - 1000 < 330
    assert not [command for command in one.commands if command.startswith("rm ")]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (RUNNING, "has ended without a result"),
        ({**RUNNING, "failed": True, "finished": 1, "msg": "could not find job"}, "has ended without a result"),
        ({**RUNNING, "failed": True, "finished": 1, "msg": "Timeout exceeded", "child_pid": 3}, "ended after 7501 s"),
    ],
)
def test_a_process_that_vanished(host, state, words):
    one = host()
    one.looks = [file_with(PULL), [*file_with(PULL), "no process"]]
    one.states = [state]
    result = one.run()
    assert (result["failed"], result["error_kind"]) == (True, "JobLost")
    assert words in result["msg"]
    assert not JOB_KEYS & set(result)
    assert one.commands[-1].startswith("rm -f /root/.ansible_async/j1.2 /root/.ansible_async/alchemorsel-")


def test_work_that_never_ends_has_a_deadline(host):
    one = host()
    one.looks, one.states = [file_with(PULL)], [RUNNING]
    assert one.run()["error_kind"] == "JobLost"
    assert 7501 < one.now - 1000 < 7700


@pytest.mark.parametrize("seconds", [20, 60, 600])
def test_the_end_is_seen_at_once_with_few_looks(host, seconds):
    one, looks = host(), []

    def look(at):
        looks.append(at)
        return progressing(seconds, total=seconds)(at)

    one.looks = look
    assert one.run() == RESULT
    assert looks[-1] - seconds <= ollama_model.FIRST_LOOK
    assert len(looks) <= 20 + seconds / 5


# --- what is shown ------------------------------------------------------------------------------------------------


def progressing(seconds, total=100):
    """A pull that fetches 1 MB a second, seen for so long."""

    def look(at):
        pull = dataclasses.replace(PULL, done=int(at * 10**6), got=int(at * 10**6), total=total * 10**6, at=at)
        return file_with(pull) if at < seconds else ["no file"]

    return look


def test_a_line_each_interval(host):
    one = host(args={"name": "m", "progress_interval": 2})
    one.looks = progressing(7)
    one.run()
    assert one.shown == [
        f"[h1] m:latest: {n} %, {n}.0 MB of 100 MB, 1.0 MB/s, 1 min {40 - n} s left" for n in (2, 4, 6)
    ]


def test_two_pulls_at_once(host):
    """Each has its line, its own rate, and its number; the one that waits for its verification is told apart."""
    one = host(args={"name": ["a", "b", "c"], "progress_interval": 2})

    def look(at):
        first = dataclasses.replace(PULL, model="a:1", count=3, done=int(at * 10**6), got=int(at * 10**6), at=at)
        third = dataclasses.replace(first, model="c:7b", number=3, done=2 * first.done, got=2 * first.got)
        if at > 3:
            first = dataclasses.replace(first, step="verifying sha256 digest")
        return file_with(first, third) if at < 7 else ["no file"]

    one.looks = look
    one.run()
    assert one.shown == [
        "[h1] a:1 (1 of 3): 2 %, 2.0 MB of 100 MB, 1.0 MB/s, 1 min 38 s left",
        "[h1] c:7b (3 of 3): 4 %, 4.0 MB of 100 MB, 2.0 MB/s, 48 s left",
        "[h1] a:1 (1 of 3): verifying sha256 digest",
        "[h1] c:7b (3 of 3): 8 %, 8.0 MB of 100 MB, 2.0 MB/s, 46 s left",
        "[h1] a:1 (1 of 3): verifying sha256 digest",
        "[h1] c:7b (3 of 3): 12 %, 12 MB of 100 MB, 2.0 MB/s, 44 s left",
    ]


def test_a_line_that_stays_the_same_is_rare(host):
    one = host(args={"name": "m", "progress_interval": 1})
    verifying = dataclasses.replace(PULL, step="verifying sha256 digest")
    one.looks = [*[file_with(verifying)] * 40, ["no file"]]
    one.run()
    assert 20 < one.now - 1000 < 30
    assert one.shown == ["[h1] m:latest: verifying sha256 digest"] * 4


@pytest.mark.parametrize("task", [{"no_log": True}, {"args": {"name": "m", "progress": False}}])
def test_nothing_is_shown(host, task):
    one = host(**task)
    one.looks = [*[file_with(PULL)] * 60, LOST, ["no file"]]
    one.run()
    assert one.shown == []


def test_a_delegated_host_is_named(host):
    one = host(delegate_to="d1")
    one.looks = [LOST, ["no file"]]
    one.run()
    assert one.shown[-1] == "[h1 -> d1] connected again"


@pytest.mark.parametrize(
    ("hosts", "forks", "gap"), [(1, 5, 5.0), (4, 50, 5.0), (20, 5, 6.25), (20, 20, 25.0), (200, 40, 50.0)]
)
def test_many_hosts_show_fewer_lines_each(hosts, forks, gap):
    variables = {"ansible_play_batch": ["h"] * hosts, "ansible_forks": forks}
    assert ollama_model.line_gap(5.0, variables) == gap
