# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Numbers as others write them, in texts and in JSON: those that something counts, and no others. Pure."""

from __future__ import annotations

#: More than any kernel, tool or server counts to: they all have 64 bits.
TOO_LARGE = 1 << 63
#: Digits that a counted number has at most. Python refuses to read thousands of them, and floats hold only hundreds.
DIGITS = 19


def counted(text: str) -> int | None:
    """Return the whole number that a text is, ``None`` for anything else: signs, digits such as a superscript 2, too many digits."""
    digits = text.strip()
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= DIGITS else None


def is_whole(value: object) -> bool:
    """Tell whether a value of JSON is a whole number that can be counted with; a bool, which is one to Python, is none."""
    return isinstance(value, int) and not isinstance(value, bool) and -TOO_LARGE < value < TOO_LARGE
