# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel counts of a server's memory (cgroup): whether it killed a process of it. No I/O.

Nobody else tells: the kernel kills the runner and not the server, and the container stays running and healthy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.alchemorsel.ollama.plugins.module_utils._numbers import counted
from ansible_collections.alchemorsel.ollama.plugins.module_utils._verdicts import OK, SKIPPED, WARNING, Check, failed

# A limit this high is none: cgroup v1 writes the largest number of pages for "no limit".
_NO_LIMIT = 1 << 60


@dataclass(frozen=True)
class Memory:
    """Processes killed for memory since the cgroup was made, and its limit in bytes (None: no limit).

    `problem` says why `kills` is None.
    """

    path: str
    kills: int | None = None
    limit: int | None = None
    problem: str = ""


def cgroup_directories(text: str) -> list[str]:
    """Return where a process's memory is counted, below /sys/fs/cgroup, by its /proc/PID/cgroup: v1 first, then v2.

    Both can be there (hybrid); the memory controller is then with v1.
    """
    v1, v2 = [], []
    for line in text.splitlines():
        number, _colon, rest = line.partition(":")
        controllers, _colon, path = rest.partition(":")
        if number == "0" and not controllers:
            v2.append(path.strip("/"))
        elif "memory" in controllers.split(","):
            v1.append("memory/" + path.strip("/"))
    return v1 + v2


def parse_kills(text: str | None) -> int | None:
    """Return the number after `oom_kill` in memory.events (v2) or memory.oom_control (v1), None if it is not there."""
    found = re.search(r"^oom_kill (\d+)$", text or "", re.MULTILINE)
    return counted(found.group(1)) if found else None


def parse_limit(text: str | None) -> int | None:
    """Return the bytes of memory.max (v2) or memory.limit_in_bytes (v1), None for no limit."""
    limit = counted(text or "")
    return limit if limit is not None and limit < _NO_LIMIT else None


def check_memory(before: Memory, after: Memory) -> Check:
    """Judge the kills during the check and before it."""
    if after.kills is None or before.kills is None:
        problem = after.problem or before.problem
        return Check("memory", SKIPPED, f"kills for memory cannot be told: {problem}", after.path or None)
    limit = "no limit" if after.limit is None else f"limit {after.limit / 1e9:.1f} GB"
    during = after.kills - before.kills
    if during > 0:
        reason = (
            f"the kernel killed {_processes(during)} of the server for memory during this check "
            f"(oom_kill {before.kills}, then {after.kills}; {limit})"
        )
        return failed("memory", "out_of_memory", reason, after.path, after.kills, before.kills, "kills")
    if after.kills:
        reason = f"the kernel has killed {_processes(after.kills)} of the server for memory since it started ({limit})"
        remedy = (
            "raise the memory limit or load less; ask each model for an answer, the server lists also those that died"
        )
        return Check("memory", WARNING, reason, after.path, None, after.kills, 0, "kills", remedy)
    return Check(
        "memory", OK, f"no process of the server was killed for memory ({limit})", after.path, None, 0, 0, "kills"
    )


def _processes(count: int) -> str:
    return f"{count} process{'' if count == 1 else 'es'}"
