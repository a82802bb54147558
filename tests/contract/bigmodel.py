# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A llama model of random weights that keeps a real server busy for some milliseconds a token."""

from __future__ import annotations

import array
import random
from pathlib import Path

from lab.standin import gguf
from lab.standin.testing import tiny_model

WIDTH, LAYERS, FEED_FORWARD, HEADS = 1024, 8, 4096, 8
_F32, _F16 = 0, 1


def _weights(count: int, seed: int) -> bytes:
    """Half floats between 0.06 and 0.12 in size, with random signs; one block of them repeated."""
    block = array.array("H", random.Random(seed).randbytes(2 * 65537))
    values = array.array("H", ((value & 0x83FF) | 0x2800 for value in block)).tobytes()
    return (values * (2 * count // len(values) + 1))[: 2 * count]


def write_big_model(path: Path) -> Path:
    """Writes the model, about 270 MB, with the vocabulary of tiny-a."""
    model = tiny_model("tiny-a")
    vocabulary = len(model.values["tokenizer.ggml.tokens"])
    model.values |= {
        "llama.embedding_length": WIDTH,
        "llama.block_count": LAYERS,
        "llama.feed_forward_length": FEED_FORWARD,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": HEADS,
        "llama.rope.dimension_count": WIDTH // HEADS,
        "general.file_type": 1,
    }
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (WIDTH, vocabulary),
        "output_norm.weight": (WIDTH,),
        "output.weight": (WIDTH, vocabulary),
    }
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        shapes |= {f"{block}{name}_norm.weight": (WIDTH,) for name in ("attn", "ffn")}
        shapes |= {f"{block}attn_{name}.weight": (WIDTH, WIDTH) for name in ("q", "k", "v", "output")}
        shapes |= {f"{block}ffn_{name}.weight": (WIDTH, FEED_FORWARD) for name in ("gate", "up")}
        shapes |= {f"{block}ffn_down.weight": (FEED_FORWARD, WIDTH)}
    tensors, data = [], {}
    for number, (name, shape) in enumerate(shapes.items()):
        tensor = gguf.Tensor(name, shape, _F32 if len(shape) == 1 else _F16, 0)
        tensors.append(tensor)
        data[name] = array.array("f", [1.0] * WIDTH).tobytes() if len(shape) == 1 else _weights(tensor.elements, number)
    model.tensors = tensors
    path.write_bytes(gguf.encode(model, data))
    return path
