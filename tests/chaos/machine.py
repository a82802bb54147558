# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The thin edge to the machines of the lab: commands in them, and the control of the model registry."""

from __future__ import annotations

import json
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Machine:
    """A container of the lab, entered as root.

    :param name: such as alab-chaos-deb13a
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def sh(self, script: str, *arguments: str, stdin: str = "", check: bool = True, timeout: float = 120) -> str:
        """Run a script and return what it printed; raises RuntimeError with its words where it failed."""
        return self.run("sh", "-ec", script, "sh", *arguments, stdin=stdin, check=check, timeout=timeout)

    def python(self, code: str, *arguments: str, timeout: float = 120) -> str:
        """Run Python code of ours on the machine's own interpreter."""
        return self.run("python3", "-", *arguments, stdin=code, timeout=timeout)

    def run(self, *command: str, stdin: str = "", check: bool = True, timeout: float = 120) -> str:
        """Run a command; see sh."""
        return docker("exec", "-i", self.name, *command, stdin=stdin, check=check, timeout=timeout)

    def settled(self, seconds: float = 90) -> None:
        """Wait until systemd has started all that it starts."""
        deadline = time.monotonic() + seconds
        while self.run("systemctl", "is-system-running", check=False).strip() not in ("running", "degraded"):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} has not come up within {seconds} s")
            time.sleep(0.3)


def docker(*arguments: str, stdin: str = "", check: bool = True, timeout: float = 120) -> str:
    """Run docker on this machine; return what it printed."""
    done = subprocess.run(
        ["docker", *arguments], input=stdin, capture_output=True, text=True, timeout=timeout, check=False
    )
    if check and done.returncode:
        words = (done.stderr or done.stdout).strip()[-1500:]
        raise RuntimeError(f"docker {' '.join(arguments)[:200]} ended with {done.returncode}: {words}")
    return done.stdout


class Registry:
    """The lab's model registry: what it was asked, and the faults that it shows (lab/standin/faults.py).

    :param machine: the services
    :param ca: certificate of the lab's CA
    """

    def __init__(self, machine: Machine, ca: Path) -> None:
        self.machine, self.ca = machine, ca

    def fail(self, kind: str, path: str = "", **fields: Any) -> None:
        """Add a fault for requests whose path matches."""
        self._control("POST", "/faults", {"kind": kind, "path": path, **fields})

    def heal(self) -> None:
        """Remove all faults."""
        self._control("DELETE", "/faults")

    def log(self) -> list[str]:
        """Return each request since the last reset, in order."""
        return list(self._control("GET", "")["log"])

    def reset(self) -> None:
        """Remove all faults and forget all requests."""
        self._control("POST", "/reset")

    def asked(self, words: str, times: int = 1, seconds: float = 240) -> None:
        """Wait until requests with these words have come."""
        deadline = time.monotonic() + seconds
        while sum(words in line for line in self.log()) < times:
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"the registry was not asked '{words}' {times} times within {seconds} s: {self.log()[-5:]}"
                )
            time.sleep(0.05)

    def _control(self, method: str, path: str, body: Any = None) -> Any:
        # Docker gives another port after each restart
        port = docker("port", self.machine.name, "5443/tcp").split(":")[-1].strip()
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"https://127.0.0.1:{port}/_control{path}", data=data, method=method)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(self.ca))),
        )
        with opener.open(request, timeout=60) as answer:
            return json.load(answer)
