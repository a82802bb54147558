# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Texts without the users and passwords of the addresses in them. Pure."""

from __future__ import annotations

import re
from typing import Any

# User and password in an address, and a user alone. A password with a slash or a quote is none to the engine, and a secret all the same:
# behind a colon all goes up to the last @ before a blank. In https://host/a@b there is none.
_CREDENTIALS = re.compile(r'(?<=://)(?:[^/\s"]*:\S*|[^/\s"]+)(?=@)')


def masked(text: str) -> str:
    """Return a text without the users and passwords of its addresses."""
    return _CREDENTIALS.sub("***", text)


def has_secret(text: str) -> bool:
    """Tell whether an address in a text names a user or a password."""
    return bool(_CREDENTIALS.search(text))


def hidden_in(address: str) -> list[str]:
    """Return what of an address may be a secret: user and password, and what follows ``?`` or ``#``."""
    place, _mark, behind = address.replace("#", "?").partition("?")
    user = place.rpartition("@")[0].rpartition("://")[2]
    return [text for text in (user, behind) if text]


def masked_value(value: Any) -> Any:
    """Return a value of JSON whose texts are :func:`masked`, at every depth."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, list):
        return [masked_value(item) for item in value]
    if isinstance(value, dict):
        return {masked_value(key): masked_value(item) for key, item in value.items()}
    return value
