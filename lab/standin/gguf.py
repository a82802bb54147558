# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GGUF headers: metadata and tensor list read from a file, and written back."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from .gotext import Float32

MAGIC = b"GGUF"
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY, _UINT32 = 8, 9, 4
_MAX_STRING = (1 << 63) - 1
ALIGNMENT = 32

#: tensor types: name, values per block, bytes per block
TENSOR_TYPES = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    30: ("BF16", 1, 2),
}
#: general.file_type -> what show calls the quantization level; 0 (all F32) counts as not told
FILE_TYPES = {
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    32: "BF16",
}


class GGUFError(Exception):
    """A file that is no readable GGUF; the message is the real server's."""


class NotGGUF(GGUFError):
    """The file does not begin as a GGUF does."""


class HugeString(GGUFError):
    """A length that cannot be: it makes 0.24.0 panic."""


@dataclass(frozen=True)
class Tensor:
    """One entry of the tensor list; `shape` is in the file's order."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int

    @property
    def type_name(self) -> str:
        return TENSOR_TYPES.get(self.kind, (f"unknown type {self.kind}", 1, 0))[0]

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        _name, block, size = TENSOR_TYPES.get(self.kind, ("", 1, 0))
        return self.elements // block * size


@dataclass
class Model:
    """The header of one file."""

    version: int
    values: dict[str, Any]
    types: dict[str, tuple[int, int]]  # value type, element type of an array
    tensors: list[Tensor]
    data_start: int

    @property
    def architecture(self) -> str:
        return str(self.values.get("general.architecture", "unknown"))

    def arch_value(self, key: str, default: Any = None) -> Any:
        """The value of `<architecture>.<key>`."""
        return self.values.get(f"{self.architecture}.{key}", default)

    @property
    def parameter_count(self) -> int:
        return sum(tensor.elements for tensor in self.tensors)

    @property
    def quantization(self) -> str:
        return FILE_TYPES.get(int(self.values.get("general.file_type", 0)), "unknown")

    @property
    def is_embedding(self) -> bool:
        return f"{self.architecture}.pooling_type" in self.values

    @property
    def context_length(self) -> int:
        return int(self.arch_value("context_length", 0))

    @property
    def embedding_length(self) -> int:
        return int(self.arch_value("embedding_length", 0))

    @property
    def chat_template(self) -> str:
        return str(self.values.get("tokenizer.chat_template", ""))


class _Reader:
    def __init__(self, stream: BinaryIO):
        self.stream = stream

    def scalar(self, code: str) -> Any:
        size = struct.calcsize("<" + code)
        data = self.stream.read(size)
        if len(data) < size:
            raise GGUFError("unexpected EOF" if data else "EOF")
        return struct.unpack("<" + code, data)[0]

    def string(self) -> str:
        length = self.scalar("Q")
        if length > _MAX_STRING:
            raise HugeString(f"GGUF string length {length} exceeds maximum {_MAX_STRING}")
        data = self.stream.read(min(length, 1 << 30))
        if len(data) < length:
            raise GGUFError("unexpected EOF")
        return data.decode("utf-8", "replace")

    def value(self, kind: int) -> tuple[Any, int]:
        """A value and, for an array, the type of its elements."""
        if kind == _STRING:
            return self.string(), 0
        if kind == _ARRAY:
            element, count = self.scalar("I"), self.scalar("Q")
            return [self.value(element)[0] for _ in range(count)], element
        if kind not in _SCALARS:
            raise GGUFError(f"invalid type: {kind}")
        value = self.scalar(_SCALARS[kind])
        return (Float32(value) if kind == 6 else value), 0


def read(path: Path) -> Model:
    """The header of a GGUF file; raises GGUFError, OSError where the file is not there."""
    with path.open("rb") as stream:
        reader = _Reader(stream)
        magic = stream.read(4)
        if not magic:
            raise GGUFError("EOF")
        if magic != MAGIC:
            raise NotGGUF("invalid file magic")
        version = reader.scalar("I")
        if version not in (2, 3):
            raise GGUFError("unsupported version")
        tensor_count, value_count = reader.scalar("Q"), reader.scalar("Q")
        values: dict[str, Any] = {}
        types: dict[str, tuple[int, int]] = {}
        for _ in range(value_count):
            key = reader.string()
            kind = reader.scalar("I")
            values[key], element = reader.value(kind)
            types[key] = (kind, element)
        tensors = []
        for _ in range(tensor_count):
            name = reader.string()
            shape = tuple(reader.scalar("Q") for _ in range(reader.scalar("I")))
            tensors.append(Tensor(name, shape, reader.scalar("I"), reader.scalar("Q")))
        position = stream.tell()
        alignment = int(values.get("general.alignment", ALIGNMENT))
        start = position + -position % alignment
        size = stream.seek(0, 2)
    for tensor in tensors:
        end = start + tensor.offset + tensor.nbytes
        if end > size:
            raise GGUFError(f'tensor "{tensor.name}" offset+size ({end}) exceeds file size ({size})')
    return Model(version, values, types, tensors, start)


def _string_bytes(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value_bytes(value: Any, kind: int, element: int) -> bytes:
    if kind == _STRING:
        return _string_bytes(value)
    if kind == _ARRAY:
        return struct.pack("<IQ", element, len(value)) + b"".join(_value_bytes(item, element, 0) for item in value)
    return struct.pack("<" + _SCALARS[kind], value)


def encode(model: Model, data: dict[str, bytes]) -> bytes:
    """A GGUF file of this header, its tensors in the header's order with the given bytes."""
    parts = [MAGIC, struct.pack("<IQQ", model.version, len(model.tensors), len(model.values))]
    for key, value in model.values.items():
        kind, element = model.types[key]
        parts.append(_string_bytes(key) + struct.pack("<I", kind) + _value_bytes(value, kind, element))
    offset, body = 0, []
    for tensor in model.tensors:
        content = data[tensor.name]
        shape = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        parts.append(_string_bytes(tensor.name) + shape + struct.pack("<IQ", tensor.kind, offset))
        padding = -len(content) % ALIGNMENT
        body.append(content + b"\0" * padding)
        offset += len(content) + padding
    head = b"".join(parts)
    return head + b"\0" * (-len(head) % ALIGNMENT) + b"".join(body)


def rewrite(path: Path, file_type: int | None = None) -> bytes:
    """The file as llama-quantize's copy leaves it: tensors sorted by layer, quantization_version told.

    With `file_type` only the header says another type: the stand-in does not quantize weights.
    """
    model = read(path)
    level = int(model.values.get("general.file_type", 0)) if file_type is None else file_type
    for key, value in (("general.quantization_version", 2), ("general.file_type", level)):
        model.values.pop(key, None)
        model.values[key] = value
        model.types[key] = (_UINT32, 0)
    with path.open("rb") as stream:
        data = {}
        for tensor in model.tensors:
            stream.seek(model.data_start + tensor.offset)
            data[tensor.name] = stream.read(tensor.nbytes)
    model.tensors.sort(key=lambda tensor: _layer_order(tensor.name))
    return encode(model, data)


def _layer_order(name: str) -> tuple[int, str]:
    parts = name.split(".")
    return (int(parts[1]) if parts[0] == "blk" and parts[1].isdigit() else -1, name)


def human_number(count: int) -> str:
    """A count of parameters as show writes it: 120K, 1.24B, 7B."""
    for limit, letter, decimals in ((10**12, "T", 1), (10**9, "B", 1), (10**6, "M", 2)):
        if count >= limit:
            number = count / limit
            return f"{number:.0f}{letter}" if number == int(number) else f"{number:.{decimals}f}{letter}"
    return f"{count / 1000:.0f}K" if count >= 1000 else str(count)
