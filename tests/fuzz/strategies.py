# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that no well-meaning host, server or operator gives: texts with an edge, and right values with something bent in them."""

from __future__ import annotations

import copy
import json

from hypothesis import strategies as st

#: Half of a pair of surrogates: JSON can say it, UTF-8 cannot. In what becomes JSON the other sign stands for it.
HALF, SIGN = "\ud800", "\u00bd"
#: What has broken readers of texts before: digits that are none, more digits than a number takes, half characters, ends of lines.
EDGES = [
    *["", " ", "\n", "\r\n", "\t", "\0", "\x1b[2J", "\u2028", "\x85", "\ufeff", SIGN, "\u00b2", "\u0663", "\u0130"],
    *["9" * 30, "9" * 400, "9" * 5000, "-1", "1e999", "nan", "inf", "0x10", "1_0", "+7", "00"],
    *[
        '"',
        "'",
        "`",
        "\\",
        "\\u00",
        "\\ud800",
        "\\U00110000",
        "{{ 7 * 7 }}",
        "{%",
        "#}",
        "$(id)",
        "${HOME}",
        ";",
        "&",
        "|",
        "--",
        "-e",
    ],
    *[
        "/",
        "//",
        "..",
        "../..",
        "~",
        "%2e%2e%2f",
        "://",
        "@",
        "?",
        "#",
        ":",
        ",",
        "=",
        "[",
        "]",
        "(",
        ")",
        "*",
        "[z-a]",
    ],
    *[
        "sha256:",
        "sha256-",
        "a" * 64,
        "latest",
        "library",
        "registry.ollama.ai",
        "alchemorsel-tmp",
        "None",
        "null",
        "true",
    ],
]

#: Texts as a person or a program writes them, hostile ones and long ones.
texts = st.text(max_size=30) | st.lists(st.sampled_from(EDGES) | st.text(max_size=6), max_size=8).map("".join)
#: The same, with what only JSON can bring.
json_strings = texts | st.lists(st.sampled_from([HALF, *EDGES]), max_size=4).map("".join)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**30, -(10**400), 10**400, 2**63, 1e308, float("inf"), float("-inf"), float("nan")])
    | st.floats()
    | texts
)
junk = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
#: Bytes that are no JSON, or too much of it.
no_json = (
    st.binary(max_size=60)
    | st.sampled_from([b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5000, b'"\xff"', b'"\xed\xa0\x80"', b"NaN", b"{}{}"])
    | texts.map(str.encode)
)


@st.composite
def bent(draw, right, most=3):
    """Return a right value, or the same with up to so many places in it bent: replaced, removed, added, twice."""
    value = copy.deepcopy(right)
    for _turn in range(draw(st.integers(0, most))):
        value = _bend(draw, value)
    return value


def _bend(draw, value):
    if not isinstance(value, (dict, list)) or not value or draw(st.integers(0, 9)) == 0:
        return draw(junk)
    keys = sorted(value, key=repr) if isinstance(value, dict) else range(len(value))
    key = draw(st.sampled_from(keys))
    how = draw(st.integers(0, 9))
    if how == 0:
        del value[key]
    elif how == 1 and isinstance(value, dict):
        value[draw(texts)] = draw(junk)
    elif how == 1:
        value.append(copy.deepcopy(value[key]))
    else:
        value[key] = _bend(draw, value[key])
    return value


def bent_json(right, most=3):
    """Bytes of :func:`bent`, or what is no JSON at all."""
    return bent(right, most).map(json.dumps).map(lambda text: text.replace("\\u00bd", "\\ud800").encode()) | no_json


@st.composite
def bent_lines(draw, right):
    """Lines of a tool's output, or the same with words of them bent."""
    lines = list(right)
    for _turn in range(draw(st.integers(0, 4))):
        number = draw(st.integers(0, len(lines)))
        how = draw(st.integers(0, 4))
        if number == len(lines) or how == 0:
            lines.insert(number, draw(texts))
            continue
        begin = draw(st.integers(0, len(lines[number])))
        end = draw(st.integers(begin, min(len(lines[number]), begin + 12)))
        lines[number] = lines[number][:begin] + draw(texts) + lines[number][end:]
    return lines


@st.composite
def pieces(draw, data):
    """Some bytes, cut anywhere, as a network hands them over."""
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)])]


def can_be_shown(value):
    """Tell whether a value can go through JSON and UTF-8 to a terminal, as each result and each message does."""
    return json.loads(json.dumps(value, ensure_ascii=False).encode().decode()) is not None or value is None
