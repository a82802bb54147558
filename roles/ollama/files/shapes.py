# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says what the context of models costs, from the headers of their weights (GGUF): part of look.sh.

    shapes.py BLOBS < lines of look.sh

For each set of weights in the lines `model BYTES WEIGHTS MANIFEST` one line `shape WEIGHTS NUMBERS TRAINED`: the numbers that one
token of context takes in the cache of keys and values, and the context that it was trained for. Layers that only look back a short
way take less, so it is an upper bound. Weights that are not GGUF, or say too little, have no line.
"""

from __future__ import annotations

import os
import stat
import struct
import sys
from typing import Any

#: Bytes of a header that are read. The shape comes before the tokens, which are the bulk of it.
HEAD = 1 << 20
FIXED = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
TEXT, ARRAY = 8, 9


class Reader:
    """Reads values of a header, one after the other; IndexError, KeyError or struct.error where it cannot."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, code: str) -> Any:
        (value,) = struct.unpack_from(f"<{code}", self._data, self._at)
        self._at += struct.calcsize(f"<{code}")
        return value

    def text(self) -> str:
        size = self.number("Q")
        if size > len(self._data) - self._at:
            raise IndexError
        self._at += size
        return self._data[self._at - size : self._at].decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        if kind == TEXT:
            return self.text()
        if kind != ARRAY:
            return self.number(FIXED[kind])
        inner, count = self.number("I"), self.number("Q")
        if count > len(self._data):
            raise IndexError
        return [self.value(inner) for _number in range(count)]


def fields(data: bytes) -> dict[str, Any]:
    """Return what a header says before its tokens."""
    found: dict[str, Any] = {}
    reader = Reader(data)
    try:
        if reader.number("4s") != b"GGUF" or reader.number("I") not in (2, 3):
            return {}
        reader.number("Q")
        for _number in range(reader.number("Q")):
            key = reader.text()
            if key.startswith("tokenizer."):
                break
            found[key] = reader.value(reader.number("I"))
    except (IndexError, KeyError, RecursionError, struct.error):
        pass
    return found


def shape(found: dict[str, Any]) -> tuple[int, int] | None:
    """Return the numbers of a token and the context of the training, `None` if they are not told."""
    family = found.get("general.architecture")

    def whole(name: str) -> int:
        value = found.get(f"{family}.{name}", 0)
        return value if isinstance(value, int) and value > 0 else 0

    layers, heads = whole("block_count"), whole("attention.head_count")
    size = whole("embedding_length") // heads if heads else 0
    each = (whole("attention.key_length") or size) + (whole("attention.value_length") or size)
    shared = found.get(f"{family}.attention.head_count_kv", heads)
    kept = sum(shared) if isinstance(shared, list) else layers * shared
    return (kept * each, whole("context_length")) if kept * each > 0 else None


def read(path: str) -> bytes:
    """Return the beginning of a file, and nothing of what is none."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
            return stream.read(HEAD) if stat.S_ISREG(os.fstat(stream.fileno()).st_mode) else b""
    except OSError:
        return b""


def main() -> None:
    """Say it for each set of weights once."""
    for weights in sorted({line.split(" ")[2] for line in sys.stdin if line.startswith("model ")}):
        found = shape(fields(read(os.path.join(sys.argv[1], f"sha256-{weights}"))))
        if found:
            print("shape", weights, *found)


if __name__ == "__main__":
    main()
