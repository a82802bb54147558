# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One changing run per server: real files, real processes."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _lock
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import LockUnusable, ServerLocked
from ansible_collections.alchemorsel.ollama.plugins.module_utils._lock import (
    ServerLock,
    lock_name,
    parse_holder,
    server_address,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull import Clock
from hypothesis import given
from hypothesis import strategies as st

URL = "http://127.0.0.1:11435"
HOLD = """
import sys
from ansible_collections.alchemorsel.ollama.plugins.module_utils._lock import ServerLock
with ServerLock(sys.argv[1], directories=sys.argv[2:]) as lock:
    lock.acquire(0)
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(request, tmp_path):
    """Start another process that holds the lock until its stdin is closed."""
    started = []

    def start(url=URL, directories=(tmp_path,)):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, url, *map(str, directories)],
            env={**os.environ, "PYTHONPATH": str(request.config.rootpath / ".build/collections")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def lock_of(*directories, **others):
    return ServerLock(URL, directories=[str(folder) for folder in directories], **others)


def held(lock, timeout=0.0):
    """Take a lock and let it go; tell whether somebody was there in between."""
    with lock:
        lock.acquire(timeout)
    return lock.disturbed


class Waiting:
    """A clock whose sleep only counts, and calls something when that time has come."""

    def __init__(self, at=None, then=None):
        self.time, self.at, self.then = 0.0, at, then
        self.clock = Clock(now=lambda: self.time, sleep=self.sleep)

    def sleep(self, seconds):
        assert seconds > 0
        self.time += seconds
        if self.at is not None and self.time >= self.at:
            self.at = None
            self.then()


# --- which file ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:11435",
        "http://[::1]:11435",
        "https://127.0.0.1:11435",
        "http://127.0.0.1:11435/ollama",
        "http://127.8.9.1:11435",
        "http://LOCALHOST.:11435",
        "http://0.0.0.0:11435",
    ],
)
def test_spellings_of_one_server(url):
    assert lock_name(url) == lock_name(URL)


@pytest.mark.parametrize(
    "url", ["http://localhost:11434", "http://host:11435", "http://localhost", "https://localhost"]
)
def test_other_servers(url):
    assert lock_name(url) != lock_name(URL)


def test_the_scheme_gives_the_port_that_is_not_written():
    assert server_address("http://Host.") == server_address("https://host:80") == "host 80"
    assert server_address("https://host/x") == "host 443"


def test_the_file_lies_where_it_is_or_else_where_it_can(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    second.mkdir()
    held(lock_of(first, second))
    assert [path.name for path in second.iterdir()] == [lock_name(URL)]
    # The other directory comes into being, and another run does not lock another file.
    first.mkdir()
    with lock_of(first, second) as lock:
        lock.acquire(0)
        with pytest.raises(ServerLocked):
            lock_of(first, second).acquire(0)
    assert list(first.iterdir()) == []


def test_no_directory_can_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LockUnusable) as caught:
        lock_of(tmp_path / "nowhere", tmp_path / "file").acquire(0)
    for words in (str(tmp_path / "nowhere"), "No such file", "Not a directory", "writable"):
        assert words in caught.value.message


# --- who holds it -------------------------------------------------------------------------------------------------


def test_the_second_run_is_told_of_the_first(tmp_path, holder):
    other = holder()
    with pytest.raises(ServerLocked) as caught:
        lock_of(tmp_path, wall=lambda: os.stat(tmp_path / lock_name(URL)).st_mtime + 725).acquire(0)
    for words in (f"process {other.pid}, which began 12 min 0", URL, "lock_timeout, 0 s", str(tmp_path), "raise"):
        assert words in caught.value.message
    # Another server is not concerned.
    with ServerLock("http://127.0.0.1:1", directories=[str(tmp_path)]) as lock:
        lock.acquire(0)


def test_the_wait_ends_with_the_other_run(tmp_path, holder):
    other = holder()
    waiting = Waiting(at=20, then=lambda: other.communicate(""))
    heard = []
    lock = lock_of(tmp_path, clock=waiting.clock, waiting=heard.append)
    assert held(lock, 60) is True
    assert 20 <= waiting.time < 21
    assert set(heard) == {f"process {other.pid}"}


def test_the_wait_has_an_end(tmp_path, holder):
    holder()
    waiting = Waiting()
    with pytest.raises(ServerLocked, match="lock_timeout, 10.2 s"):
        lock_of(tmp_path, clock=waiting.clock).acquire(10.2)
    assert waiting.time == pytest.approx(10.2)


def test_a_killed_run_frees_it(tmp_path, holder):
    other = holder()
    before = lock_of(tmp_path)
    other.send_signal(signal.SIGKILL)
    other.wait()
    # It was at work when this one looked at the server, so this one has to look again.
    assert held(before) is True
    assert held(lock_of(tmp_path)) is False


def test_a_failure_frees_it(tmp_path):
    with pytest.raises(RuntimeError), lock_of(tmp_path) as lock:
        lock.acquire(0)
        raise RuntimeError
    assert held(lock_of(tmp_path)) is False


def test_a_run_in_between_is_noticed(tmp_path, holder):
    first = lock_of(tmp_path)
    assert held(lock_of(tmp_path)) is False
    assert held(first) is True
    third, fourth = lock_of(tmp_path), lock_of(tmp_path)
    assert held(third) is False
    assert held(fourth) is True
    fifth = lock_of(tmp_path)
    holder().communicate("")
    assert held(fifth) is True


def test_without_a_need_nothing_is_written(tmp_path):
    with lock_of(tmp_path):
        assert list(tmp_path.iterdir()) == []
    held(lock_of(tmp_path))
    path = tmp_path / lock_name(URL)
    before = (path.stat(), path.read_text())
    with lock_of(tmp_path):
        assert (path.stat(), path.read_text()) == before


# --- what may lie there -------------------------------------------------------------------------------------------


def test_all_users_may_lock_it(tmp_path):
    mask = os.umask(0o077)
    try:
        held(lock_of(tmp_path))
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / lock_name(URL)).stat().st_mode) == 0o666


def test_the_file_of_another_user(tmp_path):
    """As in a directory with the sticky bit: made by nobody, locked by this user."""
    tmp_path.chmod(0o1777)
    path = tmp_path / lock_name(URL)
    path.touch()
    path.chmod(0o666)
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
    assert held(lock_of(tmp_path)) is False
    assert parse_holder(path.read_text()).pid == os.getpid()


def test_the_file_that_may_not_be_opened(tmp_path, monkeypatch):
    path = tmp_path / lock_name(URL)
    path.touch(0o600)
    really = os.open

    def refusing(name, flags, *others):
        if name == str(path):
            raise PermissionError(13, "Permission denied")
        return really(name, flags, *others)

    # Root, as whom tests may run, may open everything.
    monkeypatch.setattr(_lock.os, "open", refusing)
    with pytest.raises(LockUnusable, match=r"Permission denied.*mode 0666"):
        lock_of(tmp_path, tmp_path.parent).acquire(0)


@pytest.mark.parametrize("what", ["symlink", "dangling", "fifo", "directory", "hardlink"])
def test_what_is_no_plain_file_is_left_alone(tmp_path, what):
    folder, victim = tmp_path / "locks", tmp_path / "victim"
    folder.mkdir()
    path = folder / lock_name(URL)
    victim.write_text("precious")
    if what == "fifo":
        os.mkfifo(path)
    elif what == "directory":
        path.mkdir()
    elif what == "hardlink":
        os.link(victim, path)
    else:
        path.symlink_to(victim if what == "symlink" else tmp_path / "nobody")
    lock = lock_of(folder, tmp_path)
    with pytest.raises(LockUnusable) as caught:
        lock.acquire(0)
    assert str(path) in caught.value.message and "remove it" in caught.value.message
    assert victim.read_text() == "precious"
    assert not (tmp_path / "nobody").exists()


def test_a_file_that_was_removed_meanwhile_is_no_lock(tmp_path, monkeypatch):
    path = tmp_path / lock_name(URL)
    really, removed = _lock.fcntl.flock, []

    def flock(descriptor, how):
        if not removed:
            removed.append(path.unlink())
        really(descriptor, how)

    monkeypatch.setattr(_lock.fcntl, "flock", flock)
    with lock_of(tmp_path) as lock:
        lock.acquire(0)
        assert parse_holder(path.read_text()).pid == os.getpid()
        with pytest.raises(ServerLocked):
            lock_of(tmp_path).acquire(0)


JUNK = st.text() | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
    lambda inner: st.dictionaries(st.sampled_from(["pid", "since", "working", "x"]), inner) | st.lists(inner),
).map(json.dumps)


@given(JUNK)
def test_whatever_somebody_wrote_there(text):
    found = parse_holder(text)
    if found:
        assert found.age(1.0).endswith(" ago")


@pytest.mark.parametrize("text", ["[" * 4000, '{"pid": 1e999, "since": 1, "working": 1}'])
def test_what_a_parser_may_choke_on(text, tmp_path):
    assert parse_holder(text) is None
    (tmp_path / lock_name(URL)).write_text(text)
    assert held(lock_of(tmp_path)) is False
