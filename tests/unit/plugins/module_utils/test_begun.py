# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Begun downloads: which can never be completed, and what is done to their files."""

from __future__ import annotations

import json
import os
from functools import partial

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _begun as begun
from hypothesis import given
from hypothesis import strategies as st

DIGEST = "sha256:" + "a" * 64
NAME = "sha256-" + "a" * 64


def part(number, size, completed=0, offset=0):
    return json.dumps({"N": number, "Offset": offset, "Size": size, "Completed": completed}).encode() + b"\n"


@pytest.mark.parametrize(
    ("body", "span"),
    [
        (part(0, 4194304), (0, 4194304)),
        (part(1, 7, offset=4194304), (4194304, 7)),
        (part(0, 0), (0, 0)),
        (b' {"Size": 5} and what follows', (-1, 5)),
        (b'{"Size": 5, "Offset": "x"}' + b"x" * 10**6, (-1, 5)),
        (b'{"Length": 5}', None),
        (b"{}", None),
    ],
)
def test_what_the_server_reads(body, span):
    assert begun.part_span(body) == span


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"{", "is no complete JSON text"),
        (b"\xff\xfe", "is no complete JSON text"),
        (b"[" * 60000, "is no complete JSON text"),
        (b" " * begun.MAX_PART + b'{"Size": 5}', "is empty"),
        (b'{"N": "' + b"x" * begun.MAX_PART + b'", "Size": 5}', "is no complete JSON text"),
        (b"null", "no part of a download"),
        (b"[1]", "no part of a download"),
        (b'{"Size": "5"}', "a size that is none"),
        (b'{"Size": true}', "a size that is none"),
        (b'{"Size": 1.5}', "a size that is none"),
        (b'{"Size": NaN}', "a size that is none"),
        (b'{"Size": -1}', "a size that is none"),
        (b'{"Size": 9223372036854775808}', "a size that is none"),
        (None, "no regular file"),
    ],
)
def test_what_the_server_cannot_read(body, words):
    with pytest.raises(ValueError, match=words):
        begun.part_span(body)


@given(
    st.binary()
    | st.text().map(str.encode)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(
        lambda value: json.dumps({"Size": value}).encode()
    )
)
def test_any_content_has_a_size_or_a_reason(body):
    try:
        span = begun.part_span(body)
    except ValueError as exc:
        assert str(exc).startswith(("is ", "has "))
    else:
        assert span is None or 0 <= span[1] < 1 << 63


@pytest.mark.parametrize(
    ("parts", "wanted", "words"),
    [
        ({"-0": part(0, 100)}, 100, ""),
        ({"-0": part(0, 60), "-1": part(1, 40)}, 100, ""),
        ({"-0": part(0, 60, 60), "-1": part(1, 40, 7)}, 100, ""),
        ({"-0": part(0, 101)}, 100, "it is for 101 bytes, and the manifest of the source says 100"),
        ({"-1": part(1, 40)}, 100, "it is for 40 bytes"),
        ({"-0": part(0, 60), "-1": b""}, 100, "-1 is empty"),
        ({"-0": part(0, 60), "-1": None}, 100, "-1 is no regular file"),
        # Nothing is known of these.
        ({}, 100, ""),
        ({"-0": part(0, 101)}, 0, ""),
        ({"-0": b'{"Length": 60}', "-1": part(1, 40)}, 100, ""),
        ({"-0": b'{"Length": 60}', "-1": b""}, 100, ""),
    ],
)
def test_which_plans_are_hopeless(parts, wanted, words):
    found = begun.hopeless(parts, wanted)
    assert (found.why if found else "").startswith(words) and bool(found) is bool(words)
    assert not found or found.by_source == words.startswith("it is for")


@pytest.mark.parametrize(
    ("parts", "blamed"),
    [
        ({"-0": part(0, 101)}, True),
        ({"-0": part(0, 60), "-1": part(1, 41, offset=60)}, True),
        ({"-0": part(0, 10), "-1": part(1, 10, offset=10), "-2": part(2, 10, offset=20)}, True),
        # A file of it was lost, or does not say where it begins.
        ({"-1": part(1, 40, offset=60)}, False),
        ({"-0": part(0, 30), "-2": part(2, 30, offset=60)}, False),
        ({"-0": b'{"Size": 101}'}, False),
        ({"-0": b""}, False),
    ],
)
def test_whose_fault_it_is(parts, blamed):
    assert begun.hopeless(parts, 100).by_source is blamed


sizes_of_parts = st.lists(st.integers(0, 1 << 40), min_size=1, max_size=20)


def plan_of(sizes):
    offsets = [sum(sizes[:number]) for number in range(len(sizes))]
    return {
        f"{NAME}-partial-{number}": part(number, size, offset=offset)
        for number, (size, offset) in enumerate(zip(sizes, offsets))
    }


@given(sizes_of_parts, st.integers(1, 1 << 44))
def test_only_the_sum_decides(sizes, wanted):
    assert bool(begun.hopeless(plan_of(sizes), wanted)) is (sum(sizes) != wanted)


@given(sizes_of_parts, st.integers(0, 20))
def test_a_removal_that_ends_early_leaves_the_beginning(sizes, steps):
    plan = plan_of(sizes)
    left = set(plan) - set(begun.in_order(plan)[:steps])
    assert left == set(plan_of(sizes[: len(left)]))


def test_what_has_no_number_goes_first():
    names = [f"{NAME}-partial-{end}" for end in ("0", "10", "9", "x", "²", "9" * 30)]
    assert begun.in_order(names)[3:] == [f"{NAME}-partial-{end}" for end in ("10", "9", "0")]


# --- on the disk --------------------------------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path):
    (tmp_path / "blobs").mkdir()
    return tmp_path


def test_a_store_without_blobs(tmp_path):
    assert not begun.any_begun(str(tmp_path))
    assert begun.read_plan(str(tmp_path), DIGEST) == {}
    begun.remove_plan(str(tmp_path), DIGEST, [])
    assert not begun.in_use(str(tmp_path), DIGEST)


def test_a_plan_is_found_and_removed_and_nothing_else(root):
    other = root / "blobs" / ("sha256-" + "b" * 64 + "-partial-0")
    blob = root / "blobs" / NAME
    for path in (other, blob, root / "blobs" / f"{NAME}-partial"):
        path.write_bytes(b"x")
    for number in (0, 1):
        (root / "blobs" / f"{NAME}-partial-{number}").write_bytes(part(number, 5))
    assert begun.any_begun(str(root))
    plan = begun.read_plan(str(root), DIGEST)
    assert plan == {f"{NAME}-partial-0": part(0, 5), f"{NAME}-partial-1": part(1, 5)}
    begun.remove_plan(str(root), DIGEST, plan)
    assert sorted(root.glob("blobs/*")) == sorted([other, blob])


def test_links_and_pipes_are_neither_followed_nor_waited_for(root):
    secret = root / "secret"
    secret.write_bytes(part(0, 5))
    for number, make in enumerate(
        (lambda path: path.symlink_to(secret), os.mkfifo, lambda path: path.symlink_to("/nowhere"))
    ):
        make(root / "blobs" / f"{NAME}-partial-{number}")
    plan = begun.read_plan(str(root), DIGEST)
    assert list(plan.values()) == [None] * 3
    (root / "blobs" / f"{NAME}-partial").symlink_to(secret)
    begun.remove_plan(str(root), DIGEST, plan)
    assert list((root / "blobs").iterdir()) == []
    assert secret.read_bytes() == part(0, 5)


def test_a_huge_file_is_not_read_to_its_end(root):
    path = root / "blobs" / f"{NAME}-partial-0"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)
    assert [len(body) for body in begun.read_plan(str(root), DIGEST).values()] == [begun.MAX_PART]


def test_a_file_that_somebody_has_open_is_in_use(root):
    path = root / "blobs" / f"{NAME}-partial"
    path.write_bytes(b"x")
    assert not begun.in_use(str(root), DIGEST)
    with path.open("rb"):
        assert begun.in_use(str(root), DIGEST)
        assert not begun.in_use(str(root), DIGEST, processes=str(root / "none"))
        # One that was removed meanwhile is another file than the new one with its name.
        path.unlink()
        assert not begun.in_use(str(root), DIGEST)
        path.write_bytes(b"x")
        assert not begun.in_use(str(root), DIGEST)
    assert not begun.in_use(str(root), DIGEST)


@pytest.mark.parametrize(
    ("user", "owner", "refusing", "answer"),
    [
        (0, 0, None, False),
        (0, 1500, None, False),
        # Root without the right to look into other processes, as in many containers
        (0, 1500, 33, None),
        (1500, 1500, 33, False),
        # One of their own with another group
        (1500, 1500, 1500, None),
        (1000, 1500, 33, None),
        # Where other users' processes are hidden, nothing refuses
        (1000, 1500, None, None),
    ],
)
@pytest.mark.parametrize("refusal", ["listdir", "readlink", "stat"])
def test_who_sees_whether_it_is_open(root, monkeypatch, refusal, user, owner, refusing, answer):
    # One that may be listed may still refuse to be read: /proc/1/fd without CAP_SYS_PTRACE
    mark = root / "blobs" / f"{NAME}-partial"
    mark.write_bytes(b"x")
    folder = root / "proc" / "1" / "fd"
    folder.mkdir(parents=True)
    (folder / "3").symlink_to(root / "other" / f"{NAME}-partial")
    (root / "other").mkdir()
    (root / "other" / f"{NAME}-partial").write_bytes(b"y")
    really = {name: getattr(os, name) for name in ("stat", "listdir", "readlink")}

    def owned(path, uid, **options):
        found = really["stat"](path, **options)
        return os.stat_result([*found[:4], uid, *found[5:]])

    def look(name, path, **options):
        if refusing is not None and name == refusal and str(path).startswith(str(folder)):
            raise PermissionError(13, "Permission denied", path)
        if name == "stat" and str(path) == str(mark):
            return owned(path, owner, **options)
        if name == "stat" and str(path) == str(folder.parent):
            return owned(path, refusing or 0, **options)
        return really[name](path, **options)

    for name in really:
        monkeypatch.setattr(os, name, partial(look, name))
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert begun.in_use(str(root), DIGEST, processes=str(root / "proc")) is answer


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        ("Name:\tx\nCapEff:\t000001ffffffffff\n", False),
        # All but CAP_SYS_PTRACE; what a container has by default; what nobody can read
        ("CapEff:\t000001fffff7ffff\n", None),
        ("CapEff:\t00000000a80425fb\n", None),
        ("CapEff:\tx\n", None),
        ("CapEff:", None),
        ("", None),
        (None, None),
    ],
)
def test_what_refuses_root_with_all_rights_is_outside(root, monkeypatch, status, answer):
    (root / "blobs" / f"{NAME}-partial").write_bytes(b"x")
    (root / "proc" / "1").mkdir(parents=True)
    (root / "proc" / "self").mkdir()
    if status is not None:
        (root / "proc" / "self" / "status").write_text(status)
    really = os.listdir

    def listdir(path):
        if str(path).endswith("/1/fd"):
            raise PermissionError(13, "Permission denied", path)
        return really(path)

    monkeypatch.setattr(os, "listdir", listdir)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert begun.in_use(str(root), DIGEST, processes=str(root / "proc")) is answer


def test_another_store_with_the_same_blob_is_not_this_one(root, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "blobs").mkdir()
    for store in (root, other):
        (store / "blobs" / f"{NAME}-partial").write_bytes(b"x")
    with (other / "blobs" / f"{NAME}-partial").open("rb"):
        assert begun.in_use(str(other), DIGEST)
        assert not begun.in_use(str(root), DIGEST)
