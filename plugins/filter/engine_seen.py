# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put together what the role docker saw of an engine."""

from __future__ import annotations

DOCUMENTATION = r"""
name: engine_seen
author: Alchemorsel contributors (@alchemorsel)
version_added: 0.1.0
short_description: What there is of a Docker Engine on a host
description:
  - Takes the lines in which the role P(alchemorsel.ollama.docker#role) describes a host, and the answer of its engine, and returns one dictionary.
  - The role keeps it, so that no task has to read the lines again.
  - It touches no host.
positional: engine
options:
  _input:
    description: Lines of the role's look at the host, such as C(package NAME VERSION) and C(path PATH); others are kept in RV(_value.lines) only.
    type: list
    elements: str
    required: true
  engine:
    description:
      - What M(community.docker.docker_host_info) returned with its containers; an empty dictionary where it was not asked.
      - Not needed where the lines hold the engine's own answer.
    type: dict
    default: {}
  own:
    description: Names of containers that belong to the role's user. All others make the host a shared one.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Print 26.1.5+dfsg1
  ansible.builtin.debug:
    msg: "{{ (['package docker.io 1:26.1.5+dfsg1'] | alchemorsel.ollama.engine_seen).version }}"
"""

RETURN = r"""
_value:
  description: What was seen.
  type: dict
  contains:
    answers:
      description: Whether the engine answered.
      type: bool
    cas:
      description: State and SHA-1 of each registry's certificate, by the registry.
      type: dict
    command:
      description: Command line of the running engine, empty where none runs.
      type: str
    containers:
      description: Number of running containers.
      type: int
    info:
      description: What the engine says of itself.
      type: dict
    json:
      description: >-
        Of daemon.json its C(mode), empty where there is no file, and C(text), further what the engine was started with (C(former)), and whether an
        interrupted run left that (C(interrupted)).
      type: dict
    legacy_gpu:
      description: Containers that have their GPUs by the legacy hook.
      type: list
    lines:
      description: All lines.
      type: list
    major:
      description: First number of RV(_value.version), 0 where there is none.
      type: int
    nvidia:
      description: PCI addresses of GPUs of NVIDIA.
      type: list
    package:
      description: Main package of the engine, empty where it comes from none.
      type: str
    packages:
      description: Versions of installed packages that matter, by name.
      type: dict
    paths:
      description: Files that matter and are there.
      type: list
    present:
      description: Whether there is an engine of any origin.
      type: bool
    service:
      description: Whether docker.service runs now and at boot.
      type: bool
    shared:
      description: Who else uses the engine or the host, one phrase each.
      type: list
    snap:
      description: Whether the engine is from snap.
      type: bool
    sources:
      description: Package sources that name the repository of docker.com.
      type: list
    sums:
      description: State and SHA-1 of files that belong to the role, by path.
      type: dict
    swarm:
      description: Whether the engine is a member of a swarm.
      type: bool
    version:
      description: Version of the engine, of its package where it does not answer, without the epoch.
      type: str
"""

import base64
import json
import re
from typing import Any

from ansible.errors import AnsibleFilterError

_ENGINES = ("docker-ce", "docker.io", "moby-engine")


def engine_seen(lines: list[str], engine: dict[str, Any] | None = None, own: list[str] | None = None) -> dict[str, Any]:
    """See DOCUMENTATION; raises AnsibleFilterError when an argument has the wrong type."""
    if not isinstance(lines, list):
        raise AnsibleFilterError(f"engine_seen wants a list of lines, found {type(lines).__name__}")
    if not isinstance(engine or {}, dict):
        raise AnsibleFilterError(f"engine_seen: engine is to be a dictionary, found {type(engine).__name__}")
    found: dict[str, list[str]] = {}
    for line in lines:
        kind, _space, rest = line.partition(" ")
        found.setdefault(kind, []).append(rest)
    packages, paths = _pairs(found.get("package", [])), found.get("path", [])
    info, names = _answer(found, engine or {})
    package = next((name for name in _ENGINES if name in packages), "")
    version = info.get("ServerVersion") or re.sub(r"^\d+:", "", packages.get(package, "0"))
    first = re.match(r"\d+", version)
    snap = "/snap/bin/docker" in paths
    # Of a client that has no engine, the state is empty
    swarm = ((info.get("Swarm") or {}).get("LocalNodeState") or "inactive") != "inactive"
    swarm = swarm or "/var/lib/docker/swarm/docker-state.json" in paths
    answers = bool(info.get("ServerVersion"))
    dockerd = any(path.endswith("/dockerd") for path in paths)
    return {
        "lines": lines,
        "packages": packages,
        "paths": paths,
        "cas": _pairs(found.get("ca", [])),
        "sums": _pairs(found.get("sum", [])),
        "sources": found.get("source", []),
        "nvidia": found.get("nvidia", []),
        "legacy_gpu": [gpu.lstrip("/").split(" ")[0] for gpu in found.get("gpu", [])],
        "command": found.get("dockerd", [""])[0],
        "json": _configuration(found.get("json", [])),
        "service": "enabled active" in found.get("service", []),
        "info": info,
        "containers": len(names),
        "answers": answers,
        "package": package,
        "version": version,
        "major": int(first[0]) if first else 0,
        # podman-docker answers at the same socket
        "present": (answers and "podman-docker" not in packages) or snap or package != "" or dockerd,
        "snap": snap,
        "swarm": swarm,
        "shared": _shared(names, own or [], swarm, snap, packages, paths),
    }


def _pairs(lines: list[str]) -> dict[str, str]:
    """Return the second words by the first ones."""
    words = [line.split(" ") for line in lines]
    return {pair[0]: pair[1] for pair in words if len(pair) > 1}


def _answer(found: dict[str, list[str]], engine: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return what the engine says of itself, and its running containers: by the lines, or by Ansible's own question."""
    try:
        info = json.loads(_decoded(found["info"][0])) if "info" in found else None
    except ValueError:
        info = None
    if isinstance(info, dict):
        return info, [_name(json.loads(line).split(",")) for line in found.get("running", [])]
    # One that is being removed may have no name any more
    names = [container.get("Names") or ["?"] for container in engine.get("containers") or []]
    return engine.get("host_info") or {}, [_name(of_one) for of_one in names]


def _name(names: list[str]) -> str:
    """Return the name of a container that others may know by names of their own, which are ``OTHER/NAME``."""
    plain = [name.removeprefix("/") for name in names]
    return next((name for name in plain if "/" not in name), plain[0])


def _configuration(lines: list[str]) -> dict[str, Any]:
    """Return what the lines ``NAME MODE BASE64`` say of daemon.json and of what a run kept beside it."""
    files = {name: (mode, _decoded(content)) for name, mode, content in (f"{line}  ".split(" ")[:3] for line in lines)}
    mode, text = files.get("daemon.json", ("", ""))
    return {
        "mode": mode,
        "text": text,
        "former": files.get("daemon.json.running", ("", text))[1],
        "interrupted": "daemon.json.running" in files,
    }


def _decoded(content: str) -> str:
    """Return the text of a file, whatever its bytes are."""
    return base64.b64decode(content).decode("utf-8", "surrogateescape")


def _shared(
    names: list[str], own: list[str], swarm: bool, snap: bool, packages: dict[str, str], paths: list[str]
) -> list[str]:
    """Return who else uses the engine or the host."""
    foreign = sorted(name for name in names if name not in own)
    kubelet = "kubelet" in packages or "/var/lib/kubelet/config.yaml" in paths
    reasons = {
        f"containers of others run: {', '.join(foreign)}": bool(foreign),
        "the engine is a member of a swarm": swarm,
        "the engine is from snap": snap,
        "the host has k3s": "/usr/local/bin/k3s" in paths,
        "the host has a kubelet": kubelet,
    }
    return [reason for reason, holds in reasons.items() if holds]


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Names and functions."""
        return {"engine_seen": engine_seen}
