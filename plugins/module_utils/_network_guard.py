# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who reaches a container from outside its host, as one nftables table: pure functions, no I/O.

Engines before Docker 28 let a neighbour on the segment reach the container's own address, and 127.0.0.1 where it is published
there. The table stands ahead of connection tracking and of the engine's address translation, so it judges what a packet was
addressed to on the wire. It only drops; whatever it lets pass is still subject to all other rules of the host.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Union

from ansible_collections.alchemorsel.ollama.plugins.module_utils._numbers import counted

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]

#: The word of nftables for each IP version
FAMILY = {4: "ip", 6: "ip6"}
BRIDGE_NAME = "com.docker.network.bridge.name"
#: Names of bridges that mean nothing to nft
_PLAIN = re.compile(r"[A-Za-z0-9._-]+")
MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"


class Published(NamedTuple):
    """Where the API is published, and to whom."""

    bind: str
    port: int
    allow_from: list[str]
    #: Whether the operator said that everybody may reach it
    exposed: bool = False
    #: Whether there will be a table
    guarded: bool = True

    @property
    def address(self) -> Address | None:
        """The address, or None for one that cannot be read: others complain about that."""
        try:
            return None if "%" in self.bind else ipaddress.ip_address(self.bind)
        except ValueError:
            return None

    @property
    def outside(self) -> bool:
        """Whether it is published on another address than loopback."""
        return self.address is not None and not self.address.is_loopback


def table_name(instance: str) -> str:
    """Return the name of an instance's table: a word with a letter in front, whatever the instance is called."""
    return f"alchemorsel_{instance}"


def problems(published: Published, network: dict[str, Any]) -> list[str]:
    """Return what is wrong with the declaration, one line each; the network may not be known yet (empty)."""
    found = [text for entry in published.allow_from for text in entry_problems(entry, published.exposed)]
    if published.outside and not found:
        found += outside_problems(published)
    driver = network.get("Driver", "bridge")
    if published.guarded and driver != "bridge":
        found.append(
            f"ollama_network is {network.get('Name')}, a network of the driver {driver}, whose containers cannot be guarded from outside: "
            "name a bridge network, or set ollama_guard to false."
        )
    name = str((network.get("Options") or {}).get(BRIDGE_NAME) or "")
    if published.guarded and name and not _PLAIN.fullmatch(name):
        # It would stand between quotes in a file that root's nft reads
        found.append(
            f"ollama_network is {network.get('Name')}, whose bridge is called {name!r}; wanted is a name of letters, digits, '.', '_' and '-': "
            "make that network anew with another name of its bridge, or name another network."
        )
    return found


def entry_problems(entry: str, exposed: bool) -> Iterable[str]:
    """Yield what is wrong with one entry of ollama_allow_from."""
    try:
        # A zone (fe80::1%eth0) is no part of what a packet carries
        interface = ipaddress.ip_interface(entry.replace("%", " "))
    except ValueError:
        yield f"ollama_allow_from has '{entry}': a network or an address is wanted, such as 192.0.2.0/24 or 2001:db8::5."
        return
    loose = interface.network
    if loose.network_address != interface.ip:
        yield f"ollama_allow_from has {entry}, an address with the length of a network: write {loose}, or {interface.ip} for this host only."
    elif loose.prefixlen == 0 and not exposed:
        yield (
            f"ollama_allow_from has {entry}, which lets everybody in to an API without authentication: name the networks that need it, "
            "or set ollama_expose_unauthenticated to true."
        )


def outside_problems(published: Published) -> Iterable[str]:
    """Yield what is wrong with an address that others can reach, where each entry of the list can be read."""
    if not published.guarded:
        if not published.exposed:
            yield (
                f"ollama_bind is {published.bind} and ollama_guard is false, so nothing keeps anybody from an API without authentication: "
                "set ollama_guard to true, or ollama_expose_unauthenticated to true."
            )
        elif published.allow_from:
            yield (
                "ollama_allow_from is set and ollama_guard is false, so nothing keeps others out: set ollama_guard to true, or "
                "ollama_allow_from to []."
            )
    elif not published.allow_from:
        yield (
            f"ollama_bind is {published.bind} and ollama_allow_from is empty: name the networks that may reach the API, such as 192.0.2.0/24, "
            "or set ollama_bind to 127.0.0.1."
        )
    elif open_to_all(published) and not published.exposed:
        # Entries that are none of them everybody can be so together
        yield (
            f"ollama_allow_from ({', '.join(published.allow_from)}) lets everybody in to an API without authentication: name the networks "
            "that need it, or set ollama_expose_unauthenticated to true."
        )
    elif not allowed(published):
        version = published.address.version if published.address else 4
        yield (
            f"ollama_bind is {published.bind}, and ollama_allow_from names no IPv{version} network ({', '.join(published.allow_from)}): "
            "nobody could reach the API; add one."
        )


def allowed(published: Published) -> Sequence[Network]:
    """Return the allowed networks of the address's family, none of which lies in another."""
    networks = [ipaddress.ip_network(entry) for entry in published.allow_from]
    # One family at a time is what collapse_addresses takes
    if published.address and published.address.version == 6:
        return sorted(ipaddress.collapse_addresses(net for net in networks if isinstance(net, ipaddress.IPv6Network)))
    return sorted(ipaddress.collapse_addresses(net for net in networks if isinstance(net, ipaddress.IPv4Network)))


def former_places(published: Published, bindings: Iterable[dict[str, Any]]) -> list[Published]:
    """Return the other places at which the container that is there is published, as the engine names them.

    They stay reachable until that container has been exchanged, and are kept for the same few as the declared one.
    """
    found = [
        published._replace(bind=str(entry.get("HostIp") or "0.0.0.0"), port=port)
        for entry in bindings
        if (port := counted(str(entry.get("HostPort", "")))) is not None
    ]
    return sorted({(place.bind, place.port): place for place in found if place != published}.values())


def rules(instance: str, published: Published, network: dict[str, Any], bindings: Iterable[dict[str, Any]] = ()) -> str:
    """Return the file for `nft -f` that puts the instance's table in the place of the former one, in one step."""
    places = [published, *former_places(published, bindings)]
    table = f"table inet {table_name(instance)}"
    lines = [
        # Packets of the host itself, and of its own clients
        'iifname "lo" accept',
        # Nobody else has business there: what reads 127.0.0.1 on the wire wants a port that is published on loopback
        "ip daddr 127.0.0.0/8 counter drop",
        # The other containers of the network
        f'iifname "{bridge(network)}" accept',
        *(port_rule(place) for place in places if place.outside and not open_to_all(place)),
        *(subnet_rule(subnet, network) for subnet in subnets(network)),
    ]
    body = "".join(f"\t\t{line}\n" for line in lines)
    return (
        f"# Made by the role alchemorsel.ollama.ollama: who reaches the instance {instance} from outside this host\n"
        # Deleting needs something that is there
        f"{table}\ndelete {table}\n{table} {{\n"
        f"\tchain prerouting {{\n\t\ttype filter hook prerouting priority raw; policy accept;\n{body}\t}}\n}}\n"
    )


def open_to_all(published: Published) -> bool:
    """Return whether the list lets everybody in."""
    return any(network.prefixlen == 0 for network in allowed(published))


def port_rule(published: Published) -> str:
    """Return the rule that keeps others from the published port, before the engine translates the address."""
    address = published.address
    family = FAMILY[address.version] if address else "ip"
    # All addresses of the host, and none that it only forwards to
    target = "fib daddr type local" if address and address.is_unspecified else f"{family} daddr {address}"
    sources = ", ".join(str(network) for network in allowed(published))
    others = f"{family} saddr != {{ {sources} }} " if sources else ""
    return f"tcp dport {published.port} {target} {others}counter drop"


def subnet_rule(subnet: Network, network: dict[str, Any]) -> str:
    """Return the rule that keeps others from the containers' own addresses.

    Where the engine translates them, nothing that is wanted ever comes from outside for such an address. Where it does not,
    which is so for IPv6 on engines before 27, answers to the containers' own requests do: there no connection can be opened.
    """
    translated = subnet.version == 4 and (network.get("Options") or {}).get(MASQUERADE) != "false"
    opening = "" if translated else "tcp flags & (syn | ack) == syn "
    return f"{FAMILY[subnet.version]} daddr {subnet} {opening}counter drop"


def subnets(network: dict[str, Any]) -> list[Network]:
    """Return the subnets of a network as the engine describes it."""
    config = (network.get("IPAM") or {}).get("Config") or []
    found = {ipaddress.ip_network(entry["Subnet"], strict=False) for entry in config if entry.get("Subnet")}
    return sorted(found, key=lambda subnet: (subnet.version, subnet))


def bridge(network: dict[str, Any]) -> str:
    """Return the name of a network's bridge: as it was asked for, else as the engine makes it of the network's ID."""
    options = network.get("Options") or {}
    return str(options.get(BRIDGE_NAME) or f"br-{network['Id'][:12]}")
