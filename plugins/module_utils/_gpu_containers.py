# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rungs from a GPU that the host can use to one in a container: toolkit, CDI devices, Docker Engine. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible_collections.alchemorsel.ollama.plugins.module_utils._gpu import Observations
from ansible_collections.alchemorsel.ollama.plugins.module_utils._gpu_nvidia import check_nvidia_smi
from ansible_collections.alchemorsel.ollama.plugins.module_utils._gpu_parse import (
    Engine,
    describes_gpus,
    parse_cdi_devices,
    parse_driver_version,
    parse_engine,
    parse_gpus,
    parse_toolkit_version,
    spec_driver,
    spec_version,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._gpu_rung import OK, Check, failed, waits
from ansible_collections.alchemorsel.ollama.plugins.module_utils._versions import version_numbers

# Engines know CDI from the first of these on, descriptions of format 0.7 from the second on, and have it on without being
# told from the third on. Toolkits name the oldest format that has all that they use.
ENGINE_WITH_CDI = "25"
ENGINE_WITH_CDI_0_7 = "26.1"
ENGINE_WITH_CDI_ON = "28.2"


def check_toolkit(seen: Observations, floor: str) -> Check:
    install = f"install nvidia-container-toolkit-base {floor} or newer (role nvidia_container_toolkit)"
    answer = seen.ctk_version
    if not answer.found:
        return failed("toolkit", "nvidia-ctk is not installed", install)
    version = parse_toolkit_version(answer.stdout)
    if version is None:
        said = answer.error or (answer.stdout + answer.stderr).strip() or "nothing"
        return failed("toolkit", f"nvidia-ctk --version does not tell its version: {said}", install)
    if version_numbers(version) < version_numbers(floor):
        return failed("toolkit", f"nvidia-container-toolkit {version} is older than {floor} (CVE-2026-24260)", install)
    return Check("toolkit", OK, f"nvidia-container-toolkit {version}")


def check_cdi(seen: Observations) -> Check:
    if not seen.ctk_version.found:
        return waits("cdi", "toolkit")
    refresh = "run 'systemctl restart nvidia-cdi-refresh.service' and read its journal"
    devices = parse_cdi_devices(seen.ctk_cdi_list.stdout)
    if not any(device.startswith("nvidia.com/gpu=") for device in devices):
        # The first warning is a heading ("The following registry errors were reported:"), each further one names a file.
        warnings = re.findall(r'level=warning msg="?(.+?)"?$', seen.ctk_cdi_list.stderr, re.MULTILINE)[1:]
        reason = "nvidia-ctk cdi list finds no GPU"
        return failed("cdi", f"{reason}: {warnings[0]}" if warnings else reason, refresh)
    driver, described = parse_driver_version(seen.proc_driver_version), described_driver(seen)
    if driver and described and driver != described:
        reason = (
            f"the CDI devices were described for driver {described}, and {driver} is loaded: no container would start"
        )
        return failed("cdi", reason, refresh)
    missing = list(missing_devices(seen, devices)) if check_nvidia_smi(seen).status == OK else []
    if missing:
        return failed("cdi", f"the CDI devices lack {'; '.join(missing)}", refresh)
    return Check("cdi", OK, f"{len(devices)} CDI devices: {', '.join(devices)}")


def described_driver(seen: Observations) -> str | None:
    """Return the driver's version in the description that counts: the first one of GPUs."""
    return next((spec_driver(text) for text in seen.cdi_specs if describes_gpus(text)), None)


def missing_devices(seen: Observations, devices: list[str]) -> Iterator[str]:
    """Yield the GPUs that the descriptions do not have, as after a GPU was added or divided into MIG devices."""
    for gpu in parse_gpus(seen.nvidia_smi.stdout):
        index, uuid = gpu["index"], gpu["uuid"]
        if gpu["mig"]:
            parts = [name for name in devices if name.startswith((f"nvidia.com/gpu={index}:", "nvidia.com/gpu=MIG-"))]
            if not parts:
                yield f"the parts of GPU {index}, on which MIG is enabled (make some with 'nvidia-smi mig -cgi ... -C')"
        elif not {f"nvidia.com/gpu={index}", f"nvidia.com/gpu={uuid}"} & set(devices):
            yield f"GPU {index} ({gpu['name']})"


def engine_of(seen: Observations) -> Engine:
    """Return what the engine says of itself."""
    if not seen.engine.found:
        return Engine(problem="docker is not installed")
    if seen.engine.rc is None:
        return Engine(problem=f"docker info {seen.engine.error}")
    return parse_engine(seen.engine.stdout)


def check_engine(seen: Observations) -> Check:
    engine = engine_of(seen)
    if not engine.version:
        return failed(
            "engine",
            f"no Docker Engine answers: {engine.problem}",
            "run the role docker, or start the engine ('systemctl start docker')",
        )
    version = version_numbers(engine.version)
    if version < version_numbers(ENGINE_WITH_CDI):
        return failed(
            "engine",
            f"Docker Engine {engine.version} has no CDI, with which containers get GPUs; {ENGINE_WITH_CDI} and newer have it",
            "remove the distribution's docker.io and take docker.com's engine: docker_source: docker",
        )
    if not engine.cdi:
        told = version >= version_numbers(ENGINE_WITH_CDI_ON)
        remedy = (
            "remove features.cdi: false from daemon.json"
            if told
            else "set docker_daemon_config: {features: {cdi: true}}"
        )
        return failed(
            "engine",
            f"Docker Engine {engine.version} has CDI switched off, with which containers get GPUs",
            f"{remedy} (role docker), which restarts the engine",
        )
    formats = [spec_version(text) or "" for text in seen.cdi_specs if describes_gpus(text)]
    if formats and version_numbers(formats[0]) >= (0, 7) and version < version_numbers(ENGINE_WITH_CDI_0_7):
        return failed(
            "engine",
            f"Docker Engine {engine.version} does not know CDI descriptions of format {formats[0]}, which this host has",
            f"upgrade the engine to {ENGINE_WITH_CDI_0_7} or newer",
        )
    return Check("engine", OK, f"Docker Engine {engine.version} has CDI")
