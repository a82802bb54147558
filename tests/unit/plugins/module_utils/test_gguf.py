# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GGUF headers: right ones are taken, all others refused in words, whatever the bytes are."""

from __future__ import annotations

import io
import struct

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _gguf
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import UnusableFile
from ansible_collections.alchemorsel.ollama.plugins.module_utils._gguf import Header, check_header
from hypothesis import event, given
from hypothesis import strategies as st

from lab.standin import gguf as server
from lab.standin.testing import MODELS
from tests.unit.gguf_files import ARCHITECTURE, ARRAY, STRING, TENSOR, UINT32, any_tensor, any_value, header

WEIGHTS = b"\0" * 64
TINY = (MODELS / "tiny-b.gguf").read_bytes()
TINY_HEADER = server.read(MODELS / "tiny-b.gguf").data_start


class Stream(io.BytesIO):
    """A file that notes how much is read at a time, and in all."""

    most = total = 0

    def read(self, size=-1):
        data = super().read(size)
        self.most, self.total = max(self.most, len(data)), self.total + len(data)
        return data


def check(data, size=None):
    stream = Stream(data)
    found = check_header(stream, len(data) if size is None else size)
    assert stream.most <= _gguf.MAX_KEY
    return found


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.gguf")), ids=lambda path: path.stem)
def test_models_of_the_lab(path):
    model = server.read(path)
    wanted = Header(model.version, model.architecture, len(model.values), len(model.tensors))
    data = path.read_bytes()
    assert check(data) == wanted
    # As 0.32 writes it anew.
    assert check(server.rewrite(path)).tensors == wanted.tensors
    with pytest.raises(UnusableFile, match="is truncated: its tensor '.*' ends at byte"):
        check(data[:-33])


def test_weights_are_not_read():
    stream = Stream(TINY)
    check_header(stream, len(TINY))
    assert stream.total <= TINY_HEADER


HUGE = struct.pack("<Q", 2**63 + 5)
DAMAGES = {
    "nothing": (b"", "is no GGUF file: it has 0 bytes"),
    "three bytes": (b"GGU", "is no GGUF file"),
    "another format": (b"PK\3\4" + WEIGHTS, "begins with b'PK"),
    "only magic": (b"GGUF", "is truncated: its header does not end within its 4 bytes"),
    "version 1": (header(version=1) + WEIGHTS, "is GGUF of version 1, wanted 2 or 3"),
    "big endian": (header(version=3 << 24) + WEIGHTS, "big-endian"),
    "many tensors": (header(tensor_count=2**62) + WEIGHTS, "claims to have 4611686018427387904 tensors"),
    "many keys": (header(value_count=90_000) + WEIGHTS, "claims to have 90000 keys"),
    "a key too many": (header(value_count=2) + WEIGHTS, "is (damaged|truncated)"),
    "negative length": (header([("a", STRING, HUGE)]) + WEIGHTS, "key 'a' would have 9223372036854775813 bytes"),
    "long text": (header([("a", STRING, struct.pack("<Q", 2000))]) + WEIGHTS, "would have 2000 bytes"),
    "long array": (header([("a", ARRAY, struct.pack("<IQ", 4, 2**62))]) + WEIGHTS, "elements in key 'a'"),
    "negative array": (header([("a", ARRAY, struct.pack("<I", 8) + HUGE)]) + WEIGHTS, "elements in key 'a'"),
    "nested array": (header([("a", ARRAY, struct.pack("<IQ", 9, 1))]) + WEIGHTS, "array 'a' of type 9"),
    "unknown type": (header([("a", 77, b"")]) + WEIGHTS, "key 'a' has the unknown type 77"),
    "twice": (header([ARCHITECTURE, ARCHITECTURE]) + WEIGHTS, "'general.architecture' twice"),
    "no architecture": (header([]) + WEIGHTS, "does not name its architecture"),
    "architecture 5": (header([("general.architecture", UINT32, 5)]) + WEIGHTS, "does not name its architecture"),
    "alignment 0": (header([ARCHITECTURE, ("general.alignment", UINT32, 0)]) + WEIGHTS, "general.alignment is 0"),
    "alignment 24": (header([ARCHITECTURE, ("general.alignment", UINT32, 24)]) + WEIGHTS, "wanted a power of two"),
    "alignment text": (
        header([ARCHITECTURE, ("general.alignment", STRING, "x")]) + WEIGHTS,
        "general.alignment is 'x'",
    ),
    "alignment signed": (header([ARCHITECTURE, ("general.alignment", 5, 32)]) + WEIGHTS, "has type 5, wanted 4"),
    "adapter": (header([ARCHITECTURE, ("general.type", STRING, "adapter")]) + WEIGHTS, "of type 'adapter'"),
    "projector": (header([("general.architecture", STRING, "clip")]) + WEIGHTS, "of type 'mmproj'"),
    "a part": (header([ARCHITECTURE, ("split.count", 2, 3)]) + WEIGHTS, "one of 3 parts"),
    "no tensors": (header(tensors=[]) + WEIGHTS, "has no tensors"),
    "dimensions": (header(tensors=[("t", (1, 1, 1, 1, 1), 0, 0)]) + WEIGHTS, "has 5 dimensions"),
    "offset": (header(tensors=[("t", (4, 4), 0, 32)]) + WEIGHTS, "is truncated: its tensor 't'"),
    "offset wraps": (header(tensors=[("t", (4, 4), 0, 2**64 - 64)]) + WEIGHTS, "is truncated: its tensor 't'"),
    "shape wraps": (header(tensors=[("t", (2**63, 2), 0, 0)]) + WEIGHTS, "is truncated: its tensor 't'"),
    "short by a byte": (header() + WEIGHTS[:-1], "is truncated: its tensor 'blk.0.weight'"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_damages(case):
    data, words = DAMAGES[case]
    with pytest.raises(UnusableFile, match=words):
        check(data)


def test_a_header_of_the_greatest_length():
    texts = [("a", ARRAY, struct.pack("<IQ", 8, 9_000_000))]
    with pytest.raises(UnusableFile, match="9000000 texts, more than any model"):
        check(header(texts), 10**9)
    bytes_ = [("a", ARRAY, struct.pack("<IQ", 0, _gguf.MAX_HEADER))]
    with pytest.raises(UnusableFile, match="a header of more than 268435456 bytes"):
        check(header(bytes_), 10**9)


def test_a_file_that_shrinks_while_it_is_read():
    with pytest.raises(UnusableFile, match="became shorter"):
        check(header()[:20], 10**6)


@given(
    values=st.lists(any_value, max_size=6), tensors=st.lists(any_tensor, min_size=1, max_size=6), rest=st.integers(0, 9)
)
def test_what_is_right_is_taken_until_a_byte_is_missing(values, tensors, rest):
    data = header([*values, ARCHITECTURE], tensors)
    ends = [0]
    for _name, shape, kind, offset in tensors:
        block, size = _gguf._BLOCKS.get(kind, (1, 0))
        elements = 1
        for length in shape:
            elements *= length
        ends.append(offset + elements * size // block)
    whole = data + b"\0" * max(ends)
    assert check(whole + b"\0" * rest) == Header(3, "llama", len(values) + 1, len(tensors))
    if max(ends):
        with pytest.raises(UnusableFile, match="is truncated"):
            check(whole[:-1])


@given(st.binary(max_size=200))
def test_any_bytes(data):
    with pytest.raises(UnusableFile):
        check(data)
    with pytest.raises(UnusableFile):
        check(b"GGUF\3\0\0\0" + data)


@given(cut=st.integers(0, len(TINY) - 33))
def test_a_model_cut_anywhere(cut):
    with pytest.raises(UnusableFile):
        check(TINY[:cut])


@given(
    changes=st.dictionaries(st.integers(0, 400), st.integers(0, 255), min_size=1, max_size=3),
    tail=st.binary(max_size=9),
)
def test_what_is_taken_the_server_can_read(tmp_path_factory, changes, tail):
    data = bytearray(header([("a", ARRAY, (8, ["x", "y"])), ARCHITECTURE, ("b", 6, 0.5)], [TENSOR, ("t", (3,), 1, 64)]))
    data += b"\0" * 70 + tail
    for place, value in changes.items():
        data[place % len(data)] = value
    try:
        check(bytes(data))
    except UnusableFile:
        event("refused")
        return
    event("taken")
    path = tmp_path_factory.getbasetemp() / "changed.gguf"
    path.write_bytes(data)
    server.read(path)
