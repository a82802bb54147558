# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a host: what it says was written here, and what it lacks costs work only."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import is_digest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._record import (
    COPY_OF,
    FROM,
    GGUF,
    Entries,
    Hashed,
    Identity,
    Made,
    Record,
    default_directory,
    encode_entries,
    parse_entries,
    replaceable,
)
from hypothesis import given
from hypothesis import strategies as st

URL = "http://127.0.0.1:11435"
ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64
HERE = Identity(1, 2, 3, 4, 5)
MADE = Made(ONE, GGUF, TWO, {"system": "Be brief.", "parameters": {"num_ctx": 8192}})

digests = st.sampled_from([ONE, TWO])
numbers = st.integers(-1, 2**64)
entries = st.builds(
    Entries,
    st.dictionaries(st.text(), st.builds(Hashed, st.builds(Identity, *[numbers] * 5), digests), max_size=3),
    st.dictionaries(
        st.text(),
        st.builds(Made, digests, st.sampled_from([FROM, COPY_OF]))
        | st.builds(
            Made, digests, st.just(GGUF), digests, st.dictionaries(st.text(), st.text() | st.integers(), max_size=2)
        ),
        max_size=3,
    ),
)
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | digests | st.just(1) | st.just(URL),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.sampled_from(["format", "url", "files", "made", "identity", "digest", "how", "source", "recipe"])
            | st.text(),
            inner,
        )
    ),
)


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / "state" / "here")


@given(entries)
def test_what_is_written_is_read(written):
    assert parse_entries(encode_entries(written, URL), URL) == written
    assert parse_entries(encode_entries(written, URL), "http://elsewhere:1") == Entries()


@given(st.binary(max_size=100) | junk.map(lambda value: json.dumps(value).encode()))
def test_whatever_a_file_says(text):
    _is_well_formed(parse_entries(text, URL))


@given(junk, junk)
def test_whatever_entries_say(files, made):
    data = {"format": 1, "url": URL, "files": {"p": files}, "made": {"m": made}}
    _is_well_formed(parse_entries(json.dumps(data).encode(), URL))


def _is_well_formed(found):
    for item in found.files.values():
        assert is_digest(item.digest) and not any(
            isinstance(number, (bool, float)) for number in vars(item.identity).values()
        )
    for item in found.made.values():
        assert is_digest(item.digest) and item.how in (FROM, COPY_OF, GGUF) and isinstance(item.recipe, dict)
        assert item.how != GGUF or is_digest(item.source)


def test_a_depth_that_no_reader_takes():
    assert parse_entries(b"[" * 200_000, URL) == Entries()


def test_nothing_is_there_until_something_is_noted(folder):
    record = Record(folder, URL)
    assert record.entries == Entries() and not os.path.exists(folder)
    record.note_made("m", MADE)
    assert os.stat(folder).st_mode & 0o777 == 0o700
    (name,) = os.listdir(folder)
    assert os.stat(os.path.join(folder, name)).st_mode & 0o777 == 0o600
    assert Record(folder, URL).entries.made == {"m": MADE}
    assert Record(folder, URL + "1").entries == Entries()
    assert record.problem == ""


def test_what_is_known_is_not_written_again(folder):
    Record(folder, URL).note_made("m", MADE)
    before = _times(folder)
    Record(folder, URL).note_made("m", MADE)
    assert _times(folder) == before


def _times(folder):
    return {name: os.stat(os.path.join(folder, name)).st_mtime_ns for name in [".", *os.listdir(folder)]}


def test_check_mode_keeps_nothing(folder):
    record = Record(folder, URL, keep=False)
    record.note_file("/f", Hashed(HERE, ONE))
    assert record.digest("/f", HERE) == ONE
    assert not os.path.exists(folder)


def test_two_at_a_time_lose_nothing(folder, tmp_path):
    path = tmp_path / "file"
    path.touch()
    one, other = Record(folder, URL), Record(folder, URL)
    one.note_made("m", MADE)
    other.note_file(str(path), Hashed(HERE, TWO))
    one.note_made("n", Made(TWO, FROM))
    assert Record(folder, URL).entries == Entries({str(path): Hashed(HERE, TWO)}, {"m": MADE, "n": Made(TWO, FROM)})


@pytest.mark.parametrize("part", range(5))
def test_a_hash_is_of_exactly_one_state_of_a_file(folder, part):
    record = Record(folder, URL)
    record.note_file("/f", Hashed(HERE, ONE))
    values = list(vars(HERE).values())
    assert record.digest("/f", Identity(*values)) == ONE
    values[part] += 1
    assert record.digest("/f", Identity(*values)) is None
    assert record.digest("/g", HERE) is None


def test_files_that_are_gone_are_forgotten(folder, tmp_path):
    path = tmp_path / "file"
    path.touch()
    record = Record(folder, URL)
    record.note_file(str(path), Hashed(HERE, ONE))
    record.note_file("/nowhere", Hashed(HERE, ONE))
    assert list(Record(folder, URL).entries.files) == [str(path)]


@pytest.mark.parametrize("fault", ["writable", "foreign", "link", "folder", "damaged"])
def test_a_record_that_is_not_ours_is_none(folder, fault, monkeypatch):
    Record(folder, URL).note_made("m", MADE)
    path = os.path.join(folder, os.listdir(folder)[0])
    if fault == "writable":
        os.chmod(path, 0o622)
    elif fault == "foreign":
        monkeypatch.setattr(os, "geteuid", lambda: os.stat(path).st_uid + 1)
    elif fault == "damaged":
        os.truncate(path, 50)
    else:
        os.rename(path, path + "x")
        os.symlink(path + "x", path) if fault == "link" else os.mkdir(path)
    assert Record(folder, URL).entries == Entries()


def test_a_record_that_cannot_be_written(tmp_path):
    (tmp_path / "state").write_text("a file")
    record = Record(str(tmp_path / "state"), URL)
    record.note_made("m", MADE)
    assert f"cannot be recorded in '{tmp_path / 'state'}' (Not a directory)" in record.problem
    assert record.entries.made == {"m": MADE}


def test_where_records_are_kept(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_directory() == "/var/lib/alchemorsel-ollama"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert default_directory() == "/home/somebody/.local/state/alchemorsel-ollama"


# --- what can be made again ---------------------------------------------------------------------------------------


def test_an_alias_is_replaceable_while_its_model_has_another_name():
    made = {"alias": Made(ONE, COPY_OF), "second": Made(ONE, COPY_OF), "bot": Made(TWO, FROM)}
    assert replaceable({"a": ONE, "alias": ONE, "second": ONE, "bot": TWO}, made) == {"alias", "second", "bot"}
    assert replaceable({"alias": ONE, "second": ONE, "bot": TWO}, made) == {"bot"}
    # What is there now is something else than what was made.
    assert replaceable({"a": ONE, "alias": TWO, "bot": ONE}, made) == set()


@given(
    st.dictionaries(st.sampled_from("abcde"), digests),
    st.dictionaries(st.sampled_from("abcde"), st.builds(Made, digests, st.sampled_from([FROM, COPY_OF]))),
)
def test_no_digest_is_lost_that_nobody_made(held, made):
    again = replaceable(held, made)
    kept = {digest for key, digest in held.items() if key not in again}
    for key in again:
        assert made[key].digest == held[key]
        assert held[key] in kept or any(held[other] == held[key] and made[other].how == FROM for other in again)
