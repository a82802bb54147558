# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ladder from the PCI bus to a GPU in a container: a verdict, a reason and a remedy for each rung. No I/O."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils._gpu import (
    Observations,
    PciDevice,
    parse_cdi_devices,
    parse_driver_version,
    parse_gpus,
    parse_toolkit_version,
    version_key,
)

OK = "ok"
FAILED = "failed"
NOT_APPLICABLE = "not_applicable"

DEFAULT_MIN_DRIVER = "550"
DEFAULT_MIN_TOOLKIT = "1.19.1"


@dataclass(frozen=True)
class Check:
    """One rung of the ladder; `reason` always says what was found, `remedy` is None unless the rung failed."""

    name: str
    status: str
    reason: str
    remedy: str | None = None


def vendor_of(devices: tuple[PciDevice, ...]) -> str:
    """Return the vendor whose rungs apply; a board's own display chip (ASPEED, Matrox) or Intel's counts as none."""
    present = {device.vendor for device in devices}
    return next((vendor for vendor in ("nvidia", "amd") if vendor in present), "none")


def check_pci(seen: Observations) -> Check:
    gpus = [device for device in seen.devices if device.vendor in ("nvidia", "amd")]
    if gpus:
        found = ", ".join(f"{gpu.vendor} {gpu.device_id} at {gpu.address}" for gpu in gpus)
        return Check("pci", OK, f"found on the PCI bus: {found}")
    if not seen.has_pci:
        return Check(
            "pci",
            FAILED,
            "there is no /sys/bus/pci/devices, so no GPU can be seen",
            "in a virtual machine or container, pass the GPU through; a board without PCI (Jetson) is not supported",
        )
    others = ", ".join(f"{device.vendor_id}:{device.device_id}" for device in seen.devices) or "none"
    return Check(
        "pci",
        FAILED,
        f"no NVIDIA or AMD display controller on the PCI bus (other display controllers: {others})",
        "put in a GPU, enable it in the firmware, or pass it through to this virtual machine",
    )


def check_nvidia_driver(seen: Observations, min_driver: str) -> Check:
    version = parse_driver_version(seen.proc_driver_version)
    if version is None:
        by_nouveau = seen.nouveau_loaded or any(device.driver == "nouveau" for device in seen.devices)
        if by_nouveau:
            return Check(
                "driver",
                FAILED,
                "the GPU is held by nouveau, which cannot compute; NVIDIA's kernel module is not loaded",
                f"install NVIDIA's driver, version {min_driver} or newer, blacklist nouveau and reboot",
            )
        return Check(
            "driver",
            FAILED,
            "NVIDIA's kernel module is not loaded (/proc/driver/nvidia/version does not exist)",
            f"install NVIDIA's driver, version {min_driver} or newer, and run 'modprobe nvidia' or reboot",
        )
    if version_key(version) < version_key(min_driver):
        return Check(
            "driver",
            FAILED,
            f"driver {version} is older than {min_driver}",
            f"upgrade NVIDIA's driver to {min_driver} or newer and reboot",
        )
    return Check("driver", OK, f"driver {version} is loaded")


def check_nvidia_smi(seen: Observations) -> Check:
    answer = seen.nvidia_smi
    text = (answer.stdout + "\n" + answer.stderr).strip()
    if not answer.found:
        return Check(
            "nvidia_smi",
            FAILED,
            "nvidia-smi is not installed",
            "install the user space part of the driver, in the version of the kernel module",
        )
    if "Driver/library version mismatch" in text:
        return Check(
            "nvidia_smi",
            FAILED,
            "the loaded kernel module and the installed library differ in version, as after a driver upgrade",
            "reboot the host",
        )
    if answer.rc is None:
        return Check("nvidia_smi", FAILED, f"nvidia-smi {answer.error}", "look for 'Xid' in the kernel log; reboot")
    gpus = parse_gpus(answer.stdout)
    if answer.rc != 0 or not gpus:
        said = text.splitlines()[0] if text else "nothing"
        return Check(
            "nvidia_smi",
            FAILED,
            f"nvidia-smi ended with rc {answer.rc} and said: {said}",
            "look for 'NVRM' in the kernel log; reinstall the driver or reboot",
        )
    return Check("nvidia_smi", OK, "nvidia-smi lists " + ", ".join(gpu["name"] for gpu in gpus))


def check_toolkit(seen: Observations, min_toolkit: str) -> Check:
    install = f"install nvidia-container-toolkit-base {min_toolkit} or newer (role nvidia_container_toolkit)"
    answer = seen.ctk_version
    if not answer.found:
        return Check("toolkit", FAILED, "nvidia-ctk is not installed", install)
    version = parse_toolkit_version(answer.stdout)
    if version is None:
        said = answer.error or (answer.stdout + answer.stderr).strip() or "nothing"
        return Check("toolkit", FAILED, f"nvidia-ctk --version does not tell its version: {said}", install)
    if version_key(version) < version_key(min_toolkit):
        return Check(
            "toolkit",
            FAILED,
            f"nvidia-container-toolkit {version} is older than {min_toolkit} (CVE-2026-24260)",
            install,
        )
    return Check("toolkit", OK, f"nvidia-container-toolkit {version}")


def check_cdi(seen: Observations) -> Check:
    devices = parse_cdi_devices(seen.ctk_cdi_list.stdout)
    if devices:
        return Check("cdi", OK, f"{len(devices)} CDI devices: {', '.join(devices)}")
    # The first warning is a heading ("The following registry errors were reported:"), each further one names a file.
    warnings = re.findall(r'level=warning msg="?(.+?)"?$', seen.ctk_cdi_list.stderr, re.MULTILINE)[1:]
    reason = "nvidia-ctk cdi list finds no device"
    return Check(
        "cdi",
        FAILED,
        f"{reason}: {warnings[0]}" if warnings else reason,
        "run 'systemctl restart nvidia-cdi-refresh.service' and read its journal",
    )


def check_amd_driver(seen: Observations) -> Check:
    bound = any(device.vendor == "amd" and device.driver == "amdgpu" for device in seen.devices)
    if not bound:
        return Check("driver", FAILED, "the GPU is not bound to amdgpu", "load the kernel module amdgpu")
    if not seen.kfd:
        return Check(
            "driver", FAILED, "amdgpu is loaded, but /dev/kfd does not exist", "use a kernel with CONFIG_HSA_AMD"
        )
    return Check("driver", OK, "amdgpu is loaded and /dev/kfd is there")


def ladder(seen: Observations, min_driver: str, min_toolkit: str) -> list[Check]:
    """Return all rungs in order; one that waits for a failed one, or is another vendor's, is `not_applicable`."""
    vendor = vendor_of(seen.devices)
    pci = check_pci(seen)
    names = ("driver", "nvidia_smi", "toolkit", "cdi")
    if vendor == "none":
        return [pci, *(Check(name, NOT_APPLICABLE, "there is no GPU") for name in names)]
    if vendor == "amd":
        rest = (Check(name, NOT_APPLICABLE, "for NVIDIA only, this GPU is AMD's") for name in names[1:])
        return [pci, check_amd_driver(seen), *rest]
    driver = check_nvidia_driver(seen, min_driver)
    smi, cdi = check_nvidia_smi(seen), check_cdi(seen)
    toolkit = check_toolkit(seen, min_toolkit)
    if parse_driver_version(seen.proc_driver_version) is None:
        smi = Check("nvidia_smi", NOT_APPLICABLE, "waits for the rung driver")
    if not seen.ctk_version.found:
        cdi = Check("cdi", NOT_APPLICABLE, "waits for the rung toolkit")
    return [pci, driver, smi, toolkit, cdi]


def judge(
    seen: Observations, min_driver: str = DEFAULT_MIN_DRIVER, min_toolkit: str = DEFAULT_MIN_TOOLKIT
) -> dict[str, Any]:
    """Return the verdict as plain data, as gpu_info returns it. `ready` is true if no rung failed."""
    checks = ladder(seen, min_driver, min_toolkit)
    first_no = next((check for check in checks if check.status == FAILED), None)
    return {
        "vendor": vendor_of(seen.devices),
        "devices": [asdict(device) for device in seen.devices],
        "gpus": parse_gpus(seen.nvidia_smi.stdout),
        "driver_version": parse_driver_version(seen.proc_driver_version),
        "nouveau": seen.nouveau_loaded or any(device.driver == "nouveau" for device in seen.devices),
        "toolkit_version": parse_toolkit_version(seen.ctk_version.stdout),
        "cdi_devices": parse_cdi_devices(seen.ctk_cdi_list.stdout),
        "ready": first_no is None,
        "reason": first_no.reason if first_no else "",
        "remedy": first_no.remedy if first_no and first_no.remedy else "",
        "checks": [asdict(check) for check in checks],
    }
