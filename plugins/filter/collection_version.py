# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell the version of an installed collection."""

from __future__ import annotations

DOCUMENTATION = r"""
name: collection_version
author: Alchemorsel contributors (@alchemorsel)
version_added: 0.1.0
short_description: Version of a collection that is installed on the controller
description:
  - Reads the version from the collection's C(MANIFEST.json).
options:
  _input:
    description: Name of the collection, as C(namespace.name).
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Say which community.docker runs
  ansible.builtin.debug:
    msg: "{{ 'community.docker' | alchemorsel.ollama.collection_version }}"
"""

RETURN = r"""
_value:
  description: The version; empty where the collection is not installed or is a checkout, which has no C(MANIFEST.json).
  type: str
"""

import importlib
import json
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError


def collection_version(name: str) -> str:
    """See DOCUMENTATION; raises AnsibleFilterError where the name is not of the form namespace.name."""
    parts = name.split(".") if isinstance(name, str) else []
    if len(parts) != 2 or not all(part.isidentifier() for part in parts):
        raise AnsibleFilterError(f"collection_version wants a name such as community.docker, found {name!r}")
    try:
        package = importlib.import_module(f"ansible_collections.{name}")
        manifest = Path(next(iter(package.__path__))) / "MANIFEST.json"
        version = json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"]
    except (ImportError, FileNotFoundError, KeyError, StopIteration):
        return ""
    return str(version)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Names and functions."""
        return {"collection_version": collection_version}
