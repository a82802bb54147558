# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resolve the relative paths of declared GGUF files."""

from __future__ import annotations

DOCUMENTATION = r"""
name: gguf_paths
author: Alchemorsel contributors (@alchemorsel)
version_added: 0.1.0
short_description: Declared models with the paths of their GGUF files made absolute
description:
  - Puts a directory before each relative C(gguf) of a list of declared models. All else in the list stays as it is, and so does a path that begins
    with C(/), C(~) or C($).
  - Refuses a relative path where the directory is empty, naming the models.
positional: directory
options:
  _input:
    description: Declared models, as for the option C(models) of M(alchemorsel.ollama.ollama_model).
    type: list
    elements: dict
    required: true
  directory:
    description: Directory of the host that relative paths are meant to be in. Empty for none.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Create a model from /srv/ollama/preload/assistant-q4_k_m.gguf
  alchemorsel.ollama.ollama_model:
    models: "{{ [{'name': 'team/assistant', 'gguf': 'assistant-q4_k_m.gguf'}] | alchemorsel.ollama.gguf_paths('/srv/ollama/preload') }}"
"""

RETURN = r"""
_value:
  description: The same models, with absolute paths.
  type: list
  elements: dict
"""

import posixpath
from typing import Any

from ansible.errors import AnsibleFilterError


def gguf_paths(models: list[dict[str, Any]], directory: str) -> list[dict[str, Any]]:
    """See DOCUMENTATION; raises AnsibleFilterError for what is no list of models, and for paths that cannot be resolved."""
    if not isinstance(models, list) or not all(isinstance(model, dict) for model in models):
        raise AnsibleFilterError(f"gguf_paths wants a list of dictionaries, found {type(models).__name__}: {models!r}")
    relative = [model for model in models if is_relative(model.get("gguf"))]
    if relative and not directory:
        found = ", ".join(f"'{model['gguf']}' of {model.get('name')}" for model in relative)
        raise AnsibleFilterError(
            f"gguf is relative and no directory for it is named: {found}; write an absolute path of the host, or name the "
            "directory (ollama_preload_dir)"
        )
    return [
        {**model, "gguf": posixpath.join(directory, model["gguf"])} if model in relative else model for model in models
    ]


def is_relative(path: Any) -> bool:
    """Return whether this is a path that a directory has to be put before."""
    return isinstance(path, str) and path != "" and path[0] not in "/~$"


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Names and functions."""
        return {"gguf_paths": gguf_paths}
