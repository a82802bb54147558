# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose the model with which a new server is tried beside the serving one."""

from __future__ import annotations

DOCUMENTATION = r"""
name: probe_model
author: Alchemorsel contributors (@alchemorsel)
version_added: 0.1.0
short_description: The model with which a new server is tried beside the serving one
description:
  - Chooses among the models of a server the one that was named, else the smallest of the declared ones, if there is room for one more copy of it.
positional: declared
options:
  _input:
    description: The models of the server, as M(alchemorsel.ollama.ollama_model_info) returns them.
    type: list
    elements: dict
    required: true
  declared:
    description: Names of the declared models.
    type: list
    elements: str
    required: true
  probe:
    description: The model to use. Empty for the smallest declared one.
    type: str
    default: ""
  free:
    description: Free memory of the host, in bytes. One and a half times the size of the model are wanted.
    type: int
    required: true
"""

EXAMPLES = r"""
- name: Choose a model
  ansible.builtin.set_fact:
    probe: "{{ server.models | alchemorsel.ollama.probe_model(['llama3.2:3b', 'all-minilm:22m'], free=8000000000) }}"
"""

RETURN = r"""
_value:
  description: C(model), the name, empty if there is none with room for it; and C(reason), why there is none.
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.alchemorsel.ollama.plugins.module_utils._upgrade import choose_probe


def probe_model(models: list[dict[str, Any]], declared: list[str], probe: str = "", free: int = 0) -> dict[str, Any]:
    """See DOCUMENTATION; raises AnsibleFilterError for what is no list of models."""
    if not isinstance(models, list) or not all(isinstance(model, dict) for model in models):
        raise AnsibleFilterError(f"probe_model wants a list of models, found {type(models).__name__}")
    return choose_probe(models, declared, probe, int(free))


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Names and functions."""
        return {"probe_model": probe_model}
