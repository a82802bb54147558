# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of a playbook as a process that can be watched, and ended at a moment of its output."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .machine import ROOT
from .verdict import Run

LIMIT = 400.0


class Play:
    """A run of ansible-playbook on one host of the lab's inventory.

    :param book: path of the playbook, from the root of the checkout
    :param variables: extra variables
    :param log: file for the output
    """

    def __init__(self, host: str, book: str, variables: Mapping[str, Any], log: Path | None = None) -> None:
        self.log = log
        self.folder = tempfile.TemporaryDirectory(prefix="alchemorsel-chaos-")
        self.report = Path(self.folder.name) / "report.json"
        self.lines: list[str] = []
        self.news = threading.Condition()
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            ["ansible-playbook", "-i", "inventories/lab", "--limit", host, "-e", json.dumps(variables), book],
            cwd=ROOT,
            env={**os.environ, **self._reporting()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _reporting(self) -> dict[str, str]:
        return {
            "LAB_REPORT_FILE": str(self.report),
            "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "lab" / "callback_plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": "lab_report",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_FORCE_COLOR": "0",
        }

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self.news:
                self.lines.append(line)
                self.news.notify_all()
        with self.news:
            self.news.notify_all()

    def reach(self, words: str, times: int = 1, seconds: float = 240) -> None:
        """Wait until the output says something (a regular expression) so many times, such as the name of a task."""
        deadline = time.monotonic() + seconds
        with self.news:
            while sum(re.search(words, line) is not None for line in self.lines) < times:
                if self.process.poll() is not None and not self.reader.is_alive():
                    raise RuntimeError(f"the run ended before '{words}': {''.join(self.lines)[-1500:]}")
                if time.monotonic() > deadline:
                    raise RuntimeError(
                        f"the run did not come to '{words}' within {seconds} s: {''.join(self.lines)[-500:]}"
                    )
                self.news.wait(0.2)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> Run:
        """Send a signal to all processes of the run on this machine, as a runner that is cancelled does, and wait for its end."""
        for pid in [*below(self.process.pid), self.process.pid]:
            hit(pid, number)
        return self.end()

    def cut(self, seconds: float = 20) -> None:
        """End the connection to the host, as soon as there is one."""
        deadline = time.monotonic() + seconds
        while not (clients := [pid for pid in below(self.process.pid) if is_client(command_line(pid))]):
            if time.monotonic() > deadline:
                raise RuntimeError(f"there was no connection within {seconds} s")
        for pid in clients:
            hit(pid, signal.SIGKILL)

    def end(self, seconds: float = LIMIT) -> Run:
        """Wait for the end and return what the run came to."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            for pid in [*below(self.process.pid), self.process.pid]:
                hit(pid, signal.SIGKILL)
            status = self.process.wait()
            self.lines.append(f"the run was ended after {seconds} s\n")
        took = time.monotonic() - self.began
        self.reader.join(5)
        changed: list[str] = []
        if self.report.exists():
            changed = [
                task for tasks in json.loads(self.report.read_text())["changed_tasks"].values() for task in tasks
            ]
        self.folder.cleanup()
        if self.log:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            self.log.write_text("".join(self.lines), encoding="utf-8")
        return Run(status, tuple(changed), "".join(self.lines), took)


def below(pid: int) -> list[int]:
    """Return all processes below one, the deepest first."""
    found: list[int] = []
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        for task in tasks:
            for child in (task / "children").read_text(encoding="ascii").split():
                found = [*below(int(child)), int(child), *found]
    except OSError:
        return found
    return found


def command_line(pid: int) -> list[bytes]:
    """Return the command of a process; empty where it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def is_client(words: list[bytes]) -> bool:
    """Return whether a process is the connection of a task."""
    return bool(words) and words[0].endswith(b"docker") and b"exec" in words


def hit(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process, if it is still there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
