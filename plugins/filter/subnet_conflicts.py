# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell what speaks against a subnet on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
name: subnet_conflicts
author: Alchemorsel contributors (@alchemorsel)
version_added: 0.1.0
short_description: What speaks against a subnet for a Docker network
description:
  - Compares an IPv4 subnet with the routes of a host. A network that overlaps with one of them makes hosts behind that route unreachable.
  - The default route overlaps with nothing.
positional: routes
options:
  _input:
    description: The subnet, such as V(172.30.0.0/24).
    type: str
    required: true
  routes:
    description: Lines of C(ip -4 route show).
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Print that 172.30.0.0/24 overlaps with 172.16.0.0/12
  ansible.builtin.debug:
    msg: "{{ '172.30.0.0/24' | alchemorsel.ollama.subnet_conflicts(['172.16.0.0/12 via 10.0.0.1 dev eth0']) }}"
"""

RETURN = r"""
_value:
  description: One sentence without its beginning for each thing that is wrong, such as C(overlaps with the route 172.16.0.0/12 via 10.0.0.1 dev eth0).
  type: list
  elements: str
"""

import ipaddress
from typing import Any

#: The least that holds the network's gateway, an instance and an application.
_LONGEST = 29


def subnet_conflicts(subnet: str, routes: list[str]) -> list[str]:
    """See DOCUMENTATION."""
    try:
        wanted = ipaddress.IPv4Network(str(subnet))
    except ValueError as exc:
        return [f"is no IPv4 subnet ({exc}); wanted is one such as 172.30.0.0/24"]
    if wanted.prefixlen > _LONGEST:
        return [f"has room for {max(wanted.num_addresses - 3, 0)} containers; wanted is a prefix of at most {_LONGEST}"]
    found = []
    for route in routes:
        network = _destination(route)
        if network and network.overlaps(wanted):
            found.append(f"overlaps with the route {' '.join(route.split())}")
    return found


def _destination(route: str) -> ipaddress.IPv4Network | None:
    """Return where a route leads, ``None`` for the default route and for what is no route."""
    words = [word for word in route.split() if word not in ("unreachable", "blackhole", "prohibit", "throw", "unicast")]
    try:
        network = ipaddress.IPv4Network(words[0]) if words else None
    except ValueError:
        return None
    return network if network and network.prefixlen else None


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Names and functions."""
        return {"subnet_conflicts": subnet_conflicts}
