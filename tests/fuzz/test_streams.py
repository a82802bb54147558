# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams of JSON lines, the errors in them, and the figures of pulls: however they are cut and whatever stands in them."""

from __future__ import annotations

import json
import socket
import struct
import types

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._answers import cause, status_error
from ansible_collections.alchemorsel.ollama.plugins.module_utils._engine import unpack
from ansible_collections.alchemorsel.ollama.plugins.module_utils._load_errors import load_error
from ansible_collections.alchemorsel.ollama.plugins.module_utils._progress import (
    Pace,
    Pull,
    Tracker,
    describe,
    parse_progress,
    seconds_left,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull import Phase
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull_errors import pull_error
from ansible_collections.alchemorsel.ollama.plugins.module_utils._run import count, durations, per_second
from ansible_collections.alchemorsel.ollama.plugins.module_utils._stream import MAX_LINE, JsonStream
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.strategies import bent, bent_json, can_be_shown, no_json, pieces, scalars, texts

LINE = {"status": "pulling a", "digest": "sha256:" + "a" * 64, "total": 10, "completed": 5}
DONE = {"status": "success"}
ERROR = {"error": "pull model manifest: file does not exist"}
TOLD = {"model": "a", "number": 1, "count": 2, "step": "pulling", "done": 5, "total": 10, "got": 5, "at": 1.5}
FINAL = {"done": True, "eval_count": 5, "eval_duration": 7, "load_duration": 9, "total_duration": 11}
URL = "http://127.0.0.1:11435/api/pull"


def ending(read):
    """Return the lines that a stream gave, and the name of what ended it."""
    lines = []
    try:
        for line in read:
            lines.append(line)
    except errors.OllamaError as exc:
        assert can_be_shown(exc.as_result())
        return lines, exc.kind
    return lines, ""


def stream(chunks, broken=None):
    """Return a stream over an answer that comes in these pieces and then ends, or breaks."""

    def content(_size):
        yield from chunks
        if broken:
            raise broken

    ours, theirs = socket.socketpair()
    response = types.SimpleNamespace(raw=ours, iter_content=content, close=lambda: (ours.close(), theirs.close()))
    return JsonStream(response, url=URL, done=lambda line: line.get("status") == "success")


@st.composite
def cut_streams(draw):
    """The pieces of a stream: right lines, bent ones, errors in the middle, and no newline at the end perhaps."""
    lines = draw(st.lists(st.just(json.dumps(LINE).encode()) | bent_json(LINE) | bent_json(ERROR), max_size=6))
    lines += draw(st.sampled_from([[], [json.dumps(DONE).encode()], [b"", b"{}"]]))
    data = draw(st.sampled_from([b"\n", b"\r\n", b"\n\n"])).join(lines) + draw(st.sampled_from([b"", b"\n"]))
    return data, draw(pieces(data))


@given(cut_streams(), st.sampled_from([None, OSError("reset"), ValueError("closed"), AttributeError("read")]))
def test_a_stream_says_the_same_however_it_is_cut(cut, broken):
    data, chunks = cut
    lines, kind = ending(stream(chunks, broken))
    assert (lines, kind) == ending(stream([data], broken)) or broken
    assert kind in ("", "BadAnswer", "StreamBroken")
    assert (kind == "") == (bool(lines) and lines[-1].get("status") == "success")
    assert all(isinstance(line, dict) and "error" not in line for line in lines)


@given(st.integers(MAX_LINE - 3, MAX_LINE + 3), st.integers(1 << 10, 1 << 20))
def test_a_line_without_end_is_given_up(size, step):
    taken = []

    def endless():
        for begin in range(0, 2 * size, step):
            taken.append(begin)
            yield b"x" * step

    assert ending(stream(endless())) == ([], "BadAnswer")
    assert taken[-1] <= MAX_LINE


@given(texts | st.sampled_from(["dial tcp: no space left on device", "digest mismatch, file", ": 429: x"]))
def test_whatever_a_failed_pull_or_load_says(text):
    assert can_be_shown(pull_error("a:latest", text, url=URL).as_result())
    said = errors.BadAnswer("x", url=URL, error=text)
    assert can_be_shown(load_error(said, "a:latest", 5.0).as_result())


@given(st.integers(300, 599), bent_json(ERROR).map(lambda body: body.decode("utf-8", "replace")), texts | st.none())
def test_whatever_stands_in_an_answer_that_is_none(status, text, location):
    found = status_error("http://h:1", "/api/show", status, text, location)
    assert can_be_shown(found.as_result()) and len(found.message) < 1000 + len(text) + len(location or "")


@given(st.lists(texts | scalars, max_size=2), st.integers(0, 9))
def test_the_cause_of_nested_errors_is_one_line(args, depth):
    exc = OSError(*args)
    for _turn in range(depth):
        exc = ValueError(exc)
    assert "\n" not in cause(exc)


@given(st.lists(bent(LINE), max_size=6), st.lists(st.floats(0, 1e6), min_size=6, max_size=6))
@example([{**LINE, "total": 10**400, "completed": 10**399}], [0.0] * 6)
def test_any_status_lines_of_a_pull_become_a_line_for_people(lines, times):
    tracker, phase, pace = Tracker({"a": 10}), Phase(), Pace()
    for line, now in zip((line for line in lines if isinstance(line, dict)), sorted(times)):
        phase.feed(line, now)
        tracker.feed("a", line, now)
        assert phase.verification >= 0
        for pull in tracker.pulls():
            pace.feed(pull.at, pull.got)
            assert can_be_shown(describe(pull, pace.rate))


@given(bent_json({"pid": 5, "pulls": [TOLD, {**TOLD, "model": "b", "number": 2}]}), st.none() | st.floats(0, 1e12))
@example(b'{"pid": 1e999, "pulls": []}', None)
@example(
    b'{"pid": 1, "pulls": [{"model": "a", "number": 1, "count": 1, "step": "pulling", "done": "x", "total": 5, "got": 0, "at": 0}]}',
    5.0,
)
def test_whatever_a_host_says_of_its_pulls_can_be_shown(body, rate):
    progress = parse_progress(body.decode("utf-8", "replace"))
    for pull in progress.pulls if progress else ():
        pace = Pace()
        pace.feed(pull.at, pull.got)
        seconds_left(pull, rate)
        assert can_be_shown(describe(pull, rate))


@given(texts, texts)
@example("\x1b[2J\x1b]0;x\x07", "\r\x1b[1A")
def test_what_moves_a_terminals_cursor_is_not_shown(model, step):
    for word in (step, "pulling"):
        assert describe(Pull(model, 1, 1, word, 5, 10, 5, 1.5), None).isprintable()


@given(bent(FINAL))
@example({"eval_count": 10**400, "eval_duration": 1})
def test_whatever_the_last_line_of_an_answer_counts(final):
    if isinstance(final, dict):
        durations(final)
        rate = per_second(count(final, "eval_count"), count(final, "eval_duration"))
        assert rate is None or can_be_shown(f"{rate:.1f}")


@given(st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=9)), max_size=5), no_json, st.integers(0, 40))
def test_any_log_of_the_engine_is_unpacked(frames, rest, cut):
    body = b"".join(struct.pack(">BxxxI", kind, len(data)) + data for kind, data in frames) + rest
    assert len(unpack(body[: len(body) - cut])) <= len(body)
