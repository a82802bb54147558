# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Return the public key of an Ed25519 private key."""

from __future__ import annotations

DOCUMENTATION = r"""
name: ssh_public_key
author: Alchemorsel contributors (@alchemorsel)
version_added: 0.1.0
short_description: The public key of an Ed25519 private key in OpenSSH's format
description:
  - Reads the public key out of a private one, as C(ssh-keygen -y) does, for keys of the kind that an Ollama server is known by.
  - Returns an empty text for anything else, such as a key of another kind or one with a passphrase. The key itself is never part of a message.
options:
  _input:
    description: The private key, as C(ssh-keygen -t ed25519 -N '') writes it.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Print the key that is to be registered with the source of private models
  ansible.builtin.debug:
    msg: "{{ ollama_identity | alchemorsel.ollama.ssh_public_key }}"
"""

RETURN = r"""
_value:
  description: The public key as one line without a comment, or an empty text.
  type: str
"""

import base64
import binascii
import struct
from typing import Any

_BEGIN = "-----BEGIN OPENSSH PRIVATE KEY-----"
_END = "-----END OPENSSH PRIVATE KEY-----"
_MAGIC = b"openssh-key-v1\0"
_KIND = b"ssh-ed25519"


def ssh_public_key(private: str) -> str:
    """See DOCUMENTATION."""
    lines = str(private).strip().splitlines()
    if len(lines) < 3 or lines[0].strip() != _BEGIN or lines[-1].strip() != _END:
        return ""
    try:
        body = base64.b64decode("".join(line.strip() for line in lines[1:-1]), validate=True)
        if not body.startswith(_MAGIC):
            return ""
        cipher, rest = _field(body[len(_MAGIC) :])
        _kdf, rest = _field(rest)
        _options, rest = _field(rest)
        (count,) = struct.unpack_from(">I", rest)
        public, rest = _field(rest[4:])
        kind, key = _field(public)
        secret, _after = _field(rest)
    except (binascii.Error, ValueError, struct.error):
        return ""
    # A field of 32 bytes with its length, and a secret that holds the same public key
    usable = cipher == b"none" and count == 1 and kind == _KIND and len(key) == 36 and key[4:] in secret
    return f"{_KIND.decode()} {base64.b64encode(public).decode()}" if usable else ""


def _field(data: bytes) -> tuple[bytes, bytes]:
    """Return a field that stands behind its length, and what follows."""
    (length,) = struct.unpack_from(">I", data)
    if len(data) < 4 + length:
        raise ValueError("the key ends too early")
    return data[4 : 4 + length], data[4 + length :]


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Names and functions."""
        return {"ssh_public_key": ssh_public_key}
