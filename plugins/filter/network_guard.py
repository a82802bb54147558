# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn a Docker network, an address and a list of networks into an nftables table."""

from __future__ import annotations

DOCUMENTATION = r"""
name: network_guard
author: Alchemorsel contributors (@alchemorsel)
version_added: 0.1.0
short_description: The nftables table that says who reaches a container from outside its host
description:
  - Takes a bridge network as the engine describes it and returns the text for C(nft -f) that keeps everybody outside of the host from
    the containers' own addresses and from 127.0.0.0/8, and all but the allowed from the published port.
  - The host itself and the other containers of the network are let pass.
  - The role P(alchemorsel.ollama.ollama#role) carries the result out.
positional: instance
options:
  _input:
    description: The network, as C(docker network inspect) gives it. Empty where it is not known yet; then only the other options are judged.
    type: dict
    required: true
  instance:
    description: Name of the instance, of which the name of the table is made.
    type: str
    required: true
  bind:
    description: Address on which the port is published.
    type: str
    required: true
  port:
    description: Port of the host on which the container is published.
    type: int
    required: true
  allow_from:
    description: Networks in CIDR notation, or addresses, that may reach the port where O(bind) is no loopback address.
    type: list
    elements: str
    default: []
  bindings:
    description:
      - Where the container that is there is published, as C(HostConfig.PortBindings) has it. A place other than the declared one is kept
        for the same few, until that container has been exchanged.
    type: list
    elements: dict
    default: []
  exposed:
    description: Whether everybody may be let in.
    type: bool
    default: false
  guarded:
    description: Whether the table will be there. Where it is not, O(allow_from) cannot be kept.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Show the table
  ansible.builtin.debug:
    msg: "{{ (network | alchemorsel.ollama.network_guard('ollama', '192.0.2.11', 11435, allow_from=['192.0.2.0/24'])).rules }}"
  vars:
    network: {Id: 4f2a6c1d0b9e8877, Driver: bridge, IPAM: {Config: [{Subnet: 172.18.0.0/16}]}}
  # table inet alchemorsel_ollama
  # delete table inet alchemorsel_ollama
  # table inet alchemorsel_ollama {
  #   chain prerouting {
  #     type filter hook prerouting priority raw; policy accept;
  #     iifname "lo" accept
  #     ip daddr 127.0.0.0/8 counter drop
  #     iifname "br-4f2a6c1d0b9e" accept
  #     tcp dport 11435 ip daddr 192.0.2.11 ip saddr != { 192.0.2.0/24 } counter drop
  #     ip daddr 172.18.0.0/16 counter drop
  #   }
  # }
"""

RETURN = r"""
_value:
  description:
    - C(problems), list of text, what is wrong with the declaration, one line each.
    - C(table), text, the name of the table in the family C(inet).
    - C(rules), text, the file for C(nft -f). Empty where the network is not known or there are problems.
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.alchemorsel.ollama.plugins.module_utils._network_guard import (
    Published,
    problems,
    rules,
    table_name,
)


def network_guard(
    network: dict[str, Any],
    instance: str,
    bind: str,
    port: int,
    allow_from: list[str] | None = None,
    exposed: bool = False,
    guarded: bool = True,
    bindings: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """See DOCUMENTATION; raises AnsibleFilterError when an argument has the wrong type."""
    if not isinstance(network, dict):
        raise AnsibleFilterError(
            f"network_guard wants a network as the engine describes it, found {type(network).__name__}"
        )
    entries = [] if allow_from is None else allow_from
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise AnsibleFilterError(f"network_guard: allow_from is to be a list of texts, found {entries!r}")
    former = [] if bindings is None else bindings
    if not isinstance(former, list) or not all(isinstance(entry, dict) for entry in former):
        raise AnsibleFilterError(f"network_guard: bindings is to be a list of mappings, found {former!r}")
    published = Published(str(bind), int(port), entries, exposed, guarded)
    found = problems(published, network)
    known = "Id" in network and not found
    return {
        "problems": found,
        "table": table_name(instance),
        "rules": rules(instance, published, network, former) if known else "",
    }


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Names and functions."""
        return {"network_guard": network_guard}
