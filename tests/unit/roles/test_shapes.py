# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the context of a model costs, as the role ollama reads it from the header of its weights."""

from __future__ import annotations

import importlib.util
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

PROGRAM = Path(__file__).parents[3] / "roles/ollama/files/shapes.py"
MODELS = Path(__file__).parents[3] / "lab/models"
SPEC = importlib.util.spec_from_file_location("shapes", PROGRAM)
shapes = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(shapes)


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def header(**fields) -> bytes:
    """A header that says this of the family `f`: whole numbers, and lists of them."""
    body = text("general.architecture") + struct.pack("<I", 8) + text("f")
    for key, value in fields.items():
        body += text(f"f.{key.replace('__', '.')}")
        if isinstance(value, list):
            body += struct.pack("<IIQ", 9, 4, len(value)) + b"".join(struct.pack("<I", item) for item in value)
        else:
            body += struct.pack("<II", 4, value)
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(fields) + 1) + body


LLAMA = {
    "block_count": 32,
    "context_length": 131072,
    "embedding_length": 4096,
    "attention__head_count": 32,
    "attention__head_count_kv": 8,
}


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        (LLAMA, (32 * 8 * 256, 131072)),
        ({**LLAMA, "attention__key_length": 64, "attention__value_length": 96}, (32 * 8 * 160, 131072)),
        ({key: value for key, value in LLAMA.items() if key != "attention__head_count_kv"}, (32 * 32 * 256, 131072)),
        # Layers without attention keep nothing
        ({**LLAMA, "block_count": 4, "attention__head_count_kv": [0, 8, 0, 8]}, (16 * 256, 131072)),
        ({key: value for key, value in LLAMA.items() if key != "context_length"}, (32 * 8 * 256, 0)),
        ({key: value for key, value in LLAMA.items() if key != "block_count"}, None),
        ({**LLAMA, "attention__head_count": 0}, None),
        ({}, None),
    ],
)
def test_shape(fields, found):
    assert shapes.shape(shapes.fields(header(**fields))) == found


def test_what_comes_with_the_tokens_is_not_needed():
    data = header(**LLAMA)
    tokens = text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 10**6) + text("a") * 3
    assert shapes.fields(data + tokens) == shapes.fields(data)


@given(st.binary(max_size=400), st.integers(0, 400))
def test_anything_is_read_to_its_end_or_not_at_all(junk, cut):
    data = header(**LLAMA)
    for damaged in (junk, b"GGUF" + junk, data[:cut] + junk, data[: cut % len(data)]):
        found = shapes.shape(shapes.fields(damaged))
        assert found is None or found[0] > 0


def test_lines(tmp_path):
    shutil.copyfile(MODELS / "tiny-a.gguf", tmp_path / "sha256-aa")
    (tmp_path / "sha256-bb").symlink_to(MODELS / "tiny-a.gguf")
    (tmp_path / "sha256-cc").write_bytes(b"none")
    (tmp_path / "sha256-dd").mkdir()
    lines = "".join(f"model 1 {weights} h/n/m/{weights}\n" for weights in ("aa", "aa", "bb", "cc", "dd", "ee", "-"))
    done = subprocess.run(
        [sys.executable, "-I", str(PROGRAM), str(tmp_path)], input=lines, capture_output=True, text=True, check=True
    )
    assert done.stdout == "shape aa 256 256\n"
    assert done.stderr == ""
