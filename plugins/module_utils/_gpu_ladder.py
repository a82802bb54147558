# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ladder from the PCI bus to a GPU in a container: a verdict, a reason and a remedy for each rung. No I/O."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _gpu_containers as containers
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _gpu_nvidia as nvidia
from ansible_collections.alchemorsel.ollama.plugins.module_utils._gpu import Observations, PciDevice
from ansible_collections.alchemorsel.ollama.plugins.module_utils._gpu_parse import (
    parse_cdi_devices,
    parse_driver_version,
    parse_gpus,
    parse_toolkit_version,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._gpu_rung import (
    FAILED,
    OK,
    RUNGS,
    Check,
    failed,
    skipped,
    waits,
)

DEFAULT_MIN_DRIVER = "550"
DEFAULT_MIN_TOOLKIT = "1.19.1"
# The bus on which processors have their own graphics
OWN_BUS = "00"
# Why the other rungs are not climbed
WHY_NOT = {
    "amd": "for NVIDIA only, this GPU is AMD's",
    "intel": "waits for the rung driver",
    "tegra": "waits for the rung pci",
}


def is_discrete(device: PciDevice) -> bool:
    """Return whether a GPU is a card of its own and not a part of the processor."""
    return device.address.split(":")[-2] != OWN_BUS


def tegra_of(seen: Observations) -> str:
    """Return the name of an NVIDIA board whose GPU is not on the PCI bus, empty for any other host."""
    is_tegra = any(name.startswith("nvidia,tegra") for name in seen.board)
    return seen.board[0] if is_tegra and not seen.of("nvidia") else ""


def vendor_of(seen: Observations) -> str:
    """Return the vendor whose rungs apply; a board's own display chip (ASPEED, Matrox) or a processor's of Intel is none."""
    if tegra_of(seen):
        return "tegra"
    present = {device.vendor for device in seen.devices if device.vendor != "intel" or is_discrete(device)}
    return next((vendor for vendor in ("nvidia", "amd", "intel") if vendor in present), "none")


def check_pci(seen: Observations, vendor: str) -> Check:
    if vendor == "tegra":
        return failed(
            "pci",
            f"this is an NVIDIA Tegra board (Jetson; {tegra_of(seen)}), whose GPU is not on the PCI bus",
            "such boards are not supported: use the CPU, or install Ollama with the means of NVIDIA's JetPack",
        )
    gpus = [device for device in seen.devices if device.vendor in ("nvidia", "amd", vendor)]
    if vendor != "none":
        found = ", ".join(f"{gpu.vendor} {gpu.device_id} at {gpu.address}" for gpu in gpus)
        return Check("pci", OK, f"found on the PCI bus: {found}")
    if not seen.has_pci:
        return failed(
            "pci",
            "there is no /sys/bus/pci/devices, so no GPU can be seen",
            "in a virtual machine or container, pass the GPU through",
        )
    others = ", ".join(f"{device.vendor_id}:{device.device_id}" for device in seen.devices) or "none"
    return failed(
        "pci",
        f"no GPU of NVIDIA or AMD and no graphics card of Intel on the PCI bus (other display controllers: {others})",
        "put in a GPU, enable it in the firmware, or pass it through to this virtual machine",
    )


def check_intel(seen: Observations) -> Check:
    names = ", ".join(f"{device.vendor_id}:{device.device_id}" for device in seen.of("intel") if is_discrete(device))
    return failed(
        "driver",
        f"Intel's graphics cards ({names}) are not given to containers by this collection",
        "use the CPU, or run a server of your own with Vulkan for that card",
    )


def check_amd_driver(seen: Observations) -> Check:
    free = [device.address for device in seen.of("amd") if device.driver != "amdgpu"]
    if len(free) == len(seen.of("amd")):
        return failed(
            "driver",
            f"the GPU at {', '.join(free)} is not bound to amdgpu",
            "load the kernel module amdgpu, with its firmware (firmware-amd-graphics)",
        )
    return Check("driver", OK, "amdgpu is loaded")


def check_amd_nodes(seen: Observations) -> Check:
    name = "device_nodes"
    if check_amd_driver(seen).status == FAILED:
        return waits(name, "driver")
    kfd = seen.node("/dev/kfd")
    if kfd is None:
        return failed(name, "amdgpu is loaded, but /dev/kfd does not exist", "use a kernel with CONFIG_HSA_AMD")
    render = [node for node in seen.nodes if node.address]
    bare = [
        device.address
        for device in seen.of("amd")
        if device.driver == "amdgpu" and device.address not in {node.address for node in render}
    ]
    if bare:
        return failed(
            name,
            f"the GPU at {', '.join(bare)} has no /dev/dri/renderD*",
            "look for 'amdgpu' in the kernel log; install the firmware (firmware-amd-graphics) and reboot",
        )
    for node in [kfd, *render]:
        # Read and write, for the group or for all
        if node.mode & 0o060 != 0o060 and node.mode & 0o006 != 0o006:
            return failed(
                name,
                f"{node.path} has the mode {node.mode:04o}, so that only root can use it",
                "give it to a group by a rule for udev, such as "
                'SUBSYSTEM=="kfd", GROUP="render", MODE="0660", and run \'udevadm trigger\'',
            )
    return Check(name, OK, ", ".join(node.path for node in [kfd, *render]) + " are there")


def ladder(seen: Observations, min_driver: str, min_toolkit: str) -> list[Check]:
    """Return all rungs in order; one that waits for a failed one, or is another vendor's, is `not_applicable`."""
    vendor = vendor_of(seen)
    found = [check_pci(seen, vendor)]
    if vendor == "amd":
        found += [check_amd_driver(seen), check_amd_nodes(seen)]
    elif vendor == "intel":
        found += [check_intel(seen)]
    elif vendor == "nvidia":
        found += [
            nvidia.check_driver(seen, min_driver),
            nvidia.check_library(seen),
            nvidia.check_device_nodes(seen),
            nvidia.check_fabric_manager(seen),
            nvidia.check_nvidia_smi(seen),
            nvidia.check_compute_capability(seen),
            containers.check_toolkit(seen, min_toolkit),
            containers.check_cdi(seen),
            containers.check_engine(seen),
        ]
    by_name = {check.name: check for check in found}
    why = WHY_NOT.get(vendor, "there is no GPU")
    return [by_name.get(name) or skipped(name, why) for name in RUNGS]


def judge(
    seen: Observations, min_driver: str = DEFAULT_MIN_DRIVER, min_toolkit: str = DEFAULT_MIN_TOOLKIT
) -> dict[str, Any]:
    """Return the verdict as plain data, as gpu_info returns it. `ready` is true if no rung failed."""
    checks = ladder(seen, min_driver, min_toolkit)
    first_no = next((check for check in checks if check.status == FAILED), None)
    engine = containers.engine_of(seen)
    return {
        "vendor": vendor_of(seen),
        "devices": [asdict(device) for device in seen.devices],
        "gpus": parse_gpus(seen.nvidia_smi.stdout),
        "nodes": [asdict(node) for node in seen.nodes],
        "driver_version": parse_driver_version(seen.proc_driver_version),
        "nouveau": nvidia.has_nouveau(seen),
        "toolkit_version": parse_toolkit_version(seen.ctk_version.stdout),
        "cdi_devices": parse_cdi_devices(seen.ctk_cdi_list.stdout),
        "engine": {"version": engine.version or None, "cdi": engine.cdi, "cgroup_driver": engine.cgroup_driver or None},
        "ready": first_no is None,
        "reason": first_no.reason if first_no else "",
        "remedy": first_no.remedy if first_no and first_no.remedy else "",
        "checks": [asdict(check) for check in checks],
    }
