# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what becomes of an instance's containers."""

from __future__ import annotations

DOCUMENTATION = r"""
name: container_plan
author: Alchemorsel contributors (@alchemorsel)
version_added: 0.1.0
short_description: What to do about a container that is not as declared
description:
  - Takes what M(community.docker.docker_container) says in check mode, and all containers of the engine, and returns what the role
    P(alchemorsel.ollama.ollama#role) is to do. It touches no host.
positional: containers
options:
  _input:
    description: The result of M(community.docker.docker_container) in check mode with a diff; an empty mapping where nothing was compared.
    type: dict
    required: true
  containers:
    description: All containers of the engine, as M(community.docker.docker_host_info) returns them with C(verbose_output).
    type: list
    elements: dict
    required: true
  name:
    description: The instance, which is the name of its container.
    type: str
    required: true
  state:
    description: What the instance is declared to be.
    type: str
    default: started
  recreate:
    description: Whether a container may be made anew, V(auto) or V(never).
    type: str
    default: auto
  store:
    description: Directory or volume of the host with the models. Empty for none.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Say what is pending
  ansible.builtin.debug:
    msg: "{{ (compared | alchemorsel.ollama.container_plan(listed.containers, name='ollama', recreate='never')).pending }}"
"""

RETURN = r"""
_value:
  description:
    - C(action), V(none), V(run) (docker_container does it in place or where nothing serves), V(upgrade) (the new container is tried beside the
      serving one), or V(hold).
    - C(pending), list of C(name), C(now) and C(wanted), what differs.
    - C(repair), what a killed run left to do, V(none), V(restore) or V(finish); C(leftovers), names of containers to remove.
    - C(previous) and C(aside), image ID and declared reference of the image before, and of a container that waits to be put back; or empty.
    - C(dangers), sentences about what forbids it, such as other running containers that can write to the store, or that have a name that is needed.
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.alchemorsel.ollama.plugins.module_utils._upgrade import plan


def container_plan(
    compared: dict[str, Any],
    containers: list[dict[str, Any]],
    name: str,
    state: str = "started",
    recreate: str = "auto",
    store: str = "",
) -> dict[str, Any]:
    """See DOCUMENTATION; raises AnsibleFilterError when an argument has the wrong type."""
    if not isinstance(compared, dict):
        raise AnsibleFilterError(f"container_plan wants a result of docker_container, found {type(compared).__name__}")
    if not isinstance(containers, list) or not all(isinstance(entry, dict) for entry in containers):
        raise AnsibleFilterError(
            f"container_plan: containers is to be a list of mappings, found {type(containers).__name__}"
        )
    return plan(compared, containers, name=name, state=state, recreate=recreate, store=store)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Names and functions."""
        return {"container_plan": container_plan}
