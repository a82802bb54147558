# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills for memory, as the files of cgroup v1 and v2 tell them."""

from __future__ import annotations

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _cgroup as cgroup
from ansible_collections.alchemorsel.ollama.plugins.module_utils._cgroup import Memory

EVENTS = "low 0\nhigh 12\nmax 4711\noom 3\noom_kill 2\noom_group_kill 0\n"
CONTROL = "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n"
V1 = "12:pids:/docker/ab\n11:cpu,cpuacct:/docker/ab\n4:memory:/docker/ab\n1:name=systemd:/docker/ab\n"


@pytest.mark.parametrize(
    ("text", "directories"),
    [
        ("0::/system.slice/docker-ab.scope\n", ["system.slice/docker-ab.scope"]),
        (V1, ["memory/docker/ab"]),
        (V1 + "0::/docker/ab\n", ["memory/docker/ab", "docker/ab"]),
        ("0::/\n", [""]),
        ("", []),
    ],
)
def test_where_memory_is_counted(text, directories):
    assert cgroup.cgroup_directories(text) == directories


@pytest.mark.parametrize(("text", "kills"), [(EVENTS, 2), (CONTROL, 5), ("oom 3\n", None), ("", None), (None, None)])
def test_kills(text, kills):
    assert cgroup.parse_kills(text) == kills


@pytest.mark.parametrize(
    ("text", "limit"),
    [("max\n", None), ("8589934592\n", 8589934592), ("9223372036854771712\n", None), ("", None), (None, None)],
)
def test_limit(text, limit):
    assert cgroup.parse_limit(text) == limit


@pytest.mark.parametrize(
    ("before", "after", "status", "words"),
    [
        (0, 0, "ok", "no process of the server was killed for memory (limit 8.0 GB)"),
        (2, 2, "warning", "has killed 2 processes of the server for memory since it started"),
        (
            0,
            1,
            "failed",
            "killed 1 process of the server for memory during this check (oom_kill 0, then 1; limit 8.0 GB)",
        ),
        (2, 4, "failed", "killed 2 processes"),
    ],
)
def test_judgement(before, after, status, words):
    check = cgroup.check_memory(Memory("/c", before, 8 * 10**9), Memory("/c", after, 8 * 10**9))
    assert (check.status, check.target, check.value) == (status, "/c", after)
    assert words in check.reason
    assert check.verdict == ("out_of_memory" if status == "failed" else None)
    assert bool(check.remedy) is (status != "ok")


def test_what_cannot_be_read_is_skipped():
    check = cgroup.check_memory(Memory("/c", 0), Memory("", problem="container ollama does not run"))
    assert (check.status, check.verdict) == ("skipped", None)
    assert "container ollama does not run" in check.reason
