# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ollama_model fetches several models at a time; how many, the server counts."""

from __future__ import annotations

import threading

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _together
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import (
    PULL,
    Action,
    Plan,
    guard_name,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._apply import Executor
from ansible_collections.alchemorsel.ollama.plugins.module_utils._client import OllamaClient
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_name
from fake_ollama import WRITES, brief, digest_of, manifest
from scripted_server import Reply

SECONDS = 20


def blob(number):
    return f"sha256:{number:064x}"


class Meeting:
    """Pulls that end only when `size` of them are under way, or one by one if `size` is 1; `most` were so at a time."""

    def __init__(self, ollama, size, fails=()):
        self.ollama, self.size, self.fails = ollama, size, fails
        self.running, self.most, self.left = [], 0, threading.Condition()
        self.order = []

    def __call__(self, model):
        short = model.split("/")[-1].partition(":")[0]
        with self.left:
            self.running.append(short)
            self.order.append(short)
            self.most = max(self.most, len(self.running))
            self.left.notify_all()
            yield {"status": "pulling manifest"}
            met = self.left.wait_for(lambda: self.most >= self.size, SECONDS)
        # If two should have met, they had time for it; if not, they had time for the fault.
        threading.Event().wait(0.05)
        with self.left:
            self.running.remove(short)
        if not met or short in self.fails:
            yield {"error": "max retries exceeded: EOF"}
            return
        served = self.ollama.server.replies["/v2/" + model.partition("/")[2].replace(":", "/manifests/")].body
        self.ollama.held[model] = digest_of(served)
        yield {"status": "success"}


@pytest.fixture
def publish(ollama):
    """Publish models, each with the blobs of these numbers; return their digests."""

    def all_of(**models):
        return {name: ollama.publish(name, manifest(name, blob=blob(number))) for name, number in models.items()}

    return all_of


def pulled_by(ollama, meeting, count):
    ollama.pulls = [meeting] * count
    return meeting


@pytest.mark.parametrize(("parallel", "most"), [(1, 1), (2, 2), (3, 3), (9, 4)])
def test_so_many_at_a_time(run, ollama, publish, parallel, most):
    digests = publish(a=1, b=2, c=3, d=4)
    meeting = pulled_by(ollama, Meeting(ollama, most), 4)
    result = run(name=[ollama.name(name) for name in digests], parallel=parallel)
    assert meeting.most == most
    # In the order of declaration, whichever came first.
    assert brief(result) == [("pull", None, digest) for digest in digests.values()]
    assert [action["name"] for action in result["actions"]] == [ollama.name(name) for name in digests]
    assert run(name=[ollama.name(name) for name in digests])["changed"] is False


def test_two_is_the_default(run, ollama, publish):
    digests = publish(a=1, b=2, c=3)
    meeting = pulled_by(ollama, Meeting(ollama, 2), 3)
    assert len(run(name=[ollama.name(name) for name in digests])["actions"]) == 3
    assert meeting.most == 2


def test_a_missing_blob_is_never_pulled_twice_at_a_time(run, ollama, publish):
    digests = publish(a=1, b=1, c=2, d=2)
    meeting = pulled_by(ollama, Meeting(ollama, 2), 4)
    assert len(run(name=[ollama.name(name) for name in digests], parallel=4)["actions"]) == 4
    assert meeting.most == 2
    assert set(meeting.order[:2]) == {"a", "c"}
    # What one of them has brought is there for all others.
    assert sum(path.startswith("/api/blobs/") for path in ollama.server.paths()) == 2 + 4


def test_a_blob_that_is_there_may_be_shared(run, ollama, publish):
    digests = publish(a=1, b=1)
    ollama.blobs = {blob(1)}
    meeting = pulled_by(ollama, Meeting(ollama, 2), 2)
    assert "failed" not in run(name=[ollama.name(name) for name in digests])
    assert meeting.most == 2


def test_an_update_is_not_run_beside_what_builds_on_blobs_that_are_there(run, ollama, publish):
    ollama.have("a", manifest("old"))
    digests = publish(a=1, b=2)
    ollama.blobs = {blob(2)}
    meeting = pulled_by(ollama, Meeting(ollama, 1), 2)
    result = run(models=[{"name": ollama.name(name), "state": "latest"} for name in digests])
    assert [action["action"] for action in result["actions"]] == ["update", "pull"]
    assert meeting.most == 1


@pytest.mark.parametrize("reply", [Reply(403, {"error": "no"}), Reply(500, "?"), Reply(501)])
def test_where_blobs_are_not_shown_models_are_fetched_in_turn(run, ollama, publish, reply):
    digests = publish(a=1, b=2)
    for number in (1, 2):
        ollama.server.replies[f"/api/blobs/{blob(number)}"] = reply
    meeting = pulled_by(ollama, Meeting(ollama, 1), 2)
    assert "failed" not in run(name=[ollama.name(name) for name in digests])
    assert (meeting.most, meeting.order) == (1, ["a", "b"])


def test_a_source_that_cannot_be_read_is_pulled_from_alone(run, ollama, publish):
    digests = publish(a=1, b=2, c=3)
    really = ollama.server.replies["/v2/library/b/manifests/latest"]
    ollama.server.replies["/v2/library/b/manifests/latest"] = [Reply(401, "login"), really]
    meeting = pulled_by(ollama, Meeting(ollama, 2), 3)
    ollama.pulls = [lambda model: alone(model) if "/b:" in model else meeting(model)] * 3

    def alone(model):
        assert meeting.running == []
        ollama.held[model] = digest_of(really.body)
        return [{"status": "success"}]

    result = run(name=[ollama.name(name) for name in digests], parallel=3)
    assert brief(result) == [("pull", None, digest) for digest in digests.values()]
    assert meeting.most == 2
    assert "its digest is known only after the pull" in str(result["warnings"])


def test_what_a_source_does_not_have_is_refused_before_the_first_pull(run, ollama, publish):
    publish(a=1)
    for check_mode in (True, False):
        result = run(check_mode, name=[ollama.name("a"), ollama.name("nobody")])
        assert result["error_kind"] == "InvalidInput"
        assert "cannot be fetched" in result["msg"] and "nobody" in result["msg"]
    assert not [call for call in ollama.calls if call.startswith(WRITES)]


def test_a_single_pull_asks_for_nothing_more(run, ollama, publish):
    publish(a=1)
    run(name=ollama.name("a"), parallel=4)
    assert ollama.calls == ["GET /api/tags", "GET /api/version", "POST /api/pull a:latest", "GET /api/tags"]


def test_a_failure_leaves_the_others_running(run, ollama, publish):
    digests = publish(a=1, b=2, c=3, d=4)
    ollama.have("extra", manifest("extra"))
    meeting = pulled_by(ollama, Meeting(ollama, 2, fails=("a", "c")), 4)
    result = run(name=[ollama.name(name) for name in digests], exclusive=True, prune_local=True)
    assert result["error_kind"] == "PullFailed"
    assert result["msg"].startswith("2 models failed: (1)")
    assert result["msg"].index("/a:") < result["msg"].index("/c:")
    assert brief(result) == [("pull", None, digests["b"]), ("pull", None, digests["d"])]
    assert (meeting.most, result["changed"]) == (2, True)
    # Nothing is deleted after a failure.
    assert ollama.name("extra") in ollama.held


def test_pins_and_guards_at_the_same_time(run, ollama, publish):
    """Two pinned models are updated at the same time: one well, one with what nobody wanted, which is undone."""
    old = {name: ollama.have(name, manifest(f"old {name}")) for name in ("a", "b")}
    digests = publish(a=1, b=2)
    guards = {name: guard_name(parse_name(ollama.name(name))).short for name in old}
    meeting = Meeting(ollama, 2)
    seen = []

    def wrong(model):
        for line in meeting(model):
            if line["status"] == "success":
                seen.append({name: ollama.held.get(guards[name]) for name in guards})
                if "/b:" in model:
                    ollama.held[model] = digest_of("wrong")
            yield line

    ollama.pulls = [wrong] * 2
    result = run(models=[{"name": ollama.name(name), "digest": pin} for name, pin in digests.items()])
    assert meeting.most == 2
    assert result["error_kind"] == "DigestNotServed"
    assert old in seen
    assert ollama.held == {ollama.name("a"): digests["a"], ollama.name("b"): old["b"]}
    assert brief(result) == [("update", old["a"], digests["a"])]


def test_a_server_that_is_gone_gets_no_further_pull(run, ollama, publish):
    digests = publish(a=1, b=2, c=3, d=4)
    ollama.server.replies["/api/pull"] = Reply(401, {"error": "no"})
    result = run(name=[ollama.name(name) for name in digests])
    assert result["error_kind"] == "AccessRefused"
    assert len(ollama.server.sent("/api/pull")) <= 3


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interruption_ends_all_pulls(ollama, publish, monkeypatch, kind):
    digests = publish(a=1, b=2)
    ended = []

    def endless(model):
        try:
            while True:
                yield {"status": "pulling x", "digest": blob(1), "total": 100, "completed": 1}
                threading.Event().wait(0.02)
        finally:
            # The server notices that its client has left when it sends the next line.
            ended.append(model)

    ollama.pulls = [endless] * 2
    lines = []

    def report(model, line):
        lines.append(model)
        if len(set(lines)) == 2 and not asked:
            asked.append(model)
            raised.set()

    asked, raised = [], threading.Event()

    class Interrupted:
        """A queue whose reader is interrupted."""

        def put(self, item):
            """Nobody reads it."""

        def get(self):
            assert raised.wait(SECONDS)
            raise kind

    monkeypatch.setattr(_together.queue, "SimpleQueue", Interrupted)
    executor = Executor(OllamaClient(ollama.url), {}, insecure=lambda name: True, report=report, parallel=2)
    actions = [
        Action(PULL, parse_name(ollama.name(name)), "", blobs={blob(number): 1})
        for number, name in enumerate(digests, 1)
    ]
    with pytest.raises(kind):
        executor.run(Plan(tuple(actions)))
    for thread in threading.enumerate():
        if isinstance(thread, _together._Job):
            thread.join(SECONDS)
            assert not thread.is_alive()
    for _try in range(SECONDS * 50):
        if len(ended) == 2:
            break
        threading.Event().wait(0.02)
    assert sorted(ended) == sorted(ollama.name(name) for name in digests)


def test_bad_values(run, ollama):
    result = run(name="a", parallel=0, lock_timeout=-1)
    assert "parallel is 0; wanted 1 or more" in result["msg"]
    assert "lock_timeout is -1.0; wanted 0 or more seconds" in result["msg"]
    assert ollama.calls == []
