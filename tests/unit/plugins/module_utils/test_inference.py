# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From plain values: which model is run, with what, and how long it stays."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _inference as inference
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._verdicts import Check

NOW = datetime(2026, 11, 22, 10, 0, 0, tzinfo=timezone.utc)
A, B = parse_name("a"), parse_name("b")
TAGS = [{"name": "big:latest", "size": 9}, {"name": "a:latest", "size": 7}, {"name": "b:latest", "size": 5}]


def entry(name: str = "a:latest", **fields):
    return {"name": name, **fields}


# --- how long it stays -------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("2026-11-22T10:05:00Z", 300.0),
        ("2026-11-22T10:00:01.5Z", 1.5),
        ("2026-11-22T10:00:10.123456789Z", 10.123456),
        ("2026-11-22T12:00:00.25+02:00", 0.25),
        ("2026-11-22T09:59:00-00:00", -60.0),
        ("soon", None),
        ("2026-13-40T10:00:00Z", None),
        (None, None),
    ],
)
def test_seconds_left(text, left):
    assert inference.seconds_left(entry(expires_at=text), NOW) == left


@pytest.mark.parametrize(("seconds", "value"), [(300, 300), (299.9, 299), (0.2, 1), (292 * 365 * 24 * 3600, -1)])
def test_keep_alive_leaves_the_stay_as_it_is(seconds, value):
    until = (NOW + timedelta(seconds=seconds)).isoformat()
    assert inference.keep_alive(entry(expires_at=until), NOW) == value


def test_keep_alive_is_not_sent_where_the_stay_is_unknown():
    assert inference.keep_alive(entry(), NOW) is None


@pytest.mark.parametrize(("seconds", "staying"), [(300, True), (6, True), (4, False), (-1, False)])
def test_a_model_about_to_leave_counts_as_not_loaded(seconds, staying):
    until = (NOW + timedelta(seconds=seconds)).isoformat()
    assert inference.is_staying(entry(expires_at=until), NOW) is staying


def test_staying_without_entry_or_expiry():
    assert inference.is_staying(None, NOW) is False
    assert inference.is_staying(entry(), NOW) is True


# --- which model -------------------------------------------------------------


@pytest.mark.parametrize(
    ("explicit", "declared", "loaded", "allow", "chosen"),
    [
        ([], [], [], False, ["b:latest"]),  # the smallest there is
        ([], [A], [], False, ["a:latest"]),  # declared before smaller
        ([], [A, B], [], False, ["b:latest"]),  # the smallest declared
        ([], [A, B], ["a:latest"], False, ["a:latest"]),  # loaded before smaller
        ([], [A], ["big:latest"], False, ["big:latest"]),  # nobody is evicted for a declared one
        ([], [A], ["big:latest"], True, ["a:latest"]),  # unless allowed
        ([A, B], [], [], False, ["a:latest", "b:latest"]),
        ([A], [], ["a:latest", "big:latest"], False, ["a:latest"]),
        ([A], [], ["big:latest"], True, ["a:latest"]),
    ],
)
def test_choice(explicit, declared, loaded, allow, chosen):
    result = inference.choose_models(explicit, declared, TAGS, [entry(name) for name in loaded], allow)
    assert [name.short for name in result] == chosen


def test_a_loaded_model_is_not_evicted_for_a_named_one():
    check = inference.choose_models([A, B], [], TAGS, [entry("a:latest"), entry("big:latest")], False)
    assert isinstance(check, Check)
    assert (check.verdict, check.target) == ("not_loaded", "b:latest")
    assert "a:latest, big:latest" in check.reason
    assert "allow_load" in check.remedy


@pytest.mark.parametrize(
    "small", [{"capabilities": ["embedding"]}, {"details": {"family": "nomic-bert"}}, {"size": 9}], ids=str
)
def test_a_model_that_only_embeds_comes_last(small):
    tags = [{"name": "small:1", "size": 1, **small}, {"name": "a:latest", "size": 7, "capabilities": ["completion"]}]
    assert [name.short for name in inference.choose_models([], [], tags, [], False)] == ["a:latest"]


def test_a_cloud_stub_is_not_run():
    check = inference.choose_models([], [], [{"name": "x:1", "size": 1, "remote_host": "https://r"}], [], False)
    assert isinstance(check, Check)
    assert check.verdict == "model_missing"


@pytest.mark.parametrize(
    ("tags", "loaded", "line"),
    [
        ([("a", "1"), ("b", "1")], [("b", "1")], "b"),  # a copy: the same digest
        ([("a", "1"), ("b", "1")], [("b", "1"), ("a", "1")], "a"),  # by its own name first
        ([("a", "1"), ("b", "2")], [("b", "2")], None),  # another one, or derived: cannot be seen
        ([], [("b", "")], None),
        ([("a", "")], [("b", "")], None),  # a server that tells no digests
    ],
)
def test_a_copy_runs_under_the_name_that_loaded_it(tags, loaded, line):
    tags, loaded = ([{"name": name, "digest": digest} for name, digest in pairs] for pairs in (tags, loaded))
    found = inference.find_loaded(A, tags, loaded)
    assert (found or {}).get("name") == line


@pytest.mark.parametrize(
    ("capabilities", "embeds"),
    [(["embedding"], True), (["completion"], False), (["completion", "embedding"], False), ([], False), (None, False)],
)
def test_embedding_only(capabilities, embeds):
    assert inference.is_embedding_only({"capabilities": capabilities}) is embeds


@pytest.mark.parametrize(
    ("context", "version", "options"),
    [
        (4096, "0.32.15", {"num_ctx": 4096}),
        (8192, "0.32.15", {"num_ctx": 8192}),  # clamped values are compared
        (4096, "0.24.0", {"num_ctx": 4096}),
        (8192, "0.24.0", {}),  # may have been clamped, what was asked for is unknown
        (0, "0.32.15", {}),
        (None, "0.32.15", {}),
    ],
)
def test_a_request_does_not_ask_for_another_context(context, version, options):
    shown = {"model_info": {"general.architecture": "llama", "llama.context_length": 8192}}
    assert inference.runner_options(entry(context_length=context), shown, version) == options


def test_a_clamped_context_is_not_sent_when_embedding():
    shown = {"capabilities": ["embedding"], "model_info": {"bert.context_length": 512}}
    assert inference.runner_options(entry(context_length=512), shown, "0.32.15") == {}
    assert inference.runner_options(entry(context_length=256), shown, "0.32.15") == {"num_ctx": 256}
