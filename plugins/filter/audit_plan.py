# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose the containers of an audit."""

from __future__ import annotations

DOCUMENTATION = r"""
name: audit_plan
author: Alchemorsel contributors (@alchemorsel)
version_added: 0.1.0
short_description: Which containers of an engine are audited
description:
  - Takes all containers of an engine and returns those that the role P(alchemorsel.ollama.ollama_audit#role) looks at, which are the servers of
    this collection and those that are named.
positional: named
options:
  _input:
    description: All containers of the engine, as M(community.docker.docker_host_info) returns them with C(verbose_output).
    type: list
    elements: dict
    required: true
  named:
    description: Names of other containers, or patterns such as V(*ollama*).
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Say what would be audited
  ansible.builtin.debug:
    msg: "{{ (listed.containers | alchemorsel.ollama.audit_plan(['my-ollama'])).containers }}"
"""

RETURN = r"""
_value:
  description:
    - C(containers), list of C(name), C(instance) (empty for a container that is none of this collection) and C(url) (where the host reaches the server;
      empty where it does not run).
    - C(missing), the named that no container has.
    - C(others), names of further containers that look like Ollama servers.
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.alchemorsel.ollama.plugins.module_utils._audit import chosen


def audit_plan(containers: list[dict[str, Any]], named: list[str] | None = None) -> dict[str, Any]:
    """See DOCUMENTATION; raises AnsibleFilterError when an argument has the wrong type."""
    if not isinstance(containers, list) or not all(isinstance(entry, dict) for entry in containers):
        raise AnsibleFilterError(
            f"audit_plan wants a list of containers as the engine lists them, found {type(containers).__name__}"
        )
    names = [] if named is None else named
    if not isinstance(names, list) or not all(isinstance(entry, str) for entry in names):
        raise AnsibleFilterError(f"audit_plan: named is to be a list of texts, found {names!r}")
    return chosen(containers, names)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Names and functions."""
        return {"audit_plan": audit_plan}
