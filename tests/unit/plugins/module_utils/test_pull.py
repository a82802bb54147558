# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One pull: what counts as progress, what is cut, what is tried again, with a clock that only the test moves."""

from __future__ import annotations

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull import Clock, Phase, PullLimits, pull

BLOB = "sha256:" + "a" * 64
SUCCESS = {"status": "success"}
MANIFEST = {"status": "pulling manifest"}
VERIFY = {"status": "verifying sha256 digest"}


def bytes_done(completed, total=100, digest=BLOB):
    line = {"status": f"pulling {digest[7:19]}", "digest": digest, "total": total}
    # The server leaves a figure out where it is 0.
    return {**line, "completed": completed} if completed else line


class FakeTime:
    def __init__(self):
        self.now = 1000.0
        self.pauses = []

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds

    @property
    def clock(self):
        return Clock(now=lambda: self.now, sleep=self.sleep, random=lambda: 1.0)


class FakeServer:
    """Plays one script for each pull request: (seconds until it comes, line or exception)."""

    url = "http://fake"

    def __init__(self, time, *scripts):
        self.time = time
        self.scripts = list(scripts)
        self.requests = []
        self.closed = 0

    def pull(self, model, insecure=False, timeout=None):
        self.requests.append((model, insecure))
        return FakeStream(self, self.scripts.pop(0), timeout)


class FakeStream:
    def __init__(self, server, script, timeout):
        self.server = server
        self.script = iter(script)
        self.limit(timeout)

    def limit(self, seconds):
        self.deadline = self.server.time.now + seconds

    def __iter__(self):
        return self

    def __next__(self):
        seconds, what = next(self.script)
        self.server.time.now = min(self.server.time.now + seconds, max(self.deadline, self.server.time.now))
        if self.server.time.now >= self.deadline:
            raise errors.DeadlinePassed("cut")
        if isinstance(what, Exception):
            raise what
        return what

    def close(self):
        self.server.closed += 1


def run(*scripts, **limits):
    time = FakeTime()
    server = FakeServer(time, *scripts)
    failure = None
    try:
        pull(server, "m", clock=time.clock, limits=PullLimits(**limits))
    except errors.OllamaError as exc:
        failure = exc
    assert server.closed == len(server.requests)
    return server, time, failure


def test_to_success():
    seen = []
    time = FakeTime()
    server = FakeServer(time, [(0, MANIFEST), (1, bytes_done(50)), (1, VERIFY), (1, SUCCESS)])
    pull(server, "m", insecure=True, clock=time.clock, report=lambda model, line: seen.append((model, line["status"])))
    assert server.requests == [("m", True)]
    assert [status for _model, status in seen] == [
        "pulling manifest",
        "pulling aaaaaaaaaaaa",
        VERIFY["status"],
        "success",
    ]


@pytest.mark.parametrize("quiet", [MANIFEST, {"status": "pulling abc", "digest": BLOB}, VERIFY, bytes_done(100)])
def test_long_silence_is_fine_where_it_is_natural(quiet):
    server, _time, failure = run([(0, bytes_done(1)), (0, quiet), (3600, SUCCESS)])
    assert failure is None
    assert len(server.requests) == 1


def test_a_stall_is_judged_by_bytes_not_by_lines():
    still = [(0.06, bytes_done(40))] * 1000
    server, time, failure = run([(0, bytes_done(40)), *still], [(0, bytes_done(41)), (1, SUCCESS)])
    assert failure is None
    assert len(server.requests) == 2
    # 20 s of standing still, a pause of 1 s, 1 s to the end.
    assert time.now - 1000 == pytest.approx(22, abs=0.2)


def test_a_stall_without_any_line_is_one_too():
    server, _time, failure = run([(0, bytes_done(40)), (999, bytes_done(41))], [(0, SUCCESS)])
    assert failure is None
    assert len(server.requests) == 2


def test_slow_is_not_stalled():
    server, _time, failure = run([*[(19, bytes_done(number)) for number in range(1, 100)], (1, SUCCESS)])
    assert failure is None
    assert len(server.requests) == 1


def test_the_stall_limit_begins_anew_with_each_blob():
    other = "sha256:" + "b" * 64
    server, _time, failure = run([(0, bytes_done(40)), (15, bytes_done(40, digest=other)), (15, SUCCESS)])
    assert failure is None
    assert len(server.requests) == 1


def test_retries_are_counted_in_a_row_without_progress():
    stalls = [[(0, bytes_done(number)), (999, SUCCESS)] for number in range(1, 9)]
    server, time, failure = run(*stalls, [(0, SUCCESS)], retries=2)
    assert failure is None
    assert len(server.requests) == 9
    assert time.pauses == [1.0] * 8
    stuck = [[(0, bytes_done(5)), (999, SUCCESS)] for _number in range(9)]
    server, time, failure = run(*stuck, retries=2)
    assert isinstance(failure, errors.PullStalled)
    assert "no byte for 20 s" in failure.message
    assert len(server.requests) == 3


def test_pauses_grow_and_are_bounded():
    broken = [[(0, errors.StreamBroken("end"))] for _number in range(10)]
    _server, time, failure = run(*broken, retries=9)
    assert isinstance(failure, errors.PullFailed)
    assert "ended without success" in failure.message
    assert time.pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_verification_that_was_cut_is_given_the_time_to_end():
    # The server goes on with it, and would trust the blobs in a pull that begins before it has found them wrong.
    cut = [(0, bytes_done(3 * 10**9, 3 * 10**9)), (0, VERIFY), (60, errors.StreamBroken("end"))]
    server, time, failure = run(cut, [(0, bytes_done(3 * 10**9, 3 * 10**9)), (0, VERIFY), (0, SUCCESS)])
    assert failure is None
    assert time.pauses == [60.0]
    # Where there is no time for that, it is no success.
    server, time, failure = run(cut, [(0, SUCCESS)], pull_timeout=110)
    assert isinstance(failure, errors.PullFailed)
    assert len(server.requests) == 1
    # What broke before that is tried again at once.
    _server, time, failure = run([cut[0], cut[2]], [(0, SUCCESS)])
    assert (failure, time.pauses) == (None, [1.0])


def test_wrong_bytes_are_told_after_all():
    text = "digest mismatch, file must be downloaded again: want sha256:1, got sha256:2"
    for scripts, told in (
        ([[(0, SUCCESS)]], False),
        ([[(0, errors.StreamBroken("end"))], [(0, SUCCESS)]], False),
        ([[(0, errors.BadAnswer("x", error=text))], [(0, errors.StreamBroken("end"))], [(0, SUCCESS)]], True),
    ):
        time = FakeTime()
        assert pull(FakeServer(time, *scripts), "m", clock=time.clock) is told


def test_the_end_can_be_given():
    time = FakeTime()
    with pytest.raises(errors.PullTimeout, match="within pull_timeout, 7200 s"):
        pull(FakeServer(time, [(0, MANIFEST), (9999, SUCCESS)]), "m", clock=time.clock, until=time.now + 50)
    assert time.now == 1050


def test_wrong_bytes_are_no_progress():
    text = "digest mismatch, file must be downloaded again: want sha256:1, got sha256:2"
    size = 3 * 10**9
    mismatch = [
        [(0, bytes_done(number, size)), (0, VERIFY), (0, errors.BadAnswer("x", error=text))] for number in range(1, 9)
    ]
    server, time, failure = run(*mismatch, retries=2)
    assert isinstance(failure, errors.DigestMismatch)
    assert len(server.requests) == 3
    # The verification has ended with that: nothing to wait for.
    assert time.pauses == [1, 2]


@pytest.mark.parametrize(
    ("line", "risk"), [(VERIFY, True), (MANIFEST, True), (bytes_done(1), False)], ids=["verify", "manifest", "download"]
)
def test_pull_timeout_bounds_everything_and_names_the_risk(line, risk):
    _server, time, failure = run([(0, line), (9999, SUCCESS)], pull_timeout=100, stall_timeout=500)
    assert isinstance(failure, errors.PullTimeout)
    assert time.now - 1000 == pytest.approx(100)
    assert ("preparing or verifying" in failure.message) is risk
    assert ("trusts these blobs in a pull that begins before that has ended" in failure.message) is (line == VERIFY)
    assert "raise pull_timeout" in failure.message


def test_no_pause_beyond_pull_timeout():
    _server, time, failure = run([(0, MANIFEST), (9, errors.StreamBroken("end"))], pull_timeout=10)
    assert isinstance(failure, errors.PullFailed)
    assert time.pauses == []


def test_what_the_operator_must_change_is_not_tried_again():
    refusal = errors.BadAnswer("x", error="pull model manifest: file does not exist", http_status=200)
    server, _time, failure = run([(0, MANIFEST), (0, refusal)])
    assert isinstance(failure, errors.SourceNotFound)
    assert (failure.http_status, failure.error) == (200, "pull model manifest: file does not exist")
    assert len(server.requests) == 1


def test_the_phase_knows_progress_over_attempts():
    phase = Phase()
    phase.begin(0)
    phase.feed(bytes_done(50), 1)
    assert phase.gained
    phase.begin(10)
    phase.feed(bytes_done(30), 11)
    assert not phase.gained
    assert phase.left(12, 20) == 19
    phase.feed(bytes_done(51), 13)
    assert phase.gained


def test_what_stands_in_the_way_goes_before_each_attempt():
    calls = []
    time = FakeTime()
    stall = [(0, bytes_done(50)), (99, bytes_done(50))]
    server = FakeServer(time, stall, [(0, bytes_done(10)), (99, bytes_done(10))], [(0, SUCCESS)])

    def clear(until):
        calls.append(until)
        return len(calls) == 2

    # The second attempt has less than the first one, but begins anew: that is progress.
    pull(server, "m", clock=time.clock, limits=PullLimits(retries=1, pull_timeout=500.0), clear=clear)
    assert calls == [1500.0] * 3


def test_what_stands_in_the_way_goes_after_the_last_attempt():
    calls = []
    time = FakeTime()
    server = FakeServer(time, [(0, bytes_done(50)), (99, bytes_done(50))])
    with pytest.raises(errors.PullStalled) as caught:
        pull(server, "m", clock=time.clock, limits=PullLimits(retries=0), clear=calls.append)
    assert len(calls) == 2
    assert "was removed" not in str(caught.value)


@pytest.mark.parametrize(
    "end",
    [
        (99, bytes_done(50)),
        (0, errors.StreamBroken("end")),
        (0, errors.BadAnswer("x", error="max retries exceeded: unexpected EOF", http_status=200)),
        (0, errors.BadAnswer("x", error="something went wrong", http_status=200)),
    ],
    ids=["stalls", "is cut", "ends early", "fails"],
)
def test_a_failure_says_that_the_next_run_begins_anew(end):
    time = FakeTime()
    script = [(0, bytes_done(50)), end]
    with pytest.raises(errors.PullFailed) as caught:
        pull(FakeServer(time, script), "m", clock=time.clock, limits=PullLimits(retries=0), clear=lambda until: True)
    assert caught.value.message.endswith("was removed: the next run begins that anew.")
    assert str(caught.value) == caught.value.message


@pytest.mark.parametrize("looks", [True, False])
def test_a_stall_names_what_may_be_in_the_way_where_nobody_looks(looks):
    time = FakeTime()
    server = FakeServer(time, [(0, bytes_done(50)), (99, bytes_done(50))])
    with pytest.raises(errors.PullStalled) as caught:
        pull(
            server, "m", clock=time.clock, limits=PullLimits(retries=0), clear=(lambda until: False) if looks else None
        )
    assert ("sha256-...-partial*" in caught.value.message) is not looks
