# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known of dockerd's settings, as data: which a reload takes up, of which JSON type each is, and which option of the
command line sets the same. ``docs/docker.md`` is made from it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

# Taken up on SIGHUP. Whatever is not listed here wants a restart.
RELOADABLE = frozenset(
    {
        "allow-nondistributable-artifacts",
        "debug",
        "default-runtime",
        "features",
        "insecure-registries",
        "labels",
        "live-restore",
        "max-concurrent-downloads",
        "max-concurrent-uploads",
        "registry-mirrors",
        "runtimes",
        "shutdown-timeout",
    }
)
# ... except these members of `features`, which the engine reads when it starts
RESTART_FEATURES = frozenset({"cdi", "containerd-snapshotter"})

# Log drivers that know the options max-size and max-file; with any other the engine would refuse to start
ROTATING_LOG_DRIVERS = frozenset({"json-file", "local"})

# JSON types, each by the words that a message uses for it
_BOOL, _INT, _TEXT, _TEXTS, _MAPS, _MAP, _TEXTMAP, _BOOLMAP, _MAPMAP = (
    "true or false",
    "a whole number",
    "text",
    "a list of texts",
    "a list of mappings",
    "a mapping",
    "a mapping of texts",
    "a mapping of true or false",
    "a mapping of mappings",
)

# Every key that dockerd 20.10 to 29 knows on Linux. One that is not listed is passed through for the engine to judge.
TYPES = {
    **dict.fromkeys(
        (
            "allow-direct-routing cri-containerd debug experimental icc init ip-forward ip-forward-no-drop ip-masq ip6tables "
            "iptables ipv6 live-restore no-new-privileges raw-logs rootless selinux-enabled tls tlsverify userland-proxy"
        ).split(),
        _BOOL,
    ),
    **dict.fromkeys(
        (
            "cpu-rt-period cpu-rt-runtime max-concurrent-downloads max-concurrent-uploads max-download-attempts mtu "
            "network-control-plane-mtu network-diagnostic-port oom-score-adjust shutdown-timeout swarm-raft-election-tick "
            "swarm-raft-heartbeat-tick"
        ).split(),
        _INT,
    ),
    **dict.fromkeys(
        (
            "api-cors-header bip bip6 bridge bridge-accept-fwmark cgroup-parent containerd containerd-namespace "
            "containerd-plugin-namespace data-root default-cgroupns-mode default-gateway default-gateway-v6 default-init "
            "default-ipc-mode default-runtime default-shm-size exec-root firewall-backend fixed-cidr fixed-cidr-v6 group "
            "host-gateway-ip init-path ip log-driver log-format log-level metrics-addr pidfile resolv-conf seccomp-profile "
            "storage-driver swarm-default-advertise-addr tlscacert tlscert tlskey userland-proxy-path userns-remap"
        ).split(),
        _TEXT,
    ),
    **dict.fromkeys(
        (
            "allow-nondistributable-artifacts authorization-plugins cdi-spec-dirs dns dns-opts dns-search exec-opts "
            "host-gateway-ips hosts insecure-registries labels node-generic-resources registry-mirrors storage-opts"
        ).split(),
        _TEXTS,
    ),
    **dict.fromkeys("default-network-opts default-ulimits runtimes".split(), _MAPMAP),
    "builder": _MAP,
    "default-address-pools": _MAPS,
    "features": _BOOLMAP,
    "log-opts": _TEXTMAP,
    "proxies": _TEXTMAP,
}

# Options of the command line that have another name than their key
OPTIONS = {
    "H": "hosts",
    "host": "hosts",
    "D": "debug",
    "G": "group",
    "b": "bridge",
    "g": "data-root",
    "graph": "data-root",
    "l": "log-level",
    "p": "pidfile",
    "s": "storage-driver",
    "add-runtime": "runtimes",
    "authorization-plugin": "authorization-plugins",
    "cdi-spec-dir": "cdi-spec-dirs",
    "default-address-pool": "default-address-pools",
    "default-network-opt": "default-network-opts",
    "default-ulimit": "default-ulimits",
    "dns-opt": "dns-opts",
    "exec-opt": "exec-opts",
    "feature": "features",
    "http-proxy": "proxies",
    "https-proxy": "proxies",
    "insecure-registry": "insecure-registries",
    "label": "labels",
    "log-opt": "log-opts",
    "no-proxy": "proxies",
    "node-generic-resource": "node-generic-resources",
    "registry-mirror": "registry-mirrors",
    "storage-opt": "storage-opts",
}
# The engine merges these two sources of runtimes; of any other key that stands in both it says so and ends
MERGED_OPTIONS = frozenset({"runtimes"})


def type_problems(config: dict[str, Any]) -> list[str]:
    """One sentence for each known key whose value has a type that the engine would refuse."""
    return [
        f"daemon.json key {key}: found {json.dumps(value)}, wanted {TYPES[key]}"
        for key, value in config.items()
        if key in TYPES and not _fits(value, TYPES[key])
    ]


def options_of(command: str) -> dict[str, str]:
    """The keys that a command line of dockerd sets, each with the value (``true`` for an option without one)."""
    found: dict[str, str] = {}
    words = command.split()[1:]
    for word, following in zip(words, [*words[1:], "-"]):
        if not word.startswith("-"):
            continue
        name, equals, value = word.lstrip("-").partition("=")
        found[OPTIONS.get(name, name)] = value if equals else "true" if following.startswith("-") else following
    return found


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _list_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(fits, value))


def _map_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    # null in what is asked for removes the member
    return lambda value: isinstance(value, dict) and all(item is None or fits(item) for item in value.values())


_FITS: dict[str, Callable[[Any], bool]] = {
    _BOOL: lambda value: isinstance(value, bool),
    _INT: lambda value: isinstance(value, int) and not isinstance(value, bool),
    _TEXT: _is_text,
    _TEXTS: _list_of(_is_text),
    _MAPS: _list_of(lambda value: isinstance(value, dict)),
    _MAP: lambda value: isinstance(value, dict),
    _TEXTMAP: _map_of(_is_text),
    _BOOLMAP: _map_of(lambda value: isinstance(value, bool)),
    _MAPMAP: _map_of(lambda value: isinstance(value, dict)),
}


def _fits(value: Any, kind: str) -> bool:
    return value is None or _FITS[kind](value)
