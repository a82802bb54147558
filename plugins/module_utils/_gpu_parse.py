# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the texts of drivers, GPU tools and the Docker Engine say, as values. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils._answers import decoded
from ansible_collections.alchemorsel.ollama.plugins.module_utils._numbers import counted
from ansible_collections.alchemorsel.ollama.plugins.module_utils._versions import version_numbers


@dataclass(frozen=True)
class Engine:
    """What the Docker Engine says of itself; `version` is empty where none answers, and `problem` says why."""

    version: str = ""
    cdi: bool = False
    cgroup_driver: str = ""
    problem: str = ""


def parse_driver_version(text: str | None) -> str | None:
    """Return the version in /proc/driver/nvidia/version, whose wording differs for the open kernel module."""
    match = re.search(r"Kernel Module(?:\s+for\s+\S+)?\s+(\d+(?:\.\d+)+)", text or "")
    return match.group(1) if match else None


def library_version(name: str) -> str | None:
    """Return the version in the name of the library's file, such as libnvidia-ml.so.570.124.06."""
    match = re.search(r"\.so\.(\d+(?:\.\d+)+)$", name)
    return match.group(1) if match else None


def parse_fabric_version(text: str) -> str | None:
    """Return the version in the output of `nv-fabricmanager --version`."""
    match = re.search(r"Fabric Manager version is\s*:\s*(\d+(?:\.\d+)+)", text)
    return match.group(1) if match else None


def parse_toolkit_version(text: str) -> str | None:
    """Return the version in the output of `nvidia-ctk --version`."""
    match = re.search(r"version\s+v?(\d+(?:\.\d+)+)", text)
    return match.group(1) if match else None


def parse_cdi_devices(text: str) -> list[str]:
    """Return the device names in the output of `nvidia-ctk cdi list`, whose exit status is 0 also for a broken spec."""
    return re.findall(r"^(\S+/\S+=\S+)$", text, re.MULTILINE)


def parse_gpus(text: str) -> list[dict[str, Any]]:
    """Return index, uuid, name, memory (MiB), compute capability and MIG per line of `nvidia-smi --query-gpu` in CSV."""
    gpus = []
    for line in text.splitlines():
        values = [value.strip() for value in line.split(",")]
        index = counted(values[0])
        if len(values) == 7 and index is not None:
            gpus.append(
                {
                    "index": index,
                    "uuid": values[1],
                    "name": values[2],
                    "memory_mib": counted(values[3]),
                    "compute_capability": values[5] if version_numbers(values[5]) else None,
                    "mig": values[6] == "Enabled",
                }
            )
    return gpus


def spec_version(text: str) -> str | None:
    """Return the format of a CDI description, in YAML or JSON."""
    match = re.search(r"""["']?cdiVersion["']?\s*:\s*["']?(\d+(?:\.\d+)+)""", text)
    return match.group(1) if match else None


def spec_driver(text: str) -> str | None:
    """Return the driver's version that a CDI description was made with, by the library that it mounts."""
    match = re.search(r"/libcuda\.so\.(\d+(?:\.\d+)+)", text)
    return match.group(1) if match else None


def describes_gpus(text: str) -> bool:
    """Return whether a CDI description is one of NVIDIA's GPUs."""
    return re.search(r"""["']?kind["']?\s*:\s*["']?nvidia\.com/gpu["'\s,}]""", text + "\n") is not None


def parse_engine(text: str) -> Engine:
    """Return what the JSON of `docker info` says. An engine that does not answer leaves the reasons in ServerErrors."""
    try:
        info = decoded(text)
    except ValueError:
        info = None
    if not isinstance(info, dict):
        return Engine(problem="docker info gives no JSON")
    version = str(info.get("ServerVersion") or "")
    if not version_numbers(version):
        errors = info.get("ServerErrors")
        said = str(errors[0]) if isinstance(errors, list) and errors else "docker info names no version of an engine"
        return Engine(problem=said)
    # Engines that know CDI list the directories of its descriptions; the list is empty where it is switched off
    return Engine(version, bool(info.get("CDISpecDirs")), str(info.get("CgroupDriver") or ""))
