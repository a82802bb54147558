# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List the models that are declared to stay in memory."""

from __future__ import annotations

DOCUMENTATION = r"""
name: loaded_models
author: Alchemorsel contributors (@alchemorsel)
version_added: 0.1.0
short_description: Names of the declared models that are to stay in memory
description:
  - Takes declared models and returns the names of those with C(loaded) or a negative C(keep_alive), as the server lists them.
  - What M(alchemorsel.ollama.ollama_model) would refuse is left out, since that module says why.
options:
  _input:
    description: Declared models, as for the option C(models) of M(alchemorsel.ollama.ollama_model).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Print llama3.3:70b
  ansible.builtin.debug:
    msg: "{{ [{'name': 'llama3.3:70b', 'loaded': true}, {'name': 'phi3'}] | alchemorsel.ollama.loaded_models }}"
"""

RETURN = r"""
_value:
  description: Names with their tags, in the order of the declaration.
  type: list
  elements: str
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidName
from ansible_collections.alchemorsel.ollama.plugins.module_utils._keep_alive import parse_loaded
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_name


def loaded_models(models: list[dict[str, Any]]) -> list[str]:
    """See DOCUMENTATION; raises AnsibleFilterError for what is no list of models."""
    if not isinstance(models, list) or not all(isinstance(model, dict) and "name" in model for model in models):
        raise AnsibleFilterError(
            f"loaded_models wants a list of dictionaries with a name, found {type(models).__name__}: {models!r}"
        )
    found: list[str] = []
    for model in models:
        if parse_loaded(model, model.get("state") == "absent", []):
            try:
                found.append(parse_name(str(model["name"])).short)
            except InvalidName:
                continue
    return found


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Names and functions."""
        return {"loaded_models": loaded_models}
