# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who waits for an answer, by what ss prints, and how long it is waited for them."""

from __future__ import annotations

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._drain import busy_clients, drain, look_into

CLIENT = "172.18.0.1:40122"


def printed(peer=CLIENT, **numbers):
    details = " ".join(f"{key}:{value}" for key, value in numbers.items())
    return f"0      0           172.18.0.2:11434      {peer}\n\t cubic wscale:7,7 rto:204 rtt:0.05/0.02 mss:1448 cwnd:10 {details} rcv_space:14480\n"


@pytest.mark.parametrize(
    ("numbers", "busy"),
    [
        # The request is in, no answer yet
        ({"bytes_received": 120, "lastsnd": 9000, "lastrcv": 9000}, True),
        # An answer came before, another request is in work
        ({"bytes_sent": 500, "bytes_received": 240, "lastsnd": 20000, "lastrcv": 9000}, True),
        # A stream between two words; ss leaves out a lastsnd of 0
        ({"bytes_sent": 500, "bytes_received": 120, "lastsnd": 1200, "lastrcv": 30000}, True),
        ({"bytes_sent": 500, "bytes_received": 120, "lastrcv": 30000}, True),
        # Kept open after an answer
        ({"bytes_sent": 500, "bytes_received": 120, "lastsnd": 9000, "lastrcv": 9004}, False),
        ({"bytes_sent": 500, "bytes_received": 120, "lastsnd": 9000, "lastrcv": 9000}, False),
        # A kernel that tells nothing
        ({}, True),
    ],
)
def test_who_waits(numbers, busy):
    assert busy_clients(printed(**numbers)) == ([CLIENT] if busy else [])


@pytest.mark.parametrize("peer", ["127.0.0.1:5000", "[::1]:5000", "[::ffff:127.0.0.1]:5000"])
def test_the_servers_own_health_check_does_not_count(peer):
    assert busy_clients(printed(peer)) == []


def test_several_connections_also_of_ipv6_and_in_one_line_each():
    text = (
        printed()
        + printed("[::ffff:172.18.0.9]:41000", bytes_sent=5, lastsnd=9000, lastrcv=9001)
        + printed("[fd00::7]:41000")
    )
    assert busy_clients(text) == [CLIENT, "[fd00::7]:41000"]
    assert busy_clients(text.replace("\n\t", " ")) == [CLIENT, "[fd00::7]:41000"]
    assert busy_clients("") == []


def test_drain_ends_when_nobody_waits():
    answers = [[CLIENT], [CLIENT], []]
    drained = drain(lambda: answers.pop(0), 60, pause=0)
    assert (drained.busy, drained.problem, answers) == ([], "", [])


def test_drain_ends_when_the_time_is_up_and_names_who_still_waits():
    assert drain(lambda: [CLIENT], 0, pause=0).busy == [CLIENT]
    assert drain(lambda: [CLIENT], 0.01, pause=0).seconds >= 0.01


def test_drain_waits_for_nobody_where_it_cannot_see():
    drained = drain(lambda: None, 60)
    assert drained.busy == []
    assert "cannot be seen" in drained.problem


def test_the_containers_network_is_looked_into(tmp_path):
    assert look_into(4711, 11434, tmp_path) is None
    tool = tmp_path / "usr/bin/nsenter"
    tool.parent.mkdir(parents=True)
    tool.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/asked\nprintf "%s" "{printed()}"\n', encoding="utf-8")
    tool.chmod(0o755)
    assert look_into(4711, 11434, tmp_path) == [CLIENT]
    asked = (tmp_path / "asked").read_text(encoding="utf-8").strip()
    assert asked == "-t 4711 -n ss -Htni state established sport = :11434"
    tool.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    assert look_into(4711, 11434, tmp_path) is None
