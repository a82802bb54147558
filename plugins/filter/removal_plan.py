# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell what goes with an instance and what stays."""

from __future__ import annotations

DOCUMENTATION = r"""
name: removal_plan
author: Alchemorsel contributors (@alchemorsel)
version_added: 0.1.0
short_description: What goes with an instance of the role ollama, and what stays
description:
  - Decides from what the engine lists. An instance's containers are those with its label, whether they run or not.
  - A network goes only if the role made it and no other container has it, not even one that is stopped.
  - A tag goes only if the image has another name, since the engine would remove the image with its last one.
positional: name
options:
  _input:
    description: C(containers) (all of them), C(images) and C(networks), as C(community.docker.docker_host_info) returns them with C(verbose_output).
    type: dict
    required: true
  name:
    description: Name of the instance.
    type: str
    required: true
  network:
    description: Name of its network.
    type: str
    required: true
  image:
    description: The image that is declared.
    type: str
    required: true
  store:
    description: Directory or volume of the models.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Look at the engine
  community.docker.docker_host_info:
    containers: true
    containers_all: true
    images: true
    networks: true
    verbose_output: true
  register: engine

- name: Print what stays
  ansible.builtin.debug:
    msg: "{{ (engine | alchemorsel.ollama.removal_plan('ollama', 'alchemorsel-network', 'ollama/ollama:0.32.15', '/var/lib/ollama')).stays }}"
"""

RETURN = r"""
_value:
  description:
    - C(containers) and C(tags), lists of names that go; C(network), whether the network goes.
    - C(store_users), names of other containers that use the store.
    - C(stays), a text for each thing of the engine that stays.
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.alchemorsel.ollama.plugins.module_utils._removal import plan


def removal_plan(listed: dict[str, Any], name: str, network: str, image: str, store: str) -> dict[str, Any]:
    """See DOCUMENTATION; raises AnsibleFilterError for what no engine lists."""
    if not isinstance(listed, dict):
        raise AnsibleFilterError(f"removal_plan wants what docker_host_info returns, found {type(listed).__name__}")
    return plan(listed, str(name), str(network), str(image), str(store))


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Names and functions."""
        return {"removal_plan": removal_plan}
