# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which steps lead to the new container, and back, from wherever a killed run left off."""

from __future__ import annotations

import itertools
import struct

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._engine import unpack
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidInput
from ansible_collections.alchemorsel.ollama.plugins.module_utils._exchange import (
    MISSING,
    RENAME,
    RUNNING,
    START,
    STOP,
    STOPPED,
    Names,
    published_url,
    state_of,
    steps_to_exchange,
    steps_to_restore,
    steps_to_start,
)

NAMES = Names("main", "next", "old")


def states(main, following=MISSING, old=MISSING):
    return {"main": main, "next": following, "old": old}


def shown(steps):
    return [" ".join(filter(None, step)) for step in steps]


def after(steps, found):
    """What is there after some steps, with what each container was before as its identity."""
    there = {name: (name, state) for name, state in found.items() if state != MISSING}
    for step in steps:
        identity, state = there.pop(step.name)
        if step.kind == RENAME:
            assert step.new not in there
            there[step.new] = (identity, state)
        elif step.kind in (START, STOP):
            assert state != (RUNNING if step.kind == START else STOPPED)
            there[step.name] = (identity, RUNNING if step.kind == START else STOPPED)
    return there


def test_exchange():
    steps = steps_to_exchange(NAMES, states(RUNNING, STOPPED))
    assert shown(steps) == ["stop main", "rename main old", "rename next main", "start main"]
    assert shown(steps_to_exchange(NAMES, states(STOPPED, STOPPED)))[0] == "rename main old"
    assert shown(steps_to_exchange(NAMES, states(MISSING, STOPPED))) == ["rename next main", "start main"]
    assert steps_to_exchange(NAMES, states(RUNNING, MISSING, STOPPED)) == []


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (states(RUNNING), "no container next to take the place of main; create it first"),
        (
            states(RUNNING, STOPPED, STOPPED),
            "old waits since an earlier exchange that was not ended; use state=restored first",
        ),
    ],
)
def test_exchange_refuses(found, words):
    with pytest.raises(InvalidInput, match=words):
        steps_to_exchange(NAMES, found)


@pytest.mark.parametrize("killed_after", range(5))
def test_from_each_point_of_an_exchange_the_old_container_comes_back(killed_after):
    found = states(RUNNING, STOPPED)
    there = after(steps_to_exchange(NAMES, found)[:killed_after], found)
    now = {name: there[name][1] if name in there else MISSING for name in found}
    back = after(steps_to_restore(NAMES, now), now)
    assert back["main"][1] == RUNNING
    assert "old" not in back
    # The container that serves is the one that was main before
    assert back["main"][0] == ("old" if there.get("old") else "main")


@pytest.mark.parametrize(("main", "old"), list(itertools.product([MISSING, STOPPED, RUNNING], [STOPPED, RUNNING])))
def test_restore_takes_what_waits_aside(main, old):
    found = states(main, MISSING, old)
    assert after(steps_to_restore(NAMES, found), found) == {"main": ("old", RUNNING)}


def test_restore_of_what_serves_does_nothing_and_of_nothing_is_refused():
    assert steps_to_restore(NAMES, states(RUNNING)) == []
    assert shown(steps_to_restore(NAMES, states(STOPPED))) == ["start main"]
    with pytest.raises(InvalidInput, match="neither a container main nor old"):
        steps_to_restore(NAMES, states(MISSING))


def test_start():
    assert shown(steps_to_start(NAMES, states(STOPPED))) == ["start main"]
    assert steps_to_start(NAMES, states(RUNNING)) == []
    with pytest.raises(InvalidInput, match="no container main to start"):
        steps_to_start(NAMES, states(MISSING))


@pytest.mark.parametrize(
    ("ports", "url"),
    [
        ({"11434/tcp": [{"HostIp": "127.0.0.1", "HostPort": "11435"}]}, "http://127.0.0.1:11435"),
        ({"11434/tcp": [{"HostIp": "0.0.0.0", "HostPort": "11435"}]}, "http://127.0.0.1:11435"),
        ({"11434/tcp": [{"HostIp": "", "HostPort": "11435"}]}, "http://127.0.0.1:11435"),
        (
            {"11434/tcp": [{"HostIp": "::", "HostPort": "1"}, {"HostIp": "192.0.2.1", "HostPort": "2"}]},
            "http://192.0.2.1:2",
        ),
        ({"11434/tcp": None}, None),
        ({"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "80"}]}, None),
        (None, None),
    ],
)
def test_where_a_port_is_published(ports, url):
    assert published_url({"NetworkSettings": {"Ports": ports}}, 11434) == url


def test_states():
    assert state_of(None) == MISSING
    assert state_of({"State": {"Running": True}}) == RUNNING
    assert state_of({"State": {"Running": False}}) == STOPPED
    assert state_of({}) == STOPPED


def test_a_log_is_unpacked_from_its_frames():
    frames = b"".join(struct.pack(">B3xI", stream, len(text)) + text for stream, text in ((1, b"one\n"), (2, b"two\n")))
    assert unpack(frames) == b"one\ntwo\n"
    assert unpack(b"a terminal's log\n") == b"a terminal's log\n"
    assert unpack(b"") == b""
