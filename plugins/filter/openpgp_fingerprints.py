# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell the fingerprints of OpenPGP public keys."""

from __future__ import annotations

DOCUMENTATION = r"""
name: openpgp_fingerprints
author: Alchemorsel contributors (@alchemorsel)
version_added: 0.1.0
short_description: List the fingerprints of the primary keys in an armoured OpenPGP text
description:
  - Lists the fingerprint of every primary public key in an armoured text, so that a package repository's key can be compared with a pinned fingerprint
    without C(gpg) on any machine.
  - A file that holds one more key than the pinned one would make the package manager trust that key too; so compare the whole list.
options:
  _input:
    description: Armoured text with one or several public key blocks, keys of version 4.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Refuse a key that is not the pinned one
  ansible.builtin.assert:
    that: lookup('ansible.builtin.file', 'docker.asc') | alchemorsel.ollama.openpgp_fingerprints == ['9DC858229FC7DD38854AE2D88D81803C0EBFCD88']
"""

RETURN = r"""
_value:
  description: Fingerprints, 40 upper-case hexadecimal digits each, in the order of the text.
  type: list
  elements: str
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.alchemorsel.ollama.plugins.module_utils._openpgp import KeyFormatError, fingerprints


def openpgp_fingerprints(text: str) -> list[str]:
    """See DOCUMENTATION; raises AnsibleFilterError where the text is no armoured key."""
    if not isinstance(text, str):
        raise AnsibleFilterError(f"openpgp_fingerprints wants armoured text, found {type(text).__name__}")
    try:
        return fingerprints(text)
    except KeyFormatError as error:
        raise AnsibleFilterError(f"This is not an OpenPGP public key: {error}.") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Names and functions."""
        return {"openpgp_fingerprints": openpgp_fingerprints}
