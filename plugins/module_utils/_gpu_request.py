# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a container is to get of a host's GPUs, or why it cannot: what gpu_info found + what was asked for. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PREFIX = "nvidia.com/gpu="
# What earlier roles of the same run mend, which check mode sees as it was before
MENDED = ("device_nodes", "toolkit", "cdi")


@dataclass
class Request:
    """What the engine is asked for, and what stands against it. `count`: GPUs that the server must find."""

    device_requests: list[dict[str, Any]] = field(default_factory=list)
    devices: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    count: int = 0
    complaints: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Wish:
    """What was asked for, by the names of the role's variables."""

    mode: str = "auto"
    devices: tuple[str, ...] = ()
    image: str = ""
    check_mode: bool = False
    #: CDI is declared for the engine, which check mode does not have yet
    cdi_declared: bool = False


def decide(info: Mapping[str, Any], wish: Wish, container: Mapping[str, Any]) -> Request:
    """Return what the container gets. `container` is the one that is there, as `docker inspect` shows it."""
    if wish.mode == "disabled":
        return Request()
    vendor = str(info.get("vendor", "none"))
    has = given_gpus(container)
    request = Request()
    if vendor == "none":
        if wish.mode == "required":
            request.complaints.append(
                "ollama_gpu is required, and no GPU is on this host's PCI bus: set it to auto or disabled."
            )
        elif has:
            request.complaints.append(_lost(has, "no GPU is on this host's PCI bus now"))
        return request
    request.complaints += broken_rungs(info, wish, vendor)
    if request.complaints:
        return request
    if vendor == "amd":
        _take_amd(request, info, wish)
    elif info.get("cdi_devices"):
        # There are none only in check mode, before the toolkit is installed
        _take_nvidia(request, info, wish)
    if not request.complaints and not wish.devices and (request.count or not wish.check_mode):
        offered = {*info.get("cdi_devices", []), *(node["path"] for node in info.get("nodes", []))}
        gone = [name for name in has if name not in offered]
        if gone:
            return Request(complaints=[_lost(gone, "the host does not offer it now")])
    return request


def broken_rungs(info: Mapping[str, Any], wish: Wish, vendor: str) -> list[str]:
    """Return a sentence for each rung that keeps containers from the GPU."""
    failed = [check for check in info.get("checks", []) if check["status"] == "failed"]
    if wish.check_mode:
        engine = bool((info.get("engine") or {}).get("version")) and not wish.cdi_declared
        failed = [check for check in failed if check["name"] not in MENDED and (engine or check["name"] != "engine")]
    return [
        f"ollama_gpu is {wish.mode}, the host has a GPU ({vendor}), and containers cannot use it: "
        f"{check['reason']}; {check['remedy']}; or set ollama_gpu to disabled."
        for check in failed
    ]


def given_gpus(container: Mapping[str, Any]) -> list[str]:
    """Return the GPUs that a container has: CDI names, or device nodes of AMD's GPUs."""
    config = container.get("HostConfig") or {}
    named = [name for request in config.get("DeviceRequests") or [] for name in request.get("DeviceIDs") or []]
    nodes = [str(device.get("PathOnHost", "")) for device in config.get("Devices") or []]
    return [*named, *(node for node in nodes if node.startswith("/dev/dri/renderD"))]


def _lost(names: Iterable[str], why: str) -> str:
    return (
        f"The container has a GPU ({', '.join(names)}), and {why}: repair the GPU (module gpu_info says what is wrong), "
        "or name the GPUs that remain in ollama_gpu_devices, or set ollama_gpu to disabled."
    )


# --- NVIDIA ----------------------------------------------------------------------------------------------------------


def _take_nvidia(request: Request, info: Mapping[str, Any], wish: Wish) -> None:
    offered = [name for name in info["cdi_devices"] if name.startswith(PREFIX) and name != f"{PREFIX}all"]
    if "rocm" in (image_tag(wish.image) or ""):
        request.complaints.append(
            f"ollama_image is {wish.image}, which computes on AMD's GPUs only, and the host has one of NVIDIA: take the image without rocm."
        )
    if wish.devices:
        chosen = [name if "=" in name else PREFIX + name for name in wish.devices]
        request.complaints += wrong_names(chosen, offered, info.get("gpus", []))
    else:
        chosen = numbered(offered)
        if not chosen:
            request.complaints.append(
                f"ollama_gpu is {wish.mode}, and the host offers no numbered GPU (it offers {', '.join(offered)}): "
                "name the devices in ollama_gpu_devices."
            )
    parts = [name for name in chosen if is_part(name)]
    if len(parts) > 1 or (parts and len(parts) < len(chosen)):
        request.complaints.append(
            f"The server would get {', '.join(chosen)}, and of several MIG devices, or of one beside whole GPUs, Ollama uses one only: "
            "name one device in ollama_gpu_devices, and give the others to instances of their own."
        )
    if not request.complaints:
        request.device_requests = [{"driver": "cdi", "count": 0, "device_ids": chosen}]
        request.count = len(chosen)


def numbered(offered: Sequence[str]) -> list[str]:
    """Return the GPUs by number, MIG devices by both of theirs, in that order."""
    found = [name for name in offered if re.fullmatch(re.escape(PREFIX) + r"\d{1,9}(:\d{1,9})?", name)]
    return sorted(found, key=lambda name: [int(part) for part in name[len(PREFIX) :].split(":")])


def is_part(name: str) -> bool:
    """Return whether a CDI device is a MIG device."""
    return re.fullmatch(re.escape(PREFIX) + r"(MIG-.+|\d+:\d+)", name) is not None


def wrong_names(chosen: Sequence[str], offered: Sequence[str], gpus: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each device that is not there, is meant to be all, or is named twice."""
    found = []
    numbers = {f"{PREFIX}{gpu['uuid']}": f"{PREFIX}{gpu['index']}" for gpu in gpus}
    seen: dict[str, str] = {}
    for name in chosen:
        if name == f"{PREFIX}all":
            found.append("ollama_gpu_devices has all: leave it empty instead, which gives each GPU by its number.")
        elif name not in offered:
            found.append(
                f"ollama_gpu_devices has {name}, and the host offers {', '.join(offered) or 'none'}: correct it."
            )
        same = numbers.get(name, name)
        if same in seen:
            twice = name if seen[same] == name else f"{seen[same]} and {name}"
            found.append(f"ollama_gpu_devices names one GPU twice ({twice}): leave one out.")
        seen[same] = name
    return found


# --- AMD -------------------------------------------------------------------------------------------------------------


def _take_amd(request: Request, info: Mapping[str, Any], wish: Wish) -> None:
    nodes = info.get("nodes", [])
    render = [node for node in nodes if node.get("address")]
    names = {node["path"]: (node["path"], node["path"].rsplit("/", 1)[-1], node["address"]) for node in render}
    chosen = render
    if wish.devices:
        chosen = [node for node in render if set(names[node["path"]]) & set(wish.devices)]
        known = {name for same in names.values() for name in same}
        request.complaints += [
            f"ollama_gpu_devices has {name}, and the host offers {', '.join(' = '.join(same) for same in names.values())}: correct it."
            for name in wish.devices
            if name not in known
        ]
    tag = image_tag(wish.image)
    if tag is not None and "rocm" not in tag:
        request.complaints.append(
            f"ollama_image is {wish.image}, which cannot compute on AMD's GPUs: take the image of that version for ROCm, "
            "whose tag ends with -rocm, or set ollama_gpu to disabled."
        )
    wanted = [node for node in nodes if node["path"] == "/dev/kfd"] + chosen
    request.complaints += [
        f"{node['path']} belongs to the group root, to which the server is not added: give it to another group by a rule for udev."
        for node in wanted
        if node["gid"] == 0 and not for_all(node)
    ]
    if not request.complaints:
        request.devices = [f"{node['path']}:{node['path']}:rwm" for node in wanted]
        request.groups = sorted({str(node["gid"]) for node in wanted if not for_all(node)}, key=int)
        request.count = len(chosen)


def for_all(node: Mapping[str, Any]) -> bool:
    """Return whether anybody can read and write a device node."""
    return int(node["mode"]) & 0o006 == 0o006


def image_tag(image: str) -> str | None:
    """Return the tag of an image's name; None where it has only a digest or is an ID, from which nothing can be told."""
    name, _at, digest = image.partition("@")
    if image.startswith("sha256:"):
        return None
    _host, colon, tag = name.rsplit("/", 1)[-1].partition(":")
    if colon:
        return tag
    return None if digest else "latest"
