# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rungs to NVIDIA's GPUs on the host itself: from the driver to what each GPU wants of it. No I/O."""

from __future__ import annotations

from ansible_collections.alchemorsel.ollama.plugins.module_utils._gpu import Observations
from ansible_collections.alchemorsel.ollama.plugins.module_utils._gpu_parse import (
    library_version,
    parse_driver_version,
    parse_fabric_version,
    parse_gpus,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._gpu_rung import (
    FAILED,
    OK,
    Check,
    failed,
    skipped,
    waits,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._versions import version_numbers

# Ollama computes on GPUs from this capability on, and wants a newer driver for the oldest of them.
MIN_CAPABILITY = "5.0"
DRIVER_BY_CAPABILITY = (("5.0", "6.2", "570"),)
# What else holds a GPU than its driver, and what to do then
HOLDERS = {
    "nouveau": (
        "the GPU is held by nouveau, which cannot compute; NVIDIA's kernel module is not loaded",
        "install NVIDIA's driver, version {floor} or newer, blacklist nouveau and reboot",
    ),
    "vfio-pci": (
        "the GPU is held by vfio-pci, which keeps it for a virtual machine; NVIDIA's kernel module is not loaded",
        "give the GPU back to the host and load NVIDIA's driver, version {floor} or newer; in the virtual machine, run this there",
    ),
}


def has_nouveau(seen: Observations) -> bool:
    return seen.nouveau_loaded or any(device.driver == "nouveau" for device in seen.devices)


def check_driver(seen: Observations, floor: str) -> Check:
    version = parse_driver_version(seen.proc_driver_version)
    if version is None:
        drivers = {device.driver for device in seen.of("nvidia")} | ({"nouveau"} if seen.nouveau_loaded else set())
        for holder, (reason, remedy) in HOLDERS.items():
            if holder in drivers:
                return failed("driver", reason, remedy.format(floor=floor))
        return failed(
            "driver",
            "NVIDIA's kernel module is not loaded (/proc/driver/nvidia/version does not exist)",
            f"install NVIDIA's driver, version {floor} or newer, and run 'modprobe nvidia' or reboot",
        )
    if version_numbers(version) < version_numbers(floor):
        return failed(
            "driver",
            f"driver {version} is older than {floor}",
            f"upgrade NVIDIA's driver to {floor} or newer and reboot",
        )
    return Check("driver", OK, f"driver {version} is loaded")


def check_library(seen: Observations) -> Check:
    """The library that programs and containers load must be of the loaded module's version, to the last digit."""
    loaded = parse_driver_version(seen.proc_driver_version)
    if loaded is None:
        return waits("library", "driver")
    versions = sorted({version for name in seen.libraries for version in [library_version(name)] if version})
    if not versions:
        return skipped("library", "no libnvidia-ml.so.1 was found in the system's directories; nvidia-smi tells")
    if loaded not in versions:
        return failed(
            "library",
            f"the loaded kernel module is {loaded} and the installed library {' and '.join(versions)}, as after a driver upgrade",
            "reboot the host, so that the module of the library's version is loaded",
        )
    return Check("library", OK, f"the library is of the module's version, {loaded}")


def check_device_nodes(seen: Observations) -> Check:
    if parse_driver_version(seen.proc_driver_version) is None:
        return waits("device_nodes", "driver")
    missing = [path for path in ("/dev/nvidiactl", "/dev/nvidia-uvm") if seen.node(path) is None]
    if missing:
        return failed(
            "device_nodes",
            f"{' and '.join(missing)} {'does' if len(missing) == 1 else 'do'} not exist, without which nothing computes on the GPU",
            "run 'nvidia-modprobe -u -c 0' as root, and name nvidia-uvm in /etc/modules-load.d/nvidia.conf for the next boot",
        )
    return Check("device_nodes", OK, "/dev/nvidiactl and /dev/nvidia-uvm are there")


def check_fabric_manager(seen: Observations) -> Check:
    """GPUs that are joined by NVSwitches do not compute before the fabric manager has set these up: CUDA's error 802."""
    name = "fabric_manager"
    driver = parse_driver_version(seen.proc_driver_version)
    if not seen.switches:
        return skipped(name, "the GPUs are not joined by NVSwitches")
    if driver is None:
        return waits(name, "driver")
    joined = f"the GPUs are joined by NVSwitches ({seen.switches} on the PCI bus)"
    install = f"install nvidia-fabricmanager in the driver's version {driver} and run 'systemctl enable --now nvidia-fabricmanager'"
    if not seen.fabric_version.found:
        return failed(name, f"{joined}, and nvidia-fabricmanager is not installed (CUDA error 802)", install)
    version = parse_fabric_version(seen.fabric_version.stdout + seen.fabric_version.stderr)
    if version is not None and version != driver:
        return failed(name, f"nvidia-fabricmanager is {version} and the driver {driver}; they must be equal", install)
    state = seen.fabric_state.stdout.strip() or seen.fabric_state.first_line
    if state != "active":
        return failed(
            name,
            f"{joined}, and nvidia-fabricmanager.service is {state} (CUDA error 802)",
            "run 'systemctl enable --now nvidia-fabricmanager' and read its journal",
        )
    return Check(name, OK, f"nvidia-fabricmanager {version or 'of unknown version'} is active")


def check_nvidia_smi(seen: Observations) -> Check:
    name = "nvidia_smi"
    if parse_driver_version(seen.proc_driver_version) is None:
        return waits(name, "driver")
    if check_library(seen).status == FAILED:
        return waits(name, "library")
    answer = seen.nvidia_smi
    if not answer.found:
        return failed(
            name,
            "nvidia-smi is not installed",
            "install the user space part of the driver, in the version of the kernel module",
        )
    if "Driver/library version mismatch" in answer.stdout + answer.stderr:
        return failed(
            name,
            "the loaded kernel module and the installed library differ in version, as after a driver upgrade",
            "reboot the host",
        )
    if answer.rc is None:
        return failed(name, f"nvidia-smi {answer.error}", "look for 'Xid' in the kernel log; reboot")
    gpus = parse_gpus(answer.stdout)
    if answer.rc != 0 or not gpus:
        return failed(
            name,
            f"nvidia-smi ended with rc {answer.rc} and said: {answer.first_line}",
            "look for 'NVRM' in the kernel log; reinstall the driver or reboot",
        )
    held = [device.address for device in seen.of("nvidia") if device.driver == "nvidia"]
    if len(gpus) < len(held):
        return failed(
            name,
            f"nvidia-smi lists {len(gpus)} of the {len(held)} GPUs that the driver holds ({', '.join(held)})",
            "look for 'Xid' and 'NVRM' in the kernel log: a GPU failed or fell off the bus; power the host off and on",
        )
    return Check(name, OK, "nvidia-smi lists " + ", ".join(gpu["name"] for gpu in gpus))


def check_compute_capability(seen: Observations) -> Check:
    """Older GPUs want a newer driver, and the oldest ones Ollama leaves to the CPU without a word."""
    name = "compute_capability"
    if check_nvidia_smi(seen).status != OK:
        return waits(name, "nvidia_smi")
    driver = parse_driver_version(seen.proc_driver_version) or ""
    known = []
    for gpu in parse_gpus(seen.nvidia_smi.stdout):
        capability = gpu["compute_capability"]
        if capability is None:
            continue
        title = f"GPU {gpu['index']} ({gpu['name']}) has compute capability {capability}"
        if version_numbers(capability) < version_numbers(MIN_CAPABILITY):
            return failed(
                name, f"{title}, and Ollama computes on {MIN_CAPABILITY} and newer", "take the GPU out, or use the CPU"
            )
        for lowest, highest, floor in DRIVER_BY_CAPABILITY:
            in_range = version_numbers(lowest) <= version_numbers(capability) <= version_numbers(highest)
            if in_range and version_numbers(driver) < version_numbers(floor):
                return failed(
                    name,
                    f"{title}, for which Ollama wants driver {floor} or newer, and driver {driver} is loaded",
                    f"upgrade NVIDIA's driver to {floor} or newer and reboot",
                )
        known.append(capability)
    if not known:
        return skipped(name, "nvidia-smi does not tell")
    return Check(name, OK, f"compute capability {', '.join(dict.fromkeys(known))}")
