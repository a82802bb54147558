# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell the context that a server takes by itself."""

from __future__ import annotations

DOCUMENTATION = r"""
name: default_context
author: Alchemorsel contributors (@alchemorsel)
version_added: 0.1.0
short_description: The context that a server takes where none is set
description:
  - Ollama chooses it by the memory of all its GPUs. On large ones it is 262144 tokens, for each request that is served at the same time.
options:
  _input:
    description: The GPUs, as M(alchemorsel.ollama.gpu_info) returns them in C(gpus).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Print 262144
  ansible.builtin.debug:
    msg: "{{ [{'memory_mib': 81559}] | alchemorsel.ollama.default_context }}"
"""

RETURN = r"""
_value:
  description: Tokens, or nothing where the memory of a GPU is not known.
  type: int
"""

from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils._host_memory import default_context


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Names and functions."""
        return {"default_context": default_context}
