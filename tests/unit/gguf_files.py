# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GGUF files made byte by byte, right ones and others."""

from __future__ import annotations

import struct
from typing import Any

from hypothesis import strategies as st

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY, UINT32 = 8, 9, 4
ARCHITECTURE = ("general.architecture", STRING, "llama")
#: name, shape, type (F32), offset: 64 bytes
TENSOR = ("blk.0.weight", (4, 4), 0, 0)


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def content(kind: int, value: Any) -> bytes:
    """Return the bytes of a value; an array is `(kind, [value, ...])`."""
    if kind == STRING:
        return text(value)
    if kind == ARRAY:
        element, items = value
        return struct.pack("<IQ", element, len(items)) + b"".join(content(element, item) for item in items)
    return struct.pack("<" + SCALARS[kind], value)


def header(
    values: list[tuple[str, int, Any]] | None = None,
    tensors: list[tuple[str, tuple[int, ...], int, int]] | None = None,
    **changes: Any,
) -> bytes:
    """Return a header, its end padded; `changes` are magic, version, tensor_count, value_count."""
    values = [ARCHITECTURE] if values is None else values
    tensors = [TENSOR] if tensors is None else tensors
    data = changes.get("magic", b"GGUF") + struct.pack("<I", changes.get("version", 3))
    data += struct.pack("<Q", changes.get("tensor_count", len(tensors)))
    data += struct.pack("<Q", changes.get("value_count", len(values)))
    for key, kind, value in values:
        data += text(key) + struct.pack("<I", kind) + (value if isinstance(value, bytes) else content(kind, value))
    for name, shape, kind, offset in tensors:
        data += text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape) + struct.pack("<IQ", kind, offset)
    return data + b"\0" * (-len(data) % 32)


def sparse(path: Any, size: int, seed: str = "") -> None:
    """Write a right file of about so many bytes that takes no room."""
    values = [ARCHITECTURE, ("general.name", STRING, seed)]
    head = header(values, [("blk.0.weight", (size // 4,), 0, 0)])
    with open(path, "wb") as stream:
        stream.write(head)
        stream.truncate(len(head) + size // 4 * 4)


def _scalar(kind: int) -> st.SearchStrategy[Any]:
    if kind == STRING:
        return st.text(max_size=20)
    if kind == 7:
        return st.booleans()
    if kind in (6, 12):
        return st.floats(width=32)
    bits = 8 * struct.calcsize("<" + SCALARS[kind])
    low, high = (0, 2**bits - 1) if SCALARS[kind].isupper() else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return st.integers(low, high)


_kinds = st.sampled_from([*SCALARS, STRING])
_arrays = _kinds.flatmap(lambda kind: st.tuples(st.just(kind), st.lists(_scalar(kind), max_size=4)))
#: key, kind and value, as :func:`header` takes them
any_value = st.one_of(
    _kinds.flatmap(lambda kind: st.tuples(st.text("abc.", max_size=8), st.just(kind), _scalar(kind))),
    st.tuples(st.text("abc.", max_size=8), st.just(ARRAY), _arrays),
)
any_tensor = st.tuples(
    st.text("abc.", max_size=8),
    st.lists(st.integers(0, 40), max_size=4).map(tuple),
    st.integers(0, 45),
    st.integers(0, 100),
)
