# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's kernel and tools say about its GPUs: files below a root directory and a few commands.

What their texts say is read in `_gpu_parse.py`, what that means is decided in `_gpu_ladder.py`.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VENDORS = {"0x10de": "nvidia", "0x1002": "amd", "0x8086": "intel"}
# PCI base classes: 0x03 display controller, 0x12 processing accelerator (AMD Instinct).
GPU_CLASSES = ("0x03", "0x12")
# "Other bridge": of NVIDIA, that is an NVSwitch.
SWITCH_CLASS = "0x0680"
# From the B200 on the switches do not show; network functions beside them do, by this word in their product data.
SWITCH_MANAGEMENT = b"SW_MNG"
NETWORK_VENDOR = "0x15b3"
# Where a driver is that no package of the distribution brought, as on systems that mount it as one file system.
OWN_DIRECTORY = "usr/local/nvidia"
# Directories below the root in which tools are looked for, in this order.
TOOL_DIRECTORIES = ("usr/bin", "usr/local/bin", "usr/sbin", "bin", f"{OWN_DIRECTORY}/bin")
# Where distributions put the library that nvidia-smi and containers load; Debian has it as an alternative of its own directory.
# The name is a pattern, for which a link counts whose absolute target is not below another root.
LIBRARIES = tuple(
    f"{directory}/libnvidia-ml.so.[1]" for directory in ("usr/lib/*", "usr/lib64", "usr/lib", f"{OWN_DIRECTORY}/lib64")
)
# A description below /run wins over one of the same name below /etc.
CDI_DIRECTORIES = ("run/cdi", "etc/cdi")
GPU_FIELDS = "index,uuid,name,memory.total,driver_version,compute_cap,mig.mode.current"


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
class Node:
    """A device node with its permissions; `address` is the PCI address of the GPU that it belongs to."""

    path: str
    gid: int
    mode: int
    address: str | None = None


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

    @property
    def first_line(self) -> str:
        """What it said first, for a message."""
        said = (self.stdout + "\n" + self.stderr).strip()
        return self.error or (said.splitlines()[0] if said else "nothing")


@dataclass(frozen=True)
class Observations:
    """Everything that the verdict is made of."""

    has_pci: bool = True
    devices: tuple[PciDevice, ...] = ()
    #: number of NVSwitches, or of the functions that manage them
    switches: int = 0
    #: what the board's device tree calls itself, most special name first
    board: tuple[str, ...] = ()
    proc_driver_version: str | None = None
    nouveau_loaded: bool = False
    #: names of the files that the user space's library really is, one for each architecture
    libraries: tuple[str, ...] = ()
    nodes: tuple[Node, ...] = ()
    cdi_specs: tuple[str, ...] = ()
    fabric_version: ToolOutput = field(default_factory=ToolOutput)
    fabric_state: ToolOutput = field(default_factory=ToolOutput)
    nvidia_smi: ToolOutput = field(default_factory=ToolOutput)
    ctk_version: ToolOutput = field(default_factory=ToolOutput)
    ctk_cdi_list: ToolOutput = field(default_factory=ToolOutput)
    engine: ToolOutput = field(default_factory=ToolOutput)

    def of(self, vendor: str) -> list[PciDevice]:
        return [device for device in self.devices if device.vendor == vendor]

    def node(self, path: str) -> Node | None:
        return next((node for node in self.nodes if node.path == path), None)


# --- files -----------------------------------------------------------------------------------------------------------


def read_text(path: Path) -> str | None:
    """Return a small text file's content without surrounding blanks; None if it is not there or cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _pci_entries(root: Path) -> list[Path]:
    bus = root / "sys/bus/pci/devices"
    return sorted(bus.iterdir(), key=lambda path: path.name) if bus.is_dir() else []


def read_pci_devices(root: Path) -> tuple[PciDevice, ...]:
    """Return the GPUs that /sys/bus/pci/devices lists, in the order of their addresses."""
    devices = []
    for entry in _pci_entries(root):
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


def count_switches(root: Path) -> int:
    """Return how many NVSwitches join the GPUs, or how many functions manage them where they do not show themselves."""
    entries = [(entry, (read_text(entry / "vendor") or "").lower()) for entry in _pci_entries(root)]
    shown = [entry for entry, vendor in entries if VENDORS.get(vendor) == "nvidia"]
    count = sum((read_text(entry / "class") or "").startswith(SWITCH_CLASS) for entry in shown)
    return count or sum(_manages_switches(entry) for entry, vendor in entries if vendor == NETWORK_VENDOR)


def _manages_switches(entry: Path) -> bool:
    try:
        with (entry / "vpd").open("rb") as data:
            return SWITCH_MANAGEMENT in data.read(4096)
    except OSError:
        return False


def read_board(root: Path) -> tuple[str, ...]:
    """Return what a board's device tree says it is compatible with; most servers have none."""
    text = read_text(root / "sys/firmware/devicetree/base/compatible") or read_text(
        root / "proc/device-tree/compatible"
    )
    return tuple(name for name in (text or "").split("\0") if name)


def read_libraries(root: Path) -> tuple[str, ...]:
    """Return the names of the files to which the links libnvidia-ml.so.1 lead."""
    links = [link for pattern in LIBRARIES for link in sorted(root.glob(pattern))]
    return tuple(dict.fromkeys(follow(root, link).name for link in links))


def follow(root: Path, path: Path) -> Path:
    """Return where a link leads below another root, where an absolute target would lead out of it."""
    for _step in range(10):
        try:
            target = os.readlink(path)
        except OSError:
            break
        path = root / target.lstrip("/") if target.startswith("/") else path.parent / target
    return path


def read_nodes(root: Path, devices: tuple[PciDevice, ...]) -> tuple[Node, ...]:
    """Return the device nodes with which programs compute: NVIDIA's control nodes, AMD's kfd and one for each AMD GPU."""
    wanted: list[tuple[str, str | None]] = [("nvidiactl", None), ("nvidia-uvm", None), ("kfd", None)]
    for device in devices:
        if device.vendor == "amd":
            # The kernel numbers the nodes; which one belongs to which GPU only its own directory tells
            found = (root / "sys/bus/pci/devices" / device.address / "drm").glob("renderD*")
            wanted += [(f"dri/{entry.name}", device.address) for entry in sorted(found)]
    return tuple(node for name, address in wanted for node in _stat_node(root, name, address))


def _stat_node(root: Path, name: str, address: str | None) -> Iterator[Node]:
    with contextlib.suppress(OSError):
        about = (root / "dev" / name).stat()
        yield Node(f"/dev/{name}", about.st_gid, about.st_mode & 0o777, address)


def read_cdi_specs(root: Path) -> tuple[str, ...]:
    """Return the texts of the CDI descriptions, those first that win."""
    paths = [path for name in CDI_DIRECTORIES for path in sorted((root / name).glob("*")) if path.is_file()]
    return tuple(text for path in paths for text in [read_text(path)] if text)


# --- commands --------------------------------------------------------------------------------------------------------


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
    seen: dict[str, Any] = {
        "has_pci": (root / "sys/bus/pci/devices").is_dir(),
        "devices": devices,
        "board": read_board(root),
        "proc_driver_version": read_text(root / "proc/driver/nvidia/version"),
        "nouveau_loaded": (root / "sys/module/nouveau").is_dir(),
        "nodes": read_nodes(root, devices),
    }
    if not any(device.vendor == "nvidia" for device in devices):
        # Nobody's commands are started on a host that they are not for
        return Observations(**seen)
    switches = count_switches(root)
    ctk_version = run_tool(root, ["nvidia-ctk", "--version"], timeout)
    smi = ["nvidia-smi", f"--query-gpu={GPU_FIELDS}", "--format=csv,noheader,nounits"]
    if switches:
        seen["fabric_version"] = run_tool(root, ["nv-fabricmanager", "--version"], timeout)
        seen["fabric_state"] = run_tool(root, ["systemctl", "is-active", "nvidia-fabricmanager.service"], timeout)
    if ctk_version.found:
        seen["ctk_cdi_list"] = run_tool(root, ["nvidia-ctk", "cdi", "list"], timeout)
    return Observations(
        **seen,
        switches=switches,
        libraries=read_libraries(root),
        cdi_specs=read_cdi_specs(root),
        nvidia_smi=run_tool(root, smi, timeout),
        ctk_version=ctk_version,
        engine=run_tool(root, ["docker", "info", "--format", "{{json .}}"], timeout),
    )
