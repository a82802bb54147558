# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who waits for an answer of a server in a container: connections as the kernel counts them.

They are looked for inside the container's network namespace, where all of them meet: clients on the host, who come by the
published port, and neighbours on the Docker network, of whom the host's own list of sockets says nothing.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from ansible_collections.alchemorsel.ollama.plugins.module_utils._gpu import run_tool
from ansible_collections.alchemorsel.ollama.plugins.module_utils._numbers import counted

#: A stream whose last words are no older than this (ms) may go on; slow models pause between words.
PAUSE = 5000
_SECONDS = 10.0


@dataclass(frozen=True)
class Drained:
    """How a drain ended: who was still served then, how long it took, and why it could not be seen."""

    busy: list[str]
    seconds: float
    problem: str = ""


def busy_clients(text: str) -> list[str]:
    """Return the addresses of those who wait for an answer, by the output of ``ss -Htni state established``.

    A client that keeps its connection open between two requests waits for nothing. It is told by the times since data last
    went either way: a request in work was received after the last answer was sent, or its answer is being sent. The server's
    own health check, which comes from inside, does not count.
    """
    return [peer for peer, details in _connections(text) if not _is_own(peer) and _waits(details)]


def drain(look: Callable[[], list[str] | None], seconds: float, pause: float = 0.25) -> Drained:
    """Wait until nobody waits for an answer, ``seconds`` at most.

    :param look: returns who waits, ``None`` if it cannot be seen
    """
    began = time.monotonic()
    while True:
        busy = look()
        waited = time.monotonic() - began
        if busy is None:
            return Drained(
                [], waited, "the connections cannot be seen: nsenter or ss is missing or failed on this host"
            )
        if not busy or waited >= seconds:
            return Drained(busy, waited)
        time.sleep(pause)


def look_into(pid: int, port: int, root: Path = Path("/")) -> list[str] | None:
    """Return who waits for an answer at a port of a container, ``None`` if it cannot be seen.

    :param pid: the container's first process
    """
    argv = ["nsenter", "-t", str(pid), "-n", "ss", "-Htni", "state", "established", f"sport = :{port}"]
    answer = run_tool(root, argv, _SECONDS)
    return busy_clients(answer.stdout) if answer.found and answer.rc == 0 else None


def _connections(text: str) -> Iterator[tuple[str, str]]:
    """Yield peer and details of each connection; the details stand in a line of their own that begins with a blank."""
    joined = re.sub(r"\n[ \t]+", " ", text)
    for line in joined.splitlines():
        fields = line.split(None, 4)
        if len(fields) >= 4:
            yield fields[3], fields[4] if len(fields) > 4 else ""


def _waits(details: str) -> bool:
    found = re.findall(r"\b(bytes_sent|lastsnd|lastrcv):(\d+)", details)
    numbers = {key: number for key, value in found if (number := counted(value)) is not None}
    if "lastrcv" not in numbers and "lastsnd" not in numbers:
        # A kernel that does not tell: better to wait for nobody than to cut somebody
        return True
    # ss leaves out what is 0
    sent, received = numbers.get("lastsnd", 0), numbers.get("lastrcv", 0)
    return not numbers.get("bytes_sent") or received < sent or sent < PAUSE


def _is_own(peer: str) -> bool:
    address = peer.rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback
