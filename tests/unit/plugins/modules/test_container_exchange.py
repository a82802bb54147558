# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""container_exchange as a module, against an engine of the tests' own."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _drain, _engine
from ansible_collections.alchemorsel.ollama.plugins.modules import container_exchange
from fake_engine import FakeEngine

EXCHANGED = ["POST main stop 30", "POST main rename old", "POST next rename main", "POST main start"]
BACK = ["POST old rename main", "POST main start"]


@pytest.fixture
def engine(tmp_path):
    started = FakeEngine(str(tmp_path / "docker.sock"))
    yield started
    started.stop()


@pytest.fixture
def run(run_module, engine):
    def once(check_mode=False, **options):
        named = {"name": "main", "replacement": "next", "aside": "old", "docker_socket": engine.path, "timeout": 0.5}
        given = {key: value for key, value in {**named, **options}.items() if value is not None}
        return run_module(container_exchange, given, check_mode)

    return once


@pytest.fixture
def pair(engine):
    engine.add("main", running=True)
    engine.add("next")
    return engine


def test_exchange_in_check_mode_for_real_and_again(run, pair):
    predicted = run(check_mode=True, state="exchanged")
    assert pair.asked == []
    assert (predicted["changed"], predicted["url"], predicted["downtime_seconds"]) == (True, None, None)

    result = run(state="exchanged")
    assert pair.asked == EXCHANGED
    assert result["changed"] and result["steps"] == predicted["steps"]
    assert result["steps"] == ["stop main", "rename main to old", "rename next to main", "start main"]
    assert pair.containers["main"].identity == "was-next" and pair.containers["main"].running
    assert pair.containers["old"].identity == "was-main" and not pair.containers["old"].running
    assert result["url"] == pair.containers["main"].server.url
    assert 0 < result["downtime_seconds"] < 30
    assert "failed" not in result

    again = run(state="exchanged")
    assert (again["changed"], again["steps"], again["downtime_seconds"]) == (False, [], None)
    assert pair.asked == EXCHANGED


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"ends": 0.0}, "the container main ended with status 3"),
        ({"healthy": False}, "did not answer at http://127.0.0.1:"),
        ({"refuses": "port is taken"}, "starting the container main failed: the Docker Engine says 'port is taken'"),
    ],
)
def test_a_new_server_that_does_not_serve_goes_and_the_old_container_is_back(run, engine, how, words):
    engine.add("main", running=True)
    engine.add("next", log="its last words\n", **how)
    result = run(state="exchanged")
    assert result["failed"] and words in result["msg"]
    assert (result["restored"], result["changed"]) == (True, False)
    assert result["log"] == ["its last words"]
    assert engine.asked[:4] == EXCHANGED and engine.asked[-2:] == BACK
    assert {name: (found.identity, found.running) for name, found in engine.containers.items()} == {
        "main": ("was-main", True)
    }
    assert result["downtime_seconds"] > 0


def test_where_the_old_server_does_not_come_back_either_that_is_said(run, engine):
    engine.add("main", running=True)
    engine.add("next", ends=0.0)
    engine.containers["main"].healthy = False
    result = run(state="exchanged")
    assert result["failed"] and "ended with status 3" in result["msg"]
    assert (result["restored"], result["changed"]) == (False, True)


def test_clients_are_waited_for_before_the_stop(run, pair, monkeypatch):
    seen = []
    answers = [["192.0.2.1:5"], []]

    def look(pid, port):
        seen.append((pid, port, list(pair.asked)))
        return answers.pop(0)

    monkeypatch.setattr(_drain, "look_into", look)
    result = run(state="exchanged", drain_timeout=30)
    assert seen == [(4711, 11434, []), (4711, 11434, [])]
    assert (result["drain"]["busy"], result["drain"]["problem"]) == ([], "")


def test_clients_that_still_wait_are_named(run, pair, monkeypatch):
    monkeypatch.setattr(_drain, "look_into", lambda pid, port: ["192.0.2.1:5"])
    assert run(state="exchanged", drain_timeout=0)["drain"]["busy"] == ["192.0.2.1:5"]
    assert pair.asked == EXCHANGED


def test_restore_in_check_mode_for_real_and_again(run, pair):
    run(state="exchanged")
    pair.asked.clear()
    assert run(check_mode=True, state="restored")["changed"]
    assert pair.asked == []
    result = run(state="restored")
    assert pair.asked == ["POST main stop 30", "DELETE main", *BACK]
    assert (result["changed"], result["restored"], result["log"]) == (True, True, ["a line"])
    assert pair.containers["main"].identity == "was-main"
    pair.asked.clear()
    again = run(state="restored")
    assert (again["changed"], again["restored"], pair.asked) == (False, True, [])


def test_restore_says_if_the_old_server_does_not_answer(run, engine):
    engine.add("old", healthy=False)
    result = run(state="restored")
    assert result["failed"] and result["changed"] and not result["restored"]
    assert "did not answer at" in result["msg"]


def test_start_waits_for_an_answer_and_then_does_nothing(run, engine):
    engine.add("main")
    assert run(check_mode=True)["steps"] == ["start main"]
    assert engine.asked == []
    result = run()
    assert (result["changed"], result["url"]) == (True, engine.containers["main"].server.url)
    assert run()["changed"] is False
    assert engine.asked == ["POST main start"]


def test_start_sees_a_server_that_ends_after_its_first_answer(run, engine):
    engine.add("main", ends=0.3, log="one\ntwo\n")
    result = run(steady=5, timeout=20, log_lines=1)
    assert result["failed"] and "ended with status 3" in result["msg"]
    assert result["log"] == ["two"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "there is no container main to start"),
        ({"state": "exchanged"}, "there is no container next to take the place"),
        ({"state": "restored"}, "neither a container main nor old"),
        ({"state": "restored", "aside": None}, "missing"),
        ({"docker_socket": "/does/not/exist"}, "the Docker Engine at /does/not/exist does not answer"),
    ],
)
def test_bad_input_is_one_sentence_and_changes_nothing(run, engine, options, words):
    result = run(**options)
    assert result["failed"] and words in result["msg"]
    assert engine.asked == []


def test_documented_results_are_the_returned_ones(run, pair):
    documented = set(yaml.safe_load(container_exchange.RETURN))
    assert set(run(state="exchanged")) - {"changed", "invocation"} == documented - {"error_kind"}
    assert run(name="gone")["error_kind"] == "InvalidInput"


def test_a_log_that_cannot_be_read_is_empty(tmp_path, engine):
    assert _engine.Engine(str(tmp_path / "nothing.sock")).last_lines("main", 5) == []
    assert _engine.Engine(engine.path).last_lines("main", 5) == []
