# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stand-in answers in place of a language model: fixed words and numbers made from the input's hash."""

from __future__ import annotations

import hashlib
import math

from .gotext import Float32

#: the text says what it is; one word is one token
TEXT = "This is a stand-in for an Ollama server, not a language model: its answers are canned and mean nothing."


def tokens(limit: int) -> tuple[list[str], str]:
    """The canned tokens and why they end: `stop`, or `length` where `limit` (-1: none) cut them off."""
    words = TEXT.split(" ")
    pieces = [words[0], *(" " + word for word in words[1:])]
    if limit < 0:
        return pieces, "stop"
    while len(pieces) < limit:
        pieces += [" " + words[0], *(" " + word for word in words[1:])]
    return pieces[:limit], "length"


def count_tokens(text: str) -> int:
    """A plausible number of tokens: one a word, and one for the beginning and the end each."""
    return len(text.split()) + 2 if text else 0


def context(text: str) -> list[int]:
    """Token numbers for the `context` field."""
    return [259 + int(hashlib.sha256(word.encode()).hexdigest(), 16) % 30 for word in ("", "", *text.split())]


def embedding(text: str, size: int) -> list[Float32]:
    """A unit vector that depends on the text only."""
    raw = b"".join(hashlib.sha256(f"{n}:{text}".encode()).digest() for n in range(size // 16 + 1))
    values = [int.from_bytes(raw[2 * n : 2 * n + 2], "big") / 32768 - 1 for n in range(size)]
    norm = math.sqrt(sum(value * value for value in values)) or 1.0
    return [Float32(value / norm) for value in values]
