# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what a container gets of a host's GPUs."""

from __future__ import annotations

DOCUMENTATION = r"""
name: gpu_request
author: Alchemorsel contributors (@alchemorsel)
version_added: 0.1.0
short_description: Say which GPUs of a host a container gets, and how, or why not
description:
  - Takes what M(alchemorsel.ollama.gpu_info) found on a host, and returns what the Docker Engine is to be asked for.
  - GPUs of NVIDIA are given as CDI devices, by number unless they are named. GPUs of AMD are given as device nodes with the
    numbers of their groups.
  - Never ends with the CPU where a GPU is on the PCI bus or was in the container, unless O(mode=disabled). What stands against it is
    returned as complaints, with the names of the role's variables.
  - The role P(alchemorsel.ollama.ollama#role) carries the result out.
positional: mode, devices
options:
  _input:
    description: What M(alchemorsel.ollama.gpu_info) returned. An empty mapping counts as a host without a GPU.
    type: dict
    required: true
  mode:
    description: What is wanted.
    type: str
    choices: [auto, required, disabled]
    default: auto
  devices:
    description:
      - The GPUs to use, empty for all. Of NVIDIA, a number, a number of a GPU and of its MIG device (V(0:1)), a UUID, or a CDI name. Of AMD, a
        PCI address or the name of the device node (V(renderD128)).
    type: list
    elements: str
    default: []
  image:
    description: Reference of the image, whose tag says whether it computes on AMD's GPUs. Without a tag nothing is told from it.
    type: str
    default: ""
  container:
    description: The container that is there, as C(docker inspect) shows it. A GPU that it has is not taken from it by itself.
    type: dict
    default: {}
  check_mode:
    description: Whether this is a preview, in which the toolkit and the engine may still be missing.
    type: bool
    default: false
  cdi_declared:
    description: Whether CDI is declared for the engine, which a preview does not see.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Look for GPUs
  alchemorsel.ollama.gpu_info:
  register: gpu

- name: Say what a container would get
  ansible.builtin.debug:
    msg: "{{ gpu | alchemorsel.ollama.gpu_request('auto', ['0']) }}"
  # device_requests: [{driver: cdi, count: 0, device_ids: [nvidia.com/gpu=0]}]
"""

RETURN = r"""
_value:
  description:
    - C(device_requests), C(devices) and C(groups), as M(community.docker.docker_container) takes them.
    - C(count), integer, the number of GPUs that the container gets.
    - C(complaints), list of text, what keeps the container from the GPUs. Then it gets none.
  type: dict
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.alchemorsel.ollama.plugins.module_utils._gpu_request import Wish, decide


def gpu_request(
    info: Any,
    mode: str = "auto",
    devices: Any = (),
    image: str = "",
    container: Any = None,
    check_mode: bool = False,
    cdi_declared: bool = False,
) -> dict[str, Any]:
    """See DOCUMENTATION; raises AnsibleFilterError when an argument has the wrong type."""
    for name, value in (("what gpu_info returned", info), ("container", container or {})):
        if not isinstance(value, Mapping):
            raise AnsibleFilterError(f"gpu_request: {name} is to be a mapping, found {type(value).__name__}")
    if isinstance(devices, str) or not isinstance(devices, Sequence):
        raise AnsibleFilterError(f"gpu_request: devices is to be a list, found {type(devices).__name__}")
    wish = Wish(mode, tuple(str(name) for name in devices), image, bool(check_mode), bool(cdi_declared))
    return asdict(decide(info, wish, container or {}))


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Names and functions."""
        return {"gpu_request": gpu_request}
