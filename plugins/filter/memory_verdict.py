# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge what may be in a server's memory at once."""

from __future__ import annotations

DOCUMENTATION = r"""
name: memory_verdict
author: Alchemorsel contributors (@alchemorsel)
version_added: 0.1.0
short_description: Whether the declared models fit into the memory limit of their server
description:
  - Adds up the largest declared models that a store has and that may be loaded at once, what the contexts of their parallel requests take at most,
    and the prompt cache of each, and compares that with the limit of the container. Models of which the store has no files yet are not counted.
  - This is for servers without a GPU, whose weights lie in the memory of the container.
positional: declared, limit, at_once, prompt_cache_mib
options:
  _input:
    description: One line for each model of the store, with its bytes, the digest of its weights or C(-), and the path of its manifest.
    type: list
    elements: str
    required: true
  declared:
    description: Declared models, as for the option C(models) of M(alchemorsel.ollama.ollama_model).
    type: list
    elements: dict
    required: true
  limit:
    description: Memory limit of the container in bytes.
    type: int
    required: true
  at_once:
    description: How many models may be loaded at once.
    type: int
    required: true
  prompt_cache_mib:
    description: Prompt cache of each model in MiB.
    type: int
    required: true
  shapes:
    description:
      - One line for each set of weights, with its digest, the numbers that one token takes in the cache of keys and values, and the context that the
        model was trained for, V(0) if that is not known.
    type: list
    elements: str
    default: []
  context:
    description: Tokens of one request. V(0) is what the server takes by itself without a GPU, 4096. No model has more than it was trained for.
    type: int
    default: 0
  parallel:
    description: Requests that each model serves at the same time.
    type: int
    default: 1
  kv_cache_type:
    description: Number format of the cache of keys and values.
    type: str
    choices: [f16, q8_0, q4_0]
    default: f16
"""

EXAMPLES = r"""
- name: Print that 8 GiB are too little for the two together
  ansible.builtin.debug:
    msg: "{{ (stored | alchemorsel.ollama.memory_verdict(declared, 8589934592, 2, 1024)).warning }}"
  vars:
    stored:
      - 4920753328 - registry.ollama.ai/library/llama3.1/8b
      - 4683087332 - registry.ollama.ai/library/qwen2.5/7b
    declared: [{name: "llama3.1:8b"}, {name: "qwen2.5:7b"}]
"""

RETURN = r"""
_value:
  description:
    - C(complaint), why one model alone cannot be loaded, and C(warning), why some together cannot; each is empty where it can.
    - C(figures), the sum; empty where there is no model.
  type: dict
"""

from collections.abc import Sequence
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils._host_memory import Context, judge, sized


def memory_verdict(
    stored: list[str],
    declared: list[dict[str, Any]],
    limit: int,
    at_once: int,
    prompt_cache_mib: int,
    shapes: Sequence[str] = (),
    context: int = 0,
    parallel: int = 1,
    kv_cache_type: str = "f16",
) -> dict[str, str]:
    """See DOCUMENTATION."""
    each = Context(int(context), int(parallel), str(kv_cache_type))
    return judge(sized(stored, declared, shapes), int(limit), int(at_once), int(prompt_cache_mib), each)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Names and functions."""
        return {"memory_verdict": memory_verdict}
