# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host of the lab, entered as root to look at it, and runs of Ansible against it as a user makes them."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[2]
PLAYS = Path(__file__).parent / "plays"


def needles(secret: str) -> list[bytes]:
    """Return a secret in all the ways in which it could be written: as it is, in an address, and in base64 wherever it begins there."""
    found = [secret.encode(), quote(secret, safe="").encode()]
    for shift in range(3):
        # The first and the last sign also tell of what stands beside it
        found.append(base64.b64encode(b"\0" * shift + secret.encode()).rstrip(b"=")[4 if shift else 0 : -2])
    return found


class Watch(threading.Thread):
    """Looks at the command lines of all processes of this machine, those inside of the lab's hosts, too, as long as it is open."""

    def __init__(self, secrets: list[str]) -> None:
        super().__init__(daemon=True)
        self._needles = [one for secret in secrets for one in needles(secret)]
        self._ended = threading.Event()
        self.looks = 0
        self.seen: set[str] = set()
        #: names of all processes that were seen
        self.commands: set[bytes] = set()

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        while not self._ended.wait(0.03):
            self.looks += 1
            for folder in Path("/proc").iterdir():
                if not folder.name.isdecimal():
                    continue
                try:
                    line = (folder / "cmdline").read_bytes()
                except OSError:
                    continue
                self.commands.add(line.partition(b"\0")[0])
                if any(needle in line for needle in self._needles):
                    self.seen.add(line.replace(b"\0", b" ")[:120].decode("utf-8", "replace"))


@dataclass
class Run:
    """One run of Ansible: all that it said, and how it ended."""

    output: str
    code: int
    seconds: float = 0.0
    processes: set[str] = field(default_factory=set)
    looks: int = 0

    def shows(self, secret: str) -> list[str]:
        """Return the lines that show a secret."""
        data = [needle.decode() for needle in needles(secret)]
        return [line[:300] for line in self.output.splitlines() if any(one in line for one in data)]


class Host:
    """A host of the lab."""

    def __init__(self, name: str = "deb13a") -> None:
        self.name = name
        self.container = f"alab-{os.environ['LAB_ID']}-{name}"
        self.services = f"alab-{os.environ['LAB_ID']}-services"

    def sh(self, script: str, *, check: bool = True, inside: str = "", data: bytes | None = None) -> str:
        """Run a script as root and return what it says."""
        command = ["docker", "exec", "-i", inside or self.container, "/bin/sh", "-c", script]
        done = subprocess.run(command, capture_output=True, check=False, input=data, timeout=300)
        assert not check or done.returncode == 0, done.stderr.decode("utf-8", "replace")
        return done.stdout.decode("utf-8", "replace")

    def play(
        self,
        play: str,
        variables: dict[str, Any],
        *options: str,
        secrets: list[str] | None = None,
        environment: dict[str, str] | None = None,
    ) -> Run:
        """Run a playbook with all that can be shown; the variables come from a file, as a vault would give them."""
        file = ROOT / ".build" / f"abuse-{os.getpid()}.json"
        file.write_text(json.dumps(variables))
        file.chmod(0o600)
        command = ["ansible-playbook", "--inventory=inventories/lab", f"--limit={self.name}", f"--extra-vars=@{file}"]
        began = time.monotonic()
        try:
            with Watch(secrets or []) as watch:
                done = subprocess.run(
                    [*command, *options, str(PLAYS / play)],
                    cwd=ROOT,
                    env={
                        **os.environ,
                        "ANSIBLE_NOCOLOR": "1",
                        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
                        **(environment or {}),
                    },
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    timeout=1800,
                    check=False,
                )
        finally:
            file.unlink()
        output = done.stdout.decode("utf-8", "replace")
        log = os.environ.get("ABUSE_LOG")
        if log:
            with open(log, "a", encoding="utf-8") as stream:
                stream.write(f"=== {play} {' '.join(options)}\n{output}")
        return Run(output, done.returncode, time.monotonic() - began, watch.seen, watch.looks)
