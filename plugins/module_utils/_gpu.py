# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's kernel and tools say about its GPUs: files below a root directory and three commands.

What that means is decided in `_gpu_ladder.py`.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VENDORS = {"0x10de": "nvidia", "0x1002": "amd", "0x8086": "intel"}
# PCI base classes: 0x03 display controller, 0x12 processing accelerator (AMD Instinct).
GPU_CLASSES = ("0x03", "0x12")
# Directories below the root in which tools are looked for, in this order.
TOOL_DIRECTORIES = ("usr/bin", "usr/local/bin", "usr/sbin", "bin")
GPU_FIELDS = "index,uuid,name,memory.total,driver_version"


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
    """Everything that the verdict is made of."""

    has_pci: bool = True
    devices: tuple[PciDevice, ...] = ()
    proc_driver_version: str | None = None
    nouveau_loaded: bool = False
    kfd: bool = False
    nvidia_smi: ToolOutput = field(default_factory=ToolOutput)
    ctk_version: ToolOutput = field(default_factory=ToolOutput)
    ctk_cdi_list: ToolOutput = field(default_factory=ToolOutput)


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
