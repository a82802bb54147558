# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host below a directory: its commands, processes and cgroups are what a test says."""

from __future__ import annotations

import shlex
from pathlib import Path


class FakeHost:
    """Files below `root`; `calls` has the command lines that were run, in order."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "usr/bin").mkdir(parents=True)

    def file(self, path: str, text: str) -> Path:
        """Write a file and return where it lies."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return target

    def tool(self, name: str, stdout: str = "", rc: int = 0, stderr: str = "", first: str = "") -> None:
        """Install a command that answers so; with `first`, only where that is its first argument."""
        log = self.root / "calls"
        path = self.root / "usr/bin" / name
        if not path.exists():
            path.write_text(f'#!/bin/sh\necho {name} "$@" >> {shlex.quote(str(log))}\n')
            path.chmod(0o755)
        test = f'[ "$1" = {shlex.quote(first)} ]' if first else "true"
        answer = f"printf %s {shlex.quote(stdout)}; printf %s {shlex.quote(stderr)} >&2; exit {rc}"
        with path.open("a") as script:
            script.write(f"if {test}; then {answer}; fi\n")

    def process(self, pid: int, name: str, parent: int = 1) -> None:
        """Let a process be seen."""
        self.file(f"proc/{pid}/stat", f"{pid} ({name}) S {parent} {pid} {pid} 0 -1")

    def container(self, pid: int = 100, cgroup: str = "0::/system.slice/docker-ab.scope\n") -> None:
        """Let Docker know a running container."""
        self.tool("docker", f"{pid} 2026-11-26T10:00:00.123456789Z\n", first="inspect")
        self.process(pid, "tini")
        self.file(f"proc/{pid}/cgroup", cgroup)

    def kills(self, count: int, directory: str = "sys/fs/cgroup/system.slice/docker-ab.scope") -> None:
        """Let the kernel have killed so many processes of a cgroup (v2)."""
        self.file(f"{directory}/memory.events", f"oom {count}\noom_kill {count}\noom_group_kill 0\n")
        self.file(f"{directory}/memory.max", "8589934592\n")

    @property
    def calls(self) -> list[str]:
        log = self.root / "calls"
        return log.read_text().splitlines() if log.exists() else []
