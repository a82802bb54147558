# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values written and read as Go does it: JSON, times, durations, numbers, quoted strings."""

from __future__ import annotations

import json
import math
import re
import struct
import time
from typing import Any

NANOSECOND = 1
SECOND = 1_000_000_000
#: Go's largest duration, 292 years: what "for ever" becomes
MAX_DURATION = (1 << 63) - 1

_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([^\d.]*)")


class DurationError(ValueError):
    """A text that Go does not take as a duration; the message is Go's."""


def float_text(value: float) -> str:
    """A float as Go's `%v` writes it: 1 for 1.0, 1.048576e+06 for 1048576, 1e-05."""
    if math.isinf(value) or math.isnan(value):
        return {"inf": "+Inf", "-inf": "-Inf"}.get(str(value), "NaN")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    digits, point = _shortest(value)
    exponent = point - 1
    if exponent < -4 or exponent >= 6:
        fraction = "." + digits[1:] if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{fraction}e{exponent:+03d}"
    return sign + _fixed(digits, point)


def _shortest(value: float) -> tuple[str, int]:
    """The fewest digits that give the number back, and where the decimal point stands among them."""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits, point = whole + fraction, len(whole) + int(exponent or 0)
    stripped = digits.lstrip("0")
    return stripped.rstrip("0") or "0", point - (len(digits) - len(stripped))


def _fixed(digits: str, point: int) -> str:
    if point <= 0:
        return f"0.{'0' * -point}{digits}"
    return digits[:point].ljust(point, "0") + (f".{digits[point:]}" if digits[point:] else "")


def _json_float(value: float) -> str:
    """A float as Go's JSON writes it: an exponent only below 1e-6 and from 1e21."""
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    digits, point = _shortest(value)
    if 1e-6 <= abs(value) < 1e21:
        return sign + _fixed(digits, point)
    fraction = "." + digits[1:] if len(digits) > 1 else ""
    exponent = point - 1
    return f"{sign}{digits[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent)}"


class Float32(float):
    """A number that Go holds in 32 bits, and so writes with fewer digits."""

    @property
    def shortest(self) -> float:
        """The number with the fewest digits that is the same in 32 bits."""
        wanted = struct.pack("<f", self)
        texts = (f"{self:.{digits}g}" for digits in range(1, 10))
        return next((float(text) for text in texts if struct.pack("<f", float(text)) == wanted), float(self))


def _encode(value: Any) -> str:
    if isinstance(value, Float32):
        return _json_float(value.shortest)
    if isinstance(value, float):
        return _json_float(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_encode(str(k))}:{_encode(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_encode(item) for item in value) + "]"
    text = json.dumps(value, ensure_ascii=False)
    if isinstance(value, str):
        # the same three characters are escaped, and two line separators; DEL is not
        for char in "<>&\u2028\u2029":
            text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def dump_json(value: Any) -> bytes:
    """Compact JSON with Go's escapes and number formats, in the dict's order, without a newline."""
    return _encode(value).encode("utf-8", "replace")


def sorted_maps(value: Any) -> Any:
    """A copy in which every dict is in key order, as Go writes its maps."""
    if isinstance(value, dict):
        return {key: sorted_maps(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [sorted_maps(item) for item in value]
    return value


def timestamp(nanoseconds: int | None = None) -> str:
    """A moment (ns since 1970, default now) as RFC 3339 in UTC with Go's shortened fraction."""
    moment = time.time_ns() if nanoseconds is None else nanoseconds
    seconds, fraction = divmod(moment, SECOND)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return text + (f".{fraction:09d}".rstrip("0") if fraction else "") + "Z"


def parse_duration(text: str) -> int:
    """Nanoseconds of a Go duration such as `5m` or `-1.5h`; raises DurationError with Go's own words."""
    original = text
    sign = -1 if text.startswith("-") else 1
    text = text[1:] if text[:1] in "+-" else text
    if text == "0":
        return 0
    if not text:
        raise DurationError(f'time: invalid duration "{original}"')
    total, position = 0.0, 0
    while position < len(text):
        match = _DURATION_PART.match(text, position)
        if match is None:
            raise DurationError(f'time: invalid duration "{original}"')
        number, unit = match.groups()
        if not unit:
            raise DurationError(f'time: missing unit in duration "{original}"')
        if unit not in _UNITS:
            raise DurationError(f'time: unknown unit "{unit}" in duration "{original}"')
        total += float(number) * _UNITS[unit]
        position = match.end()
    return sign * int(total)


def quote(text: str) -> str:
    """A string as Go's %q writes it."""
    escapes = {
        '"': '\\"',
        "\\": "\\\\",
        "\n": "\\n",
        "\t": "\\t",
        "\r": "\\r",
        "\a": "\\a",
        "\b": "\\b",
        "\f": "\\f",
        "\v": "\\v",
    }
    return '"' + "".join(escapes.get(c, c if c.isprintable() else f"\\x{ord(c):02x}") for c in text) + '"'


def literal(value: Any) -> str:
    """A JSON value as Go's %#v writes it once decoded (every number is a float)."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return float_text(float(value))
    return quote(str(value))


def plain(value: Any) -> str:
    """A JSON value as Go's %v writes it once decoded."""
    return value if isinstance(value, str) else literal(value)


def is_true(text: str | None) -> bool:
    """An environment switch: what Go cannot parse counts as true."""
    value = (text or "").strip(" \"'")
    return bool(value) and value not in ("0", "f", "F", "false", "False", "FALSE")
