#!/usr/bin/python
# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_info
short_description: Tell which GPUs a host has and whether containers can use them
version_added: 0.1.0
author: Alchemorsel contributors (@alchemorsel)
description:
  - Climbs a ladder from the PCI bus over the driver and the container toolkit to the Docker Engine, and says for each
    rung whether it holds, what was found, and what to do where it does not. C(docs/gpu.md) shows what it says of each kind of host.
  - A missing GPU is an answer and not a failure. The module fails only if O(root) is not a directory.
  - Reads files below C(/sys), C(/proc), C(/dev) and of CDI. Where a GPU of NVIDIA is on the PCI bus, it runs
    C(nvidia-smi --query-gpu), C(nvidia-ctk --version), C(nvidia-ctk cdi list) and C(docker info), and where NVSwitches are,
    C(nv-fabricmanager --version) and C(systemctl is-active), each with a time limit. It changes nothing.
options:
  root:
    description:
      - The directory below which files and commands are looked for.
      - Another one than V(/) serves hosts that are mounted into a container, and tests with recorded trees.
        The commands are then those below that directory too.
    type: path
    default: /
  timeout:
    description: Time limit for each command, in seconds.
    type: float
    default: 20.0
  min_driver_version:
    description: The oldest NVIDIA driver that is accepted.
    type: str
    default: "550"
  min_toolkit_version:
    description: The oldest NVIDIA container toolkit that is accepted.
    type: str
    default: 1.19.1
attributes:
  check_mode:
    description: Can run in C(check_mode) and return what it returns otherwise.
    support: full
  diff_mode:
    description: Returns details on what has changed in diff mode.
    support: N/A
    details: The module changes nothing.
  idempotent:
    description: A second run with the same options reports no change.
    support: full
seealso:
  - module: alchemorsel.ollama.ollama_health
"""

EXAMPLES = r"""
- name: Look for GPUs
  alchemorsel.ollama.gpu_info:
  register: gpu

- name: Stop where a GPU is there but cannot be used by containers
  ansible.builtin.assert:
    that: gpu.vendor == 'none' or gpu.ready
    fail_msg: "{{ gpu.reason }}; {{ gpu.remedy }}"

- name: Judge a host whose root file system is mounted below /host
  alchemorsel.ollama.gpu_info:
    root: /host
"""

RETURN = r"""
vendor:
  description:
    - Whose GPUs these are; the first of V(nvidia), V(amd) and V(intel) where there are several.
    - V(intel) stands for graphics cards, which nothing here gives to containers. A board's own display chip and Intel's graphics
      in a processor count as V(none).
    - V(tegra) is an NVIDIA board whose GPU is not on the PCI bus (Jetson), which is not supported.
  returned: success
  type: str
  choices: [nvidia, amd, intel, tegra, none]
  sample: nvidia
devices:
  description: Display controllers and accelerators on the PCI bus, of any vendor.
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: PCI address.
      type: str
      sample: "0000:01:00.0"
    vendor:
      description: Vendor.
      type: str
      choices: [nvidia, amd, intel, other]
    vendor_id:
      description: PCI vendor id.
      type: str
      sample: "0x10de"
    device_id:
      description: PCI device id.
      type: str
      sample: "0x2330"
    pci_class:
      description: PCI class.
      type: str
      sample: "0x030200"
    driver:
      description: Name of the kernel driver that holds the device, or V(null).
      type: str
      sample: nvidia
gpus:
  description: The GPUs that C(nvidia-smi) lists.
  returned: success
  type: list
  elements: dict
  contains:
    index:
      description: Number of the GPU.
      type: int
      sample: 0
    uuid:
      description: UUID, which stays when GPUs are added.
      type: str
      sample: GPU-6a1f3c1e-5f0b-4a3e-9d55-0f6f5a9c0001
    name:
      description: Name of the product.
      type: str
      sample: NVIDIA H100 80GB HBM3
    memory_mib:
      description: Memory in MiB, V(null) where it is not told.
      type: int
      sample: 81559
    compute_capability:
      description: Compute capability, V(null) where it is not told.
      type: str
      sample: "9.0"
    mig:
      description: Whether it is divided into MIG devices.
      type: bool
nodes:
  description: The device nodes with which programs compute, as far as they exist.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Path of the node.
      type: str
      sample: /dev/dri/renderD128
    gid:
      description: Number of its group.
      type: int
      sample: 993
    mode:
      description: Its permissions, as a number.
      type: int
      sample: 432
    address:
      description: PCI address of the GPU that it belongs to, V(null) where it belongs to all.
      type: str
      sample: "0000:c1:00.0"
driver_version:
  description: Version of NVIDIA's loaded kernel module, or V(null).
  returned: success
  type: str
  sample: 570.124.06
nouveau:
  description: Whether the nouveau driver is loaded or holds a device.
  returned: success
  type: bool
toolkit_version:
  description: Version of the NVIDIA container toolkit, or V(null).
  returned: success
  type: str
  sample: 1.20.1
cdi_devices:
  description: Names of the CDI devices that a container can ask for.
  returned: success
  type: list
  elements: str
  sample: [nvidia.com/gpu=0, nvidia.com/gpu=all]
engine:
  description: What the Docker Engine says of itself. It is asked only where a GPU of NVIDIA is on the PCI bus.
  returned: success
  type: dict
  contains:
    version:
      description: Version, or V(null) where none answers.
      type: str
      sample: 29.3.1
    cdi:
      description: Whether it gives CDI devices to containers.
      type: bool
    cgroup_driver:
      description: Its cgroup driver.
      type: str
      sample: systemd
ready:
  description: Whether no rung failed.
  returned: success
  type: bool
reason:
  description: Why the first failed rung failed; empty if none did.
  returned: success
  type: str
  sample: nvidia-ctk is not installed
remedy:
  description: What cures the first failed rung; empty if none failed.
  returned: success
  type: str
checks:
  description: The rungs in order.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The rung.
      type: str
      choices:
        - pci
        - driver
        - library
        - device_nodes
        - fabric_manager
        - nvidia_smi
        - compute_capability
        - toolkit
        - cdi
        - engine
    status:
      description: V(not_applicable) where a rung waits for a failed one or belongs to another vendor's GPUs.
      type: str
      choices: [ok, failed, not_applicable]
    reason:
      description: What was found.
      type: str
    remedy:
      description: What to do about it; V(null) unless the rung failed.
      type: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _gpu, _gpu_ladder
from ansible_collections.alchemorsel.ollama.plugins.module_utils._versions import version_numbers


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "default": "/"},
            "timeout": {"type": "float", "default": 20.0},
            "min_driver_version": {"type": "str", "default": _gpu_ladder.DEFAULT_MIN_DRIVER},
            "min_toolkit_version": {"type": "str", "default": _gpu_ladder.DEFAULT_MIN_TOOLKIT},
        },
        supports_check_mode=True,
    )
    root = Path(module.params["root"])
    if not root.is_dir():
        module.fail_json(
            msg=f"root: {root} is not a directory; give the directory that holds the host's sys, proc and usr."
        )
    if module.params["timeout"] <= 0:
        module.fail_json(msg=f"timeout: {module.params['timeout']:g} is not above 0; give a number of seconds.")
    for option in ("min_driver_version", "min_toolkit_version"):
        if not version_numbers(module.params[option]):
            module.fail_json(msg=f"{option}: '{module.params[option]}' is not a version; give one like 1.19.1.")
    seen = _gpu.observe(root, module.params["timeout"])
    verdict = _gpu_ladder.judge(seen, module.params["min_driver_version"], module.params["min_toolkit_version"])
    module.exit_json(changed=False, **verdict)


if __name__ == "__main__":
    main()
