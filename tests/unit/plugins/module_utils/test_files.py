# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the host: what is none is refused in words, and a change at any time is noticed."""

from __future__ import annotations

import hashlib
import os
import shutil
import time

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _files
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import UNKNOWN
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import declare
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import FileChanged, UnusableFile
from ansible_collections.alchemorsel.ollama.plugins.module_utils._files import examine, examine_all, opened, pieces
from ansible_collections.alchemorsel.ollama.plugins.module_utils._record import Record

from lab.standin.testing import MODELS

DIGEST = "sha256:" + hashlib.sha256((MODELS / "tiny-b.gguf").read_bytes()).hexdigest()


@pytest.fixture
def path(tmp_path):
    return shutil.copyfile(MODELS / "tiny-b.gguf", tmp_path / "model.gguf")


@pytest.fixture
def record(tmp_path):
    return Record(str(tmp_path / "state"), "http://h:1")


def look(path, record, hash_now=True, tell=lambda percent: None):
    return examine(str(path), record, hash_now=hash_now, tell=tell)


@pytest.fixture
def hashed(monkeypatch):
    """The paths that were hashed."""
    paths = []
    original = _files.hash_file

    def counting(file, tell):
        paths.append(file.path)
        return original(file, tell)

    monkeypatch.setattr(_files, "hash_file", counting)
    return paths


def test_a_file_is_hashed_once(path, record, hashed, tmp_path):
    told = []
    found = look(path, record, tell=told.append)
    assert (found.path, found.digest, found.identity.size) == (str(path), DIGEST, path.stat().st_size)
    assert told == [100]
    assert look(path, record) == look(path, Record(str(tmp_path / "state"), "http://h:1")) == found
    assert hashed == [str(path)]


def test_without_hashing_a_file_is_checked_all_the_same(path, record, hashed):
    assert look(path, record, hash_now=False).digest == UNKNOWN
    assert hashed == []
    with path.open("r+b") as stream:
        stream.truncate(1000)
    with pytest.raises(UnusableFile, match=f"'{path}' is (truncated|damaged)"):
        look(path, record, hash_now=False)


def test_another_content_of_the_same_size_and_time(path, record, hashed):
    before = look(path, record)
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = look(path, record)
    assert after.digest == "sha256:" + hashlib.sha256(data).hexdigest() != before.digest
    assert len(hashed) == 2


def test_a_file_is_not_hashed_in_the_tick_of_its_last_change(path, record, monkeypatch):
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    changed = path.stat().st_ctime_ns
    for later, pause in ((0.01, 0.04), (0.06, None), (-5.0, None)):
        slept.clear()
        monkeypatch.setattr(time, "time", lambda later=later: changed / 1e9 + later)
        with opened(str(path)) as file:
            _files.hash_file(file, lambda percent: None)
        assert slept == ([pytest.approx(pause, abs=0.001)] if pause else [])


def test_what_is_no_file(tmp_path, path, record):
    (tmp_path / "link").symlink_to(path)
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe")
    for name, words in (
        ("gone", "is not there on the host where the module runs"),
        ("model.gguf/x", "is not there on the host"),
        ("link", f"is a symbolic link; name the file that it points to, '{path}'"),
        ("nowhere", "is a symbolic link"),
        ("pipe", "is no regular file"),
        ("", "is a directory"),
    ):
        with pytest.raises(UnusableFile, match=words) as caught:
            look(tmp_path / name, record)
        assert str(tmp_path / name) in caught.value.message


def test_a_file_that_may_not_be_read(path, record, monkeypatch):
    def refuse(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(UnusableFile, match=f"'{path}' cannot be read: Permission denied; let the module's user"):
        look(path, record)


CHANGES = {
    "longer": lambda path: path.open("ab").write(b"x"),
    "shorter": lambda path: os.truncate(path, path.stat().st_size - 1),
    "empty": lambda path: os.truncate(path, 0),
    "overwritten": lambda path: path.open("r+b").write(b"GGUF"),
    "other times": lambda path: os.utime(path, (1, 1)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_while_a_file_is_read(path, record, change):
    with (
        pytest.raises(FileChanged, match=f"'{path}' (was changed|became shorter) while it was read"),
        opened(str(path)) as file,
    ):
        for number, _piece in enumerate(pieces(file)):
            if not number:
                CHANGES[change](path)
    assert record.entries.files == {}


def test_a_change_while_a_file_is_hashed_is_not_recorded(path, record):
    with pytest.raises(FileChanged):
        look(path, record, tell=lambda percent: path.open("ab").write(b"x"))
    assert record.entries.files == {} and not record.problem


def test_another_file_in_the_same_place_is_hashed(path, record, hashed, tmp_path):
    look(path, record)
    os.replace(shutil.copyfile(MODELS / "tiny-a.gguf", tmp_path / "new"), path)
    assert look(path, record).digest != DIGEST
    assert len(hashed) == 2


def test_all_files_of_a_declaration(path, record, tmp_path):
    gone = str(tmp_path / "gone")
    desired = declare(
        [{"name": name, "gguf": value} for name, value in (("a", str(path)), ("b", gone), ("c", str(path)))]
        + [{"name": "d", "gguf": gone, "state": "absent"}, {"name": "e"}]
    )
    told = []
    found = examine_all(desired, record, hash_now=True, report=lambda name, line: told.append((name, line["status"])))
    assert set(found) == {str(path), gone}
    assert found[str(path)].digest == DIGEST
    assert "is not there" in found[gone].message
    assert told == [("a:latest", "hashing model.gguf, 100 %"), ("a:latest", "ended"), ("b:latest", "ended")]
