# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Begun downloads: which can never be completed, and what is done to their files."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _begun as begun
from hypothesis import given
from hypothesis import strategies as st

DIGEST = "sha256:" + "a" * 64
NAME = "sha256-" + "a" * 64


def part(number, size, completed=0, offset=0):
    return json.dumps({"N": number, "Offset": offset, "Size": size, "Completed": completed}).encode() + b"\n"


@pytest.mark.parametrize(
    ("body", "size"),
    [
        (part(0, 4194304), 4194304),
        (part(0, 0), 0),
        (b' {"Size": 5} and what follows', 5),
        (b'{"Size": 5}' + b"x" * 10**6, 5),
        (b'{"Length": 5}', None),
        (b"{}", None),
    ],
)
def test_what_the_server_reads(body, size):
    assert begun.part_size(body) == size


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
        begun.part_size(body)


@given(
    st.binary()
    | st.text().map(str.encode)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(
        lambda value: json.dumps({"Size": value}).encode()
    )
)
def test_any_content_has_a_size_or_a_reason(body):
    try:
        size = begun.part_size(body)
    except ValueError as exc:
        assert str(exc).startswith(("is ", "has "))
    else:
        assert size is None or 0 <= size < 1 << 63


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
    ("user", "owner", "refuses", "answer"),
    [
        (0, 0, False, False),
        (0, 1500, False, False),
        # Root without the right to look into other processes, as in many containers
        (0, 1500, True, None),
        (1500, 1500, True, False),
        (1000, 1500, True, None),
        # Where other users' processes are hidden, nothing refuses
        (1000, 1500, False, None),
    ],
)
def test_who_sees_whether_it_is_open(root, monkeypatch, user, owner, refuses, answer):
    (root / "blobs" / f"{NAME}-partial").write_bytes(b"x")
    real_stat, real_listdir = os.stat, os.listdir

    def status(path, **options):
        found = real_stat(path, **options)
        return os.stat_result([*found[:4], owner, *found[5:]]) if str(path).endswith("-partial") else found

    def listdir(path):
        if refuses and str(path).endswith("/1/fd"):
            raise PermissionError(13, "Permission denied", path)
        return real_listdir(path)

    monkeypatch.setattr(os, "stat", status)
    monkeypatch.setattr(os, "listdir", listdir)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert begun.in_use(str(root), DIGEST) is answer


def test_another_store_with_the_same_blob_is_not_this_one(root, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "blobs").mkdir()
    for store in (root, other):
        (store / "blobs" / f"{NAME}-partial").write_bytes(b"x")
    with (other / "blobs" / f"{NAME}-partial").open("rb"):
        assert begun.in_use(str(other), DIGEST)
        assert not begun.in_use(str(root), DIGEST)
