# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fingerprints of OpenPGP public keys, so that a downloaded repository key is checked without gpg on any machine.

Version 4 keys only (RFC 4880, sections 4.2, 5.5.2, 6 and 12.2). Nothing here verifies signatures.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

_BEGIN = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
_END = "-----END PGP PUBLIC KEY BLOCK-----"
_PUBLIC_KEY = 6


class KeyFormatError(ValueError):
    """The text is not a block of OpenPGP public keys; the message says why."""


def _dearmor(text: str) -> Iterator[bytes]:
    """The binary content of each armoured block."""
    lines = [line.strip() for line in text.splitlines()]
    while _BEGIN in lines:
        lines = lines[lines.index(_BEGIN) + 1 :]
        if _END not in lines:
            raise KeyFormatError(f"the line {_END} is missing")
        block, lines = lines[: lines.index(_END)], lines[lines.index(_END) + 1 :]
        # Armour headers end with an empty line; the last line is the checksum
        body = block[block.index("") + 1 :] if "" in block else block
        try:
            yield base64.b64decode("".join(line for line in body if not line.startswith("=")), validate=True)
        # binascii.Error is one of them, another is that of letters beyond ASCII
        except ValueError as error:
            raise KeyFormatError(f"its base64 text is damaged: {error}") from error


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and body of each packet."""
    at = 0
    while at < len(data):
        head = data[at]
        if not head & 0x80:
            raise KeyFormatError(f"no packet begins at byte {at}")
        first = data[at + 1] if at + 1 < len(data) else 0
        if head & 0x40:
            tag = head & 0x3F
            if first < 192:
                start, size = at + 2, first
            elif first < 224:
                start, size = at + 3, ((first - 192) << 8) + int.from_bytes(data[at + 2 : at + 3], "big") + 192
            elif first == 255:
                start, size = at + 6, int.from_bytes(data[at + 2 : at + 6], "big")
            else:
                raise KeyFormatError("packets of partial length are not for keys")
        else:
            tag, width = (head >> 2) & 0x0F, 1 << (head & 0x03)
            if width == 8:
                raise KeyFormatError("packets of indeterminate length are not for keys")
            start, size = at + 1 + width, int.from_bytes(data[at + 1 : at + 1 + width], "big")
        if start + size > len(data):
            raise KeyFormatError("the last packet is cut off")
        yield tag, data[start : start + size]
        at = start + size


def fingerprints(text: str) -> list[str]:
    """Fingerprints (40 upper-case hex digits) of all primary keys in an armoured text, in its order.

    Raises KeyFormatError where the text has no armoured block, is damaged or holds a key that is not of version 4.
    """
    found = []
    for block in _dearmor(text):
        for tag, body in _packets(block):
            if tag != _PUBLIC_KEY:
                continue
            if body[:1] != b"\x04":
                raise KeyFormatError("it holds a key that is not of version 4")
            if len(body) > 0xFFFF:
                raise KeyFormatError(f"it holds a key of {len(body)} bytes, more than a fingerprint can be made of")
            # SHA-1 is what defines a version 4 fingerprint
            found.append(hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body).hexdigest().upper())
    if not found:
        raise KeyFormatError("it holds no armoured public key")
    return found
