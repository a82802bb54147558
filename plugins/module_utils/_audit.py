# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An audit of running containers: which of them, and what is said of each beside its score. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils._network_guard import table_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._removal import INSTANCE
from ansible_collections.alchemorsel.ollama.plugins.module_utils._versions import version_numbers

#: Where Ollama listens in its container.
PORT = 11434
#: From this version on, the engine itself keeps neighbours from the containers' own addresses.
CLOSED_BY_ENGINE = (28,)
EVERYWHERE = ("", "0.0.0.0", "::")
#: No longer than this is shown of what a point found.
SHOWN = 200


@dataclass(frozen=True)
class Finding:
    """What was looked at, whether it is as it should be (None: that cannot be told), and the sentence."""

    about: str
    holds: bool | None
    text: str


def chosen(containers: Sequence[Mapping[str, Any]], named: Sequence[str]) -> dict[str, Any]:
    """Return which containers are audited, which of the named are not there, and which others look like Ollama.

    :param containers: all containers of the engine, as its API lists them
    :param named: names or patterns beside the containers of this collection
    """
    by_name = {name: container for container in containers if (name := _name(container))}
    own = [name for name, container in by_name.items() if _labels(container).get(INSTANCE) == name]
    wanted = [name for name in by_name if any(fnmatchcase(name, pattern) for pattern in named)]
    names = sorted({*own, *wanted})
    # What an upgrade keeps beside a server has its label, and is never started
    rest = [name for name in by_name if name not in names and not _labels(by_name[name]).get(INSTANCE)]
    return {
        "containers": [
            {"name": name, "instance": name if name in own else "", "url": _url(by_name[name])} for name in names
        ],
        "missing": [pattern for pattern in named if not any(fnmatchcase(name, pattern) for name in by_name)],
        "others": sorted(name for name in rest if _looks_like_ollama(by_name[name])),
    }


def report(
    container: Mapping[str, Any],
    score: Mapping[str, Any],
    *,
    instance: str,
    engine: str,
    guard: Sequence[str],
    health: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what is said of one container: its lines, its score, and what does not hold beside it.

    :param container: what ``docker inspect`` says of it
    :param score: what the filter hardening_score says of it
    :param instance: name of the instance, empty for a container that is none of this collection
    :param engine: version of the engine
    :param guard: the lines of the role ollama's look at the guard; none where nobody looked
    :param health: the answer of ollama_health; empty where the server was not asked
    """
    places = published(container)
    found = [version(container, health), reach(container, places), guarded(container, places, instance, engine, guard)]
    broken = [finding for finding in found if finding.holds is False]
    count = len(score["failed"]) + len(broken)
    name = str(container.get("Name") or "").lstrip("/")
    lines = [
        f"{name}: {score['passed']} of {score['total']} points, {count} finding{'' if count == 1 else 's'}",
        *(f"point {point['id']}: {_point(point)}" for point in score["failed"]),
        *(f"{finding.about}: {finding.text}" for finding in found),
        *(f"not counted: {note['title']}: {note['found']}" for note in score["notes"]),
    ]
    if count and not instance:
        lines.append(
            "remedies: they name what the role ollama sets, and this container is not of its making; ollama_migrate_from "
            "has the role take over an earlier server's models (docs/storage.md)"
        )
    return {
        "name": name,
        "passed": score["passed"],
        "total": score["total"],
        "broken": [finding.about for finding in broken],
        "lines": lines,
    }


def published(container: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return addresses and ports of the host at which Ollama's port is published, in force or to be at the next start."""
    bindings = _part(container, "HostConfig").get("PortBindings") or {}
    return sorted(
        {(str(item.get("HostIp") or ""), str(item.get("HostPort") or "")) for item in bindings.get(f"{PORT}/tcp") or []}
    )


def version(container: Mapping[str, Any], health: Mapping[str, Any]) -> Finding:
    """Tell which version answers, and whether it is below the floor."""
    if not _part(container, "State").get("Running"):
        return Finding("version", None, "the container does not run, so the server was not asked")
    if not health:
        return Finding("version", None, "nobody asked the server")
    text = str(health.get("msg") or "no answer").rstrip(".")
    if health.get("healthy"):
        return Finding("version", True, text)
    # A server that does not answer may have any version
    return Finding("version", False if health.get("verdict") == "old_version" else None, text)


def reach(container: Mapping[str, Any], places: Sequence[tuple[str, str]]) -> Finding:
    """Tell at which addresses of the host the server is to be reached."""
    if _on_host_network(container):
        return Finding(
            "published",
            False,
            "the container has the host's network, so its server listens on the host itself, on every address if OLLAMA_HOST says so. "
            "Give it a network of its own (ollama_network) and publish it on 127.0.0.1",
        )
    if not places:
        return Finding("published", True, "nowhere; containers on its networks reach it")
    where = ", ".join(_place(address, port) for address, port in places)
    if any(address in EVERYWHERE for address, _port in places):
        return Finding(
            "published", False, f"on every address of the host ({where}). Publish it on 127.0.0.1 (ollama_bind)"
        )
    if all(_loopback(address) for address, _port in places):
        return Finding("published", True, f"on loopback only ({where})")
    return Finding("published", True, f"on {where}; the guard says for whom")


def guarded(
    container: Mapping[str, Any], places: Sequence[tuple[str, str]], instance: str, engine: str, guard: Sequence[str]
) -> Finding:
    """Tell what keeps others from the container's own address and from where it is published."""
    if _on_host_network(container):
        return Finding("guard", None, "there is nothing to guard beside the host's own addresses")
    table = table_name(instance)
    if instance and "loaded" in guard:
        return Finding("guard", True, f"the nftables table {table} is loaded, as its file says")
    if instance and "table" in guard:
        return Finding(
            "guard",
            False,
            f"the nftables table {table} is not as its file says. Run the role ollama, which loads it again",
        )
    none = f"there is no nftables table {table}" if instance else "no table of this collection guards it"
    if not places:
        return Finding("guard", True, f"{none}; nothing is published, so the engine lets no neighbour in")
    if not all(_loopback(address) for address, _port in places):
        return Finding("guard", False, f"{none}, so whoever reaches the published address is let in. {_mend(instance)}")
    if version_numbers(engine) >= CLOSED_BY_ENGINE:
        return Finding("guard", True, f"{none}; engine {engine} itself keeps neighbours from it")
    return Finding(
        "guard",
        False,
        f"{none}, and engine {engine or 'of unknown version'} lets neighbours in at {_own(container)}, though it is published on loopback. "
        f"{_mend(instance)}, or upgrade the engine to 28 or newer",
    )


def _mend(instance: str) -> str:
    return "Set ollama_guard: true and run the role ollama" if instance else "Let the role ollama run it"


def _point(point: Mapping[str, Any]) -> str:
    """What a point asks for, and what was found."""
    cis = f" (CIS {point['cis']})" if point["cis"] else ""
    found = json.dumps(point["found"], ensure_ascii=False, default=str)
    if len(found) > SHOWN:
        found = f"{found[:SHOWN]}…"
    return f"{point['title']}{cis}: found {found}, wanted {json.dumps(point['wanted'], ensure_ascii=False)}. {point['remedy']}"


def _url(listed: Mapping[str, Any]) -> str:
    """Where the host itself reaches the server of a container, as the engine lists it; empty where it does not run."""
    if listed.get("State") != "running":
        return ""
    if _part(listed, "HostConfig").get("NetworkMode") == "host":
        return f"http://127.0.0.1:{PORT}"
    for port in listed.get("Ports") or []:
        if port.get("PrivatePort") == PORT and port.get("PublicPort"):
            address = str(port.get("IP") or "")
            return f"http://{_place('127.0.0.1' if address in EVERYWHERE else address, str(port['PublicPort']))}"
    own = _addresses(listed)
    return f"http://{_place(own[0], str(PORT))}" if own else ""


def _looks_like_ollama(listed: Mapping[str, Any]) -> bool:
    ports = [port.get("PrivatePort") for port in listed.get("Ports") or []]
    return PORT in ports or "ollama" in f"{listed.get('Image') or ''} {listed.get('Command') or ''}"


def _own(container: Mapping[str, Any]) -> str:
    """The container's own addresses with the port, or words for them."""
    return ", ".join(_place(address, str(PORT)) for address in _addresses(container)) or "the container's own address"


def _addresses(container: Mapping[str, Any]) -> list[str]:
    networks: Iterable[Any] = (_part(container, "NetworkSettings").get("Networks") or {}).values()
    return [str(network["IPAddress"]) for network in networks if network and network.get("IPAddress")]


def _place(address: str, port: str) -> str:
    shown = address or "0.0.0.0"
    return f"[{shown}]:{port}" if ":" in shown else f"{shown}:{port}"


def _loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"


def _on_host_network(container: Mapping[str, Any]) -> bool:
    return bool(_part(container, "HostConfig").get("NetworkMode") == "host")


def _name(listed: Mapping[str, Any]) -> str:
    """The container's own name: links of others add names with a path."""
    names = [str(name).lstrip("/") for name in listed.get("Names") or []]
    return next((name for name in names if "/" not in name), "")


def _labels(listed: Mapping[str, Any]) -> Mapping[str, Any]:
    return _part(listed, "Labels")


def _part(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = data.get(key)
    return part if isinstance(part, Mapping) else {}
