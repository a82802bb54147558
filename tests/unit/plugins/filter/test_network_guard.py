# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter network_guard: what it says of a declaration, and what its rules do to packets."""

from __future__ import annotations

import ipaddress
import re

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.alchemorsel.ollama.plugins.filter.network_guard import network_guard
from hypothesis import given
from hypothesis import strategies as st

BRIDGE = "br-0123456789ab"
NETWORK = {
    "Name": "alchemorsel-network",
    "Id": "0123456789abcdef0123456789abcdef",
    "Driver": "bridge",
    "IPAM": {"Config": [{"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}]},
    "Options": {},
}
DUAL = {**NETWORK, "IPAM": {"Config": [{"Subnet": "fd00:1::/64"}, {"Subnet": "172.18.0.0/16"}]}}
LOOPBACK = """\
# Made by the role alchemorsel.ollama.ollama: who reaches the instance ollama from outside this host
table inet alchemorsel_ollama
delete table inet alchemorsel_ollama
table inet alchemorsel_ollama {
\tchain prerouting {
\t\ttype filter hook prerouting priority raw; policy accept;
\t\tiifname "lo" accept
\t\tip daddr 127.0.0.0/8 counter drop
\t\tiifname "br-0123456789ab" accept
\t\tip daddr 172.18.0.0/16 counter drop
\t}
}
"""


def guard(*network, bind="127.0.0.1", **options):
    return network_guard(*(network or [NETWORK]), "ollama", bind, 11435, **options)


def rule_lines(text):
    """Return the rules proper."""
    return [line.strip() for line in text.splitlines() if re.search(r"(accept|drop)$", line)]


def dropped(text, source, target, port=11434, interface="eth0", opens=True, local=True):
    """Return what the rules do to a TCP packet: whether the first one that fits it drops it."""
    packet = {4: "ip", 6: "ip6"}[ipaddress.ip_address(target).version]
    for line in rule_lines(text):
        fits = True
        for family, field, unequal, networks in re.findall(r"(ip6?) ([sd]addr) (!= )?(\{[^}]*\}|\S+)", line):
            address = ipaddress.ip_address(source if field == "saddr" else target)
            inside = any(address in ipaddress.ip_network(part.strip(" {}")) for part in networks.split(","))
            fits &= family == packet and inside != bool(unequal)
        for name in re.findall(r'iifname "([^"]*)"', line):
            fits &= name == interface
        for number in re.findall(r"tcp dport (\d+)", line):
            fits &= int(number) == port
        fits &= opens or "tcp flags & (syn | ack) == syn" not in line
        fits &= local or "fib daddr type local" not in line
        if fits:
            return line.endswith("drop")
    return False


def test_table_of_an_instance_on_loopback():
    assert guard() == {"problems": [], "table": "alchemorsel_ollama", "rules": LOOPBACK}


@pytest.mark.parametrize(
    ("packet", "verdict"),
    [
        ({"source": "192.0.2.9", "target": "172.18.0.2"}, True),
        ({"source": "192.0.2.9", "target": "172.18.0.2", "port": 80, "opens": False}, True),
        ({"source": "192.0.2.9", "target": "127.0.0.1", "port": 11435}, True),
        # A container that would reach the host's loopback
        ({"source": "172.18.0.3", "target": "127.0.0.1", "interface": BRIDGE}, True),
        # A container of another network of the host
        ({"source": "172.19.0.3", "target": "172.18.0.2", "interface": "br-abcdef012345"}, True),
        ({"source": "127.0.0.1", "target": "127.0.0.1", "port": 11435, "interface": "lo"}, False),
        ({"source": "172.18.0.3", "target": "172.18.0.2", "interface": BRIDGE}, False),
        # The container's own requests, and answers to them, which come to the host's address
        ({"source": "172.18.0.2", "target": "198.51.100.7", "port": 443, "interface": BRIDGE}, False),
        ({"source": "198.51.100.7", "target": "192.0.2.11", "port": 40000, "opens": False}, False),
        # Somebody else's port on the host, of the same number
        ({"source": "192.0.2.9", "target": "192.0.2.11", "port": 11435}, False),
    ],
)
def test_packets_for_an_instance_on_loopback(packet, verdict):
    assert dropped(guard()["rules"], **packet) == verdict


@pytest.mark.parametrize(
    ("source", "target", "verdict"),
    [
        ("192.0.2.9", "192.0.2.11", False),
        ("198.51.100.5", "192.0.2.11", False),
        ("198.51.100.6", "192.0.2.11", True),
        # To another address of the host with the same port: another instance's matter
        ("198.51.100.6", "192.0.2.12", False),
        # The allowed too have the published port only
        ("192.0.2.9", "172.18.0.2", True),
    ],
)
def test_published_address_is_open_to_the_allowed_only(source, target, verdict):
    made = guard(bind="192.0.2.11", allow_from=["192.0.2.0/24", "198.51.100.5", "2001:db8::/32"])
    assert made["problems"] == []
    assert dropped(made["rules"], source, target, port=11435) == verdict
    assert not dropped(made["rules"], "172.18.0.3", "192.0.2.11", port=11435, interface=BRIDGE)
    assert not dropped(made["rules"], "192.0.2.11", "192.0.2.11", port=11435, interface="lo")


@pytest.mark.parametrize(
    ("bind", "allow", "source", "verdict"),
    [
        # To loopback: the former address is closed while the former container still publishes there
        ("127.0.0.1", [], "192.0.2.9", True),
        # To another address: the former one is kept for the same few
        ("192.0.2.12", ["192.0.2.0/24"], "192.0.2.9", False),
        ("192.0.2.12", ["192.0.2.0/24"], "198.51.100.6", True),
        ("2001:db8::1", ["2001:db8::/32"], "192.0.2.9", True),
    ],
)
def test_a_former_place_is_guarded_until_the_container_has_gone_from_it(bind, allow, source, verdict):
    there = [{"HostIp": "192.0.2.11", "HostPort": "11400"}]
    made = guard(bind=bind, allow_from=allow, bindings=there)
    assert made["problems"] == []
    assert dropped(made["rules"], source, "192.0.2.11", port=11400) == verdict
    assert not dropped(made["rules"], "192.0.2.11", "192.0.2.11", port=11400, interface="lo")
    assert not dropped(guard(bind=bind, allow_from=allow)["rules"], source, "192.0.2.11", port=11400)


@pytest.mark.parametrize(
    "there",
    [
        [{"HostIp": "127.0.0.1", "HostPort": "11400"}],
        [{"HostIp": "192.0.2.11", "HostPort": "11435"}],
        [{"HostIp": "192.0.2.11", "HostPort": ""}],
    ],
)
def test_loopback_and_the_declared_place_are_no_former_ones(there):
    options = {"bind": "192.0.2.11", "allow_from": ["192.0.2.0/24"]}
    assert guard(bindings=there, **options) == guard(**options)


def test_a_former_place_at_all_addresses():
    rules = guard(bindings=[{"HostIp": "", "HostPort": "11400"}] * 2)["rules"]
    assert rules.count("11400") == 1
    assert dropped(rules, "192.0.2.9", "192.0.2.11", port=11400)
    assert not dropped(rules, "192.0.2.9", "203.0.113.1", port=11400, local=False)


def test_all_addresses_are_those_of_the_host_and_not_those_behind_it():
    rules = guard(bind="0.0.0.0", allow_from=["192.0.2.0/24"], exposed=True)["rules"]
    assert dropped(rules, "198.51.100.6", "192.0.2.11", port=11435)
    assert not dropped(rules, "192.0.2.9", "192.0.2.11", port=11435)
    assert not dropped(rules, "198.51.100.6", "203.0.113.1", port=11435, local=False)


def test_everybody_is_no_rule_for_the_port_and_still_one_for_the_container():
    rules = guard(bind="192.0.2.11", allow_from=["0.0.0.0/0", "192.0.2.0/24"], exposed=True)["rules"]
    assert "11435" not in rules
    assert dropped(rules, "198.51.100.6", "172.18.0.2")


def test_addresses_that_the_engine_does_not_translate_get_answers_and_no_connections():
    for network, source, target in [
        (DUAL, "2001:db8::9", "fd00:1::2"),
        (
            {**NETWORK, "Options": {"com.docker.network.bridge.enable_ip_masquerade": "false"}},
            "192.0.2.9",
            "172.18.0.2",
        ),
    ]:
        rules = guard(network)["rules"]
        assert dropped(rules, source, target)
        assert not dropped(rules, source, target, port=40000, opens=False)
    assert dropped(guard(DUAL)["rules"], "192.0.2.9", "172.18.0.2", opens=False)


def test_bridge_has_the_name_that_was_asked_for():
    rules = guard({**NETWORK, "Options": {"com.docker.network.bridge.name": "docker0"}})["rules"]
    assert not dropped(rules, "172.18.0.3", "172.18.0.2", interface="docker0")
    assert dropped(rules, "172.18.0.3", "172.18.0.2", interface=BRIDGE)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"allow_from": ["10.0.0.0/33"]}, "'10.0.0.0/33': a network or an address is wanted"),
        ({"allow_from": ["intranet"]}, "'intranet': a network or an address is wanted"),
        ({"allow_from": ["fe80::1%eth0"]}, "'fe80::1%eth0': a network or an address is wanted"),
        ({"allow_from": ["192.0.2.11/24"]}, "write 192.0.2.0/24, or 192.0.2.11 for this host only"),
        ({"allow_from": ["2001:db8::5/32"]}, "write 2001:db8::/32, or 2001:db8::5 for this host only"),
        ({"bind": "192.0.2.11", "allow_from": ["0.0.0.0/0"]}, "0.0.0.0/0, which lets everybody in"),
        ({"bind": "192.0.2.11", "allow_from": ["::/0"]}, "::/0, which lets everybody in"),
        (
            {"bind": "192.0.2.11", "allow_from": ["0.0.0.0/1", "128.0.0.0/1"]},
            "(0.0.0.0/1, 128.0.0.0/1) lets everybody in",
        ),
        ({"bind": "192.0.2.11"}, "ollama_allow_from is empty"),
        ({"bind": "0.0.0.0", "exposed": True}, "ollama_allow_from is empty"),
        ({"bind": "192.0.2.11", "allow_from": ["2001:db8::/32"]}, "names no IPv4 network (2001:db8::/32)"),
        ({"bind": "192.0.2.11", "allow_from": ["192.0.2.0/24"], "guarded": False}, "ollama_guard is false, so nothing"),
        (
            {"bind": "192.0.2.11", "allow_from": ["192.0.2.0/24"], "guarded": False, "exposed": True},
            "ollama_allow_from is set and ollama_guard is false",
        ),
    ],
)
def test_declaration_that_cannot_be_kept(options, said):
    for network in (NETWORK, {}):
        made = guard(network, **options)
        assert len(made["problems"]) == 1
        assert said in made["problems"][0]
        assert made["rules"] == ""


@pytest.mark.parametrize(
    "options",
    [
        {},
        # A list for a whole fleet harms nobody on a host that publishes on loopback
        {"allow_from": ["192.0.2.0/24"], "guarded": False},
        {"bind": "127.0.0.2"},
        {"bind": "192.0.2.11", "exposed": True, "guarded": False},
        {"bind": "192.0.2.11", "exposed": True, "allow_from": ["0.0.0.0/0"]},
        {"bind": "not an address"},
    ],
)
def test_declaration_that_can_be_kept(options):
    assert guard({}, **options)["problems"] == []


def test_all_problems_are_told_at_once():
    found = guard(
        {"Driver": "macvlan", "Name": "lan"}, bind="192.0.2.11", allow_from=["a", "192.0.2.0/33", "0.0.0.0/0"]
    )
    assert len(found["problems"]) == 4
    assert "lan, a network of the driver macvlan" in found["problems"][3]
    assert guard({"Driver": "macvlan", "Name": "lan"}, guarded=False)["problems"] == []


@pytest.mark.parametrize(
    ("network", "options"),
    [("bridge", {}), (None, {}), ({}, {"allow_from": "192.0.2.0/24"}), ({}, {"allow_from": [1]})],
)
def test_wrong_argument_is_named(network, options):
    with pytest.raises(AnsibleFilterError, match="network_guard"):
        guard(network, **options)


ADDRESSES = {4: st.ip_addresses(v=4), 6: st.ip_addresses(v=6)}


@st.composite
def cidrs(draw):
    """Return a network of either family, at times within one of a few, so that they overlap."""
    version = draw(st.sampled_from([4, 4, 4, 6]))
    address = draw(ADDRESSES[version] | st.just(ipaddress.ip_address("10.1.2.3" if version == 4 else "2001:db8::1")))
    return str(ipaddress.ip_network((address, draw(st.integers(1, 32 if version == 4 else 128))), strict=False))


@given(
    allow=st.lists(cidrs(), min_size=1, max_size=8),
    near=st.integers(0, 7),
    shift=st.integers(-1, 2**30),
    data=st.data(),
)
def test_any_list_lets_in_exactly_its_members(allow, near, shift, data):
    networks = [network for network in map(ipaddress.ip_network, allow) if network.version == 4]
    made = guard(bind="192.0.2.11", allow_from=allow, exposed=True)
    if not networks:
        assert "names no IPv4 network" in made["problems"][0]
        return
    # At random, and around the edges of a network, where errors are
    edge = int(networks[near % len(networks)].network_address) + shift
    source = data.draw(st.sampled_from([ipaddress.IPv4Address(edge % 2**32), data.draw(ADDRESSES[4])]))
    member = any(source in network for network in networks)
    assert dropped(made["rules"], str(source), "192.0.2.11", port=11435) == (not member)
    # nft refuses a set whose intervals overlap
    found = re.search(r"saddr != \{ (.*) \}", made["rules"])
    if found:
        in_set = sorted(ipaddress.ip_network(part) for part in found[1].split(", "))
        assert not any(left.overlaps(right) for left, right in zip(in_set, in_set[1:]))


@given(entry=st.text(max_size=20), bind=st.text(max_size=20))
def test_any_text_is_judged_and_never_reaches_the_rules(entry, bind):
    made = guard(bind=bind, allow_from=[entry], exposed=True)
    for line in rule_lines(made["rules"]):
        assert re.fullmatch(r'[\w\s":./{},!=&|()-]+', line)
    assert made["problems"] or ipaddress.ip_network(entry)
