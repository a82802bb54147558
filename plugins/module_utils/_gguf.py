# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The header of a GGUF file, checked before a server gets the file: a crafted one ends the process of Ollama 0.24.0.

Magic, version and two counts; so many keys with values; so many tensors, each with its place behind the header. All of
this is read, the weights never. Whatever the bytes are, memory and time are bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, Union

from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import UnusableFile

MAGIC = b"GGUF"
VERSIONS = (2, 3)

#: Bounds that no model comes near; those of strings and dimensions are the server's own (0.32.15).
MAX_HEADER = 256 * 1024 * 1024
MAX_KEY = 65535
MAX_STRING = 16 * 1024 * 1024
MAX_VALUES = 100_000
MAX_TENSORS = 1_000_000
MAX_STRINGS = 8_000_000
MAX_DIMENSIONS = 4

_UINT32, _STRING, _ARRAY = 4, 8, 9
#: type of a value -> its bytes
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_UNSIGNED = (0, 2, 4, 10)
#: least bytes of a key with its value, and of a tensor
_LEAST_VALUE, _LEAST_TENSOR = 13, 24

#: type of a tensor -> values in a block, bytes of a block
_BLOCKS = {
    0: (1, 4),
    1: (1, 2),
    2: (32, 18),
    3: (32, 20),
    4: (32, 17),
    6: (32, 22),
    7: (32, 24),
    8: (32, 34),
    9: (32, 36),
    10: (256, 84),
    11: (256, 110),
    12: (256, 144),
    13: (256, 176),
    14: (256, 210),
    15: (256, 292),
    16: (256, 66),
    17: (256, 74),
    18: (256, 98),
    19: (256, 50),
    20: (32, 18),
    21: (256, 110),
    22: (256, 82),
    23: (256, 136),
    24: (1, 1),
    25: (1, 2),
    26: (1, 4),
    27: (1, 8),
    28: (1, 8),
    29: (256, 56),
    30: (1, 2),
    34: (256, 54),
    35: (256, 66),
    39: (32, 17),
}

Kept = Union[int, str]
_KEPT = ("general.architecture", "general.type", "general.alignment", "split.count")
_DEFAULT_ALIGNMENT = 32


@dataclass(frozen=True)
class Header:
    """What a header says that is of interest here."""

    version: int
    architecture: str
    values: int
    tensors: int


def check_header(stream: BinaryIO, size: int) -> Header:
    """Read the header of a GGUF file and check that a server can take the file for a model.

    :param stream: the file, at its beginning; it must be able to seek
    :param size: bytes of the file
    :raises UnusableFile: with what is wrong, to be read after the file's name
    """
    reader = _Reader(stream, size)
    magic = reader.take(4) if size >= 4 else b""
    if magic != MAGIC:
        raise UnusableFile(f"is no GGUF file: it has {size} bytes and begins with {magic!r}, wanted {MAGIC!r}")
    version = reader.number(4)
    if version not in VERSIONS:
        swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
        if swapped in VERSIONS:
            raise UnusableFile("is in big-endian byte order; convert it to little-endian")
        raise UnusableFile(f"is GGUF of version {version}, wanted 2 or 3; convert the model anew with current tools")
    tensors = reader.count("tensors", _LEAST_TENSOR, MAX_TENSORS)
    values = reader.count("keys", _LEAST_VALUE, MAX_VALUES)
    kept = _read_values(reader, values)
    architecture = _check_kind(kept, tensors)
    end, last = _read_tensors(reader, tensors)
    alignment = _alignment(kept)
    start = reader.position + -reader.position % alignment
    if start + end > size:
        raise UnusableFile(
            f"is truncated: its tensor '{last}' ends at byte {start + end}, but the file has {size} bytes; copy it again"
        )
    return Header(version, architecture, values, tensors)


class _Reader:
    """Numbers and texts from a file, never beyond its end or that of the longest header."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._size = size
        self._strings = 0
        self.position = 0

    def take(self, length: int) -> bytes:
        """Return the next bytes."""
        self._claim(length)
        data = self._stream.read(length)
        if len(data) < length:
            raise UnusableFile("became shorter while it was read; wait until it is complete")
        return data

    def skip(self, length: int) -> None:
        """Go on behind the next bytes."""
        self._claim(length)
        self._stream.seek(length, 1)

    def number(self, length: int, *, signed: bool = False) -> int:
        return int.from_bytes(self.take(length), "little", signed=signed)

    def count(self, what: str, least: int, most: int) -> int:
        """Return a count of things that have so many bytes at least."""
        count = self.number(8)
        if count > most or count * least > self._size - self.position:
            raise UnusableFile(
                f"is damaged: it claims to have {count} {what}, which {self._size} bytes cannot hold; copy it again"
            )
        return count

    def length(self, what: str, most: int) -> int:
        """Return the length of a text that follows."""
        length = self.number(8)
        if length > most or length > self._size - self.position:
            raise UnusableFile(f"is damaged: {what} would have {length} bytes; copy it again")
        return length

    def text(self, what: str) -> str:
        return self.take(self.length(what, MAX_KEY)).decode("utf-8", "replace")

    def skip_strings(self, count: int, key: str) -> None:
        """Go on behind an array of texts."""
        self._strings += count
        if self._strings > MAX_STRINGS:
            raise UnusableFile(f"is damaged: key '{key}' would have {count} texts, more than any model; copy it again")
        for _number in range(count):
            self.skip(self.length(f"a text of key '{key}'", MAX_STRING))

    def _claim(self, length: int) -> None:
        self.position += length
        if self.position > self._size:
            raise UnusableFile(f"is truncated: its header does not end within its {self._size} bytes; copy it again")
        if self.position > MAX_HEADER:
            raise UnusableFile(f"has a header of more than {MAX_HEADER} bytes, more than any model; copy it again")


def _read_values(reader: _Reader, count: int) -> dict[str, Kept]:
    """Go through keys and values, and return those that are of interest."""
    kept: dict[str, Kept] = {}
    for _number in range(count):
        key = reader.text("a key")
        shown = key[:80]
        kind = reader.number(4)
        if key in kept:
            raise UnusableFile(f"is damaged: it has the key '{shown}' twice; convert the model anew")
        if kind == _STRING and key in _KEPT:
            kept[key] = reader.text(f"key '{shown}'")
        elif kind == _STRING:
            reader.skip(reader.length(f"key '{shown}'", MAX_STRING))
        elif kind == _ARRAY:
            _skip_array(reader, shown)
        elif kind not in _SIZES:
            raise UnusableFile(f"is damaged: key '{shown}' has the unknown type {kind}; copy it again")
        elif key in _KEPT:
            kept[key] = reader.number(_SIZES[kind], signed=kind not in _UNSIGNED)
            if key == "general.alignment" and kind != _UINT32:
                raise UnusableFile(f"is damaged: key '{key}' has type {kind}, wanted {_UINT32}; convert the model anew")
        else:
            reader.skip(_SIZES[kind])
    return kept


def _skip_array(reader: _Reader, key: str) -> None:
    kind = reader.number(4)
    if kind != _STRING and kind not in _SIZES:
        raise UnusableFile(f"has an array '{key}' of type {kind}, which Ollama does not read; convert the model anew")
    count = reader.count(f"elements in key '{key}'", _SIZES.get(kind, 8), MAX_HEADER)
    if kind == _STRING:
        reader.skip_strings(count, key)
    else:
        reader.skip(count * _SIZES[kind])


def _check_kind(kept: dict[str, Kept], tensors: int) -> str:
    """Return the architecture of a file that is one whole model."""
    architecture = kept.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise UnusableFile("does not name its architecture (key general.architecture); convert the model anew")
    kind = "mmproj" if architecture == "clip" else kept.get("general.type", "model")
    if kind != "model":
        raise UnusableFile(f"is a file of type '{kind}', which is no model by itself; name the file of a model")
    parts = kept.get("split.count", 1)
    if isinstance(parts, int) and parts > 1:
        raise UnusableFile(
            f"is one of {parts} parts of a model; merge them into one file (llama-gguf-split --merge) and name that one"
        )
    if not tensors:
        raise UnusableFile("has no tensors, so it is no model; name the file of a model")
    return architecture


def _alignment(kept: dict[str, Kept]) -> int:
    alignment = kept.get("general.alignment", _DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
        raise UnusableFile(
            f"is damaged: general.alignment is {alignment!r}, wanted a power of two; convert the model anew"
        )
    return alignment


def _read_tensors(reader: _Reader, count: int) -> tuple[int, str]:
    """Return where the last tensor ends, counted from the end of the header, and its name."""
    end, last = 0, ""
    for _number in range(count):
        name = reader.text("the name of a tensor")[:80]
        dimensions = reader.number(4)
        if dimensions > MAX_DIMENSIONS:
            raise UnusableFile(
                f"is damaged: tensor '{name}' has {dimensions} dimensions, wanted at most {MAX_DIMENSIONS}; copy it again"
            )
        elements = 1
        for _dimension in range(dimensions):
            elements *= reader.number(8)
        # Of a type that is not known here, only the beginning can be checked.
        values, size = _BLOCKS.get(reader.number(4), (1, 0))
        here = reader.number(8) + elements * size // values
        if here > end:
            end, last = here, name
    return end, last
