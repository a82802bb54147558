# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pull's status lines come to: the file, the rate, the line that is shown."""

from __future__ import annotations

import dataclasses
import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._progress import (
    ENDED,
    Pace,
    Progress,
    ProgressFile,
    Pull,
    Tracker,
    describe,
    human_bytes,
    human_time,
    parse_progress,
)

MB = 1_000_000
PULL = Pull("llama3.2:3b", 1, 1, "pulling", 850 * MB, 2000 * MB, 850 * MB, 1.0)


def blob(name, completed, total):
    return {"status": f"pulling {name}", "digest": f"sha256:{name}", "total": total, "completed": completed}


class Now:
    """A clock that stands where a test puts it."""

    def __init__(self):
        self.time = 100.0

    def __call__(self):
        return self.time


# --- numbers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (9, "9 B"),
        (999, "999 B"),
        (999.6, "1.0 kB"),
        (1000, "1.0 kB"),
        (9949, "9.9 kB"),
        (9950, "10 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (2_019_393_189, "2.0 GB"),
        (43 * 10**9, "43 GB"),
        (1.5 * 10**12, "1.5 TB"),
        (5 * 10**15, "5000 TB"),
    ],
)
def test_human_bytes(number, text):
    assert human_bytes(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (190, "3 min 10 s"),
        (3599.9, "1 h 00 min"),
        (3900, "1 h 05 min"),
    ],
)
def test_human_time(seconds, text):
    assert human_time(seconds) == text


# --- lines --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "rate", "text"),
    [
        ({}, 54 * MB, "llama3.2:3b: 42 %, 850 MB of 2.0 GB, 54 MB/s, 21 s left"),
        ({}, None, "llama3.2:3b: 42 %, 850 MB of 2.0 GB"),
        ({}, 0.0, "llama3.2:3b: 42 %, 850 MB of 2.0 GB, 0 B/s"),
        ({"number": 2, "count": 3}, None, "llama3.2:3b (2 of 3): 42 %, 850 MB of 2.0 GB"),
        ({"done": 1999 * MB}, None, "llama3.2:3b: 99 %, 2.0 GB of 2.0 GB"),
        ({"done": 2000 * MB}, 5.0 * MB, "llama3.2:3b: 100 %, 2.0 GB of 2.0 GB, 5.0 MB/s"),
        ({"step": "pulling", "done": 0, "total": 0}, None, "llama3.2:3b: pulling"),
        ({"step": "pulling manifest", "done": 0, "total": 0}, None, "llama3.2:3b: pulling manifest"),
        ({"step": "verifying sha256 digest"}, 54 * MB, "llama3.2:3b: verifying sha256 digest"),
    ],
)
def test_describe(change, rate, text):
    assert describe(dataclasses.replace(PULL, **change), rate) == text


def test_the_rate_is_that_of_the_last_while():
    pace = Pace()
    assert pace.rate is None
    pace.feed(10.0, 5)
    assert pace.rate is None
    pace.feed(10.0, 50)  # not written anew since
    assert pace.rate is None
    pace.feed(10.9, 5)  # too short to tell
    assert pace.rate is None
    for second in range(11, 101):
        pace.feed(float(second), 5 + 1000 * (second - 10))
    assert pace.rate == 1000
    for second in range(101, 131):
        pace.feed(float(second), 90_005)
    assert pace.rate == 0


# --- status lines -------------------------------------------------------------------------------------------------


def test_a_pull_from_its_lines():
    tracker = Tracker({"a": 0, "b": 500})
    assert tracker.pulls() == ()
    assert tracker.feed("b", {"status": "pulling manifest"}, 1.0)
    assert not tracker.feed("b", {"status": "pulling manifest"}, 2.0)
    assert tracker.pulls() == (Pull("b", 2, 2, "pulling manifest", 0, 500, 0, 2.0),)
    assert tracker.feed("b", blob("w", 100, 400), 3.0)
    assert not tracker.feed("b", blob("w", 250, 400), 4.0)
    # A second blob is there already: it is done, and its bytes did not come in now.
    assert not tracker.feed("b", blob("t", 50, 50), 5.0)
    assert tracker.pulls() == (Pull("b", 2, 2, "pulling", 300, 500, 150, 5.0),)
    assert tracker.feed("b", {"status": "verifying sha256 digest"}, 6.0)
    assert tracker.pulls()[0].step == "verifying sha256 digest"
    assert tracker.feed("a", {"status": "pulling manifest"}, 7.0)
    assert [pull.model for pull in tracker.pulls()] == ["a", "b"]
    assert tracker.feed("b", {"status": ENDED}, 8.0)
    assert not tracker.feed("b", {"status": ENDED}, 8.0)
    assert [pull.model for pull in tracker.pulls()] == ["a"]


def test_bytes_that_were_thrown_away_are_no_negative_rate():
    tracker = Tracker({"a": 0})
    tracker.feed("a", blob("w", 100, 400), 1.0)
    tracker.feed("a", blob("w", 0, 400), 2.0)
    assert (tracker.pulls()[0].done, tracker.pulls()[0].got) == (0, 0)


# --- the file -----------------------------------------------------------------------------------------------------


def test_the_file_is_written_once_a_second_and_at_each_step(tmp_path, monkeypatch):
    path, now, writes = tmp_path / "progress", Now(), []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda new, old: (writes.append(now.time), replace(new, old)))
    with ProgressFile(str(path), now) as progress:
        assert parse_progress(path.read_text()) == Progress(os.getpid(), ())
        progress.expect({"m": 0})
        progress.report("m", {"status": "pulling manifest"})
        for tick in range(100):
            now.time = 101 + tick / 25
            progress.report("m", blob("w", tick, 100))
        assert writes == [100.0, 100.0, 101.0, 102.0, 103.0, 104.0]
        progress.report("m", {"status": "verifying sha256 digest"})
        assert parse_progress(path.read_text()).pulls[0] == Pull(
            "m", 1, 1, "verifying sha256 digest", 99, 100, 99, now.time
        )
        assert path.stat().st_mode & 0o777 == 0o600
        assert len(writes) == 7
    assert list(tmp_path.iterdir()) == []


def test_the_file_goes_when_the_work_fails(tmp_path):
    with pytest.raises(SystemExit), ProgressFile(str(tmp_path / "progress")):
        raise SystemExit(1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", [None, "/nonexistent/progress"])
def test_without_a_file_the_work_goes_on(path):
    with ProgressFile(path) as progress:
        progress.expect({"m": 1})
        progress.report("m", {"status": "pulling manifest"})


@pytest.mark.parametrize(
    "text", ["", "no file", "[]", "{}", '{"pid": 1}', '{"pid": 1, "pulls": [{"x": 1}]}', '{"pid": "x", "pulls": []}']
)
def test_what_is_no_progress(text):
    assert parse_progress(text) is None


def test_progress_is_read_as_it_was_written():
    assert parse_progress(json.dumps({"pid": 7, "pulls": [dataclasses.asdict(PULL)]})) == Progress(7, (PULL,))


def test_several_threads_report(tmp_path):
    path = tmp_path / "p"
    models = [f"m{number}" for number in range(8)]
    with ProgressFile(str(path), Now()) as progress:
        progress.expect(dict.fromkeys(models, 1000))

        def pulled(model):
            for step in range(200):
                progress.report(model, blob(f"{model}-{step % 3}", step, 1000))
                progress.report(model, {"status": f"step {step}"})
                assert parse_progress(path.read_text())
            if model != "m7":
                progress.report(model, {"status": ENDED})

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(pulled, models))
        assert [
            (pull.model, pull.number, pull.count, pull.step) for pull in parse_progress(path.read_text()).pulls
        ] == [("m7", 8, 8, "step 199")]


def test_a_wait_is_shown_until_the_work_begins(tmp_path):
    path = tmp_path / "p"
    with ProgressFile(str(path), Now()) as progress:
        progress.wait("process 7")
        assert [describe(pull, None) for pull in parse_progress(path.read_text()).pulls] == [
            "models: waiting for another run on this server, process 7"
        ]
        progress.expect({"a": 10, "b": 20})
        assert parse_progress(path.read_text()).pulls == ()
        progress.wait("process 7")
        assert [describe(pull, None) for pull in parse_progress(path.read_text()).pulls] == [
            "a (1 of 2): waiting for another run on this server, process 7"
        ]
