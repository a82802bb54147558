# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's kernel and tools say about its GPUs, and a verdict for each step on the way to a container.

`observe` reads (files below a root directory, three commands); `judge` decides and does no I/O.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

OK = "ok"
FAILED = "failed"
NOT_APPLICABLE = "not_applicable"

VENDORS = {"0x10de": "nvidia", "0x1002": "amd", "0x8086": "intel"}
# PCI base classes: 0x03 display controller, 0x12 processing accelerator (AMD Instinct).
GPU_CLASSES = ("0x03", "0x12")
# Directories below the root in which tools are looked for, in this order.
TOOL_DIRECTORIES = ("usr/bin", "usr/local/bin", "usr/sbin", "bin")
GPU_FIELDS = "index,uuid,name,memory.total,driver_version"

DEFAULT_MIN_DRIVER = "550"
DEFAULT_MIN_TOOLKIT = "1.19.1"


@dataclass(frozen=True)
class PciDevice:
    """A display controller or accelerator on the PCI bus; ids as the kernel writes them (`0x10de`)."""

    address: str
    vendor: str
    vendor_id: str
    device_id: str
    pci_class: str
    driver: str | None


@dataclass(frozen=True)
class ToolOutput:
    """What a command answered. `rc` is None where it is not installed or did not end in time (`error` says which)."""

    rc: int | None = None
    stdout: str = ""
    stderr: str = ""
    error: str = "not installed"

    @property
    def found(self) -> bool:
        return self.rc is not None or self.error != "not installed"


@dataclass(frozen=True)
class Observations:
    """Everything `judge` looks at."""

    has_pci: bool = True
    devices: tuple[PciDevice, ...] = ()
    proc_driver_version: str | None = None
    nouveau_loaded: bool = False
    kfd: bool = False
    nvidia_smi: ToolOutput = field(default_factory=ToolOutput)
    ctk_version: ToolOutput = field(default_factory=ToolOutput)
    ctk_cdi_list: ToolOutput = field(default_factory=ToolOutput)


@dataclass(frozen=True)
class Check:
    """One rung of the ladder; `reason` always says what was found, `remedy` is None unless the rung failed."""

    name: str
    status: str
    reason: str
    remedy: str | None = None


# --- reading ---------------------------------------------------------------------------------------------------------


def read_text(path: Path) -> str | None:
    """Return a small text file's content without surrounding blanks; None if it is not there or cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def read_pci_devices(root: Path) -> tuple[PciDevice, ...]:
    """Return the GPUs that /sys/bus/pci/devices lists, in the order of their addresses."""
    bus = root / "sys/bus/pci/devices"
    if not bus.is_dir():
        return ()
    devices = []
    for entry in sorted(bus.iterdir(), key=lambda path: path.name):
        pci_class = read_text(entry / "class") or ""
        vendor_id = (read_text(entry / "vendor") or "").lower()
        if not pci_class.startswith(GPU_CLASSES):
            continue
        # `uevent` names the bound driver as text; the `driver` entry would be a link.
        bound = re.search(r"^DRIVER=(\S+)$", read_text(entry / "uevent") or "", re.MULTILINE)
        devices.append(
            PciDevice(
                address=entry.name,
                vendor=VENDORS.get(vendor_id, "other"),
                vendor_id=vendor_id,
                device_id=(read_text(entry / "device") or "").lower(),
                pci_class=pci_class,
                driver=bound.group(1) if bound else None,
            )
        )
    return tuple(devices)


def run_tool(root: Path, argv: list[str], timeout: float) -> ToolOutput:
    """Run a read-only command found below `root`, for at most `timeout` seconds.

    A command that hangs in the kernel (a GPU that fell off the bus) is killed and not waited for.
    """
    for directory in TOOL_DIRECTORIES:
        path = root / directory / argv[0]
        if path.is_file() and os.access(path, os.X_OK):
            break
    else:
        return ToolOutput()
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        process = subprocess.Popen(
            [str(path), *argv[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as exc:
        return ToolOutput(error=f"cannot be started: {exc.strerror}")
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=1)
        return ToolOutput(error=f"did not answer within {timeout:g} s")
    return ToolOutput(rc=process.returncode, stdout=stdout, stderr=stderr, error="")


def observe(root: Path, timeout: float) -> Observations:
    """Read the host below `root` ("/" for the host itself); each command gets `timeout` seconds."""
    devices = read_pci_devices(root)
    ctk_version = run_tool(root, ["nvidia-ctk", "--version"], timeout)
    return Observations(
        has_pci=(root / "sys/bus/pci/devices").is_dir(),
        devices=devices,
        proc_driver_version=read_text(root / "proc/driver/nvidia/version"),
        nouveau_loaded=(root / "sys/module/nouveau").is_dir(),
        kfd=(root / "dev/kfd").exists(),
        nvidia_smi=run_tool(
            root, ["nvidia-smi", f"--query-gpu={GPU_FIELDS}", "--format=csv,noheader,nounits"], timeout
        ),
        ctk_version=ctk_version,
        ctk_cdi_list=run_tool(root, ["nvidia-ctk", "cdi", "list"], timeout) if ctk_version.found else ToolOutput(),
    )


# --- parsing ---------------------------------------------------------------------------------------------------------


def parse_driver_version(text: str | None) -> str | None:
    """Return the version in /proc/driver/nvidia/version, whose wording differs for the open kernel module."""
    match = re.search(r"Kernel Module(?:\s+for\s+\S+)?\s+(\d+(?:\.\d+)+)", text or "")
    return match.group(1) if match else None


def parse_toolkit_version(text: str) -> str | None:
    """Return the version in the output of `nvidia-ctk --version`."""
    match = re.search(r"version\s+v?(\d+(?:\.\d+)+)", text)
    return match.group(1) if match else None


def parse_cdi_devices(text: str) -> list[str]:
    """Return the device names in the output of `nvidia-ctk cdi list`, whose exit status is 0 also for a broken spec."""
    return re.findall(r"^(\S+/\S+=\S+)$", text, re.MULTILINE)


def parse_gpus(text: str) -> list[dict[str, Any]]:
    """Return index, uuid, name, memory (MiB) and driver version per line of `nvidia-smi --query-gpu` in CSV."""
    gpus = []
    for line in text.splitlines():
        values = [value.strip() for value in line.split(",")]
        if len(values) == 5 and values[0].isdigit():
            memory = int(values[3]) if values[3].isdigit() else None
            gpus.append({"index": int(values[0]), "uuid": values[1], "name": values[2], "memory_mib": memory})
    return gpus


def version_key(text: str) -> tuple[int, ...]:
    """Return the leading numbers of a version, so that 550.54.15 >= 550 and 1.20.0 >= 1.19.1; () if there are none."""
    match = re.match(r"\d+(?:\.\d+)*", text.strip())
    return tuple(int(part) for part in match.group(0).split(".")) if match else ()


# --- deciding --------------------------------------------------------------------------------------------------------


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
