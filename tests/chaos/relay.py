# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands before the server on a host, and kills its process once, at the moment when a certain request passes.

Runs there: `python3 relay.py PORT TARGET_PORT REQUEST SECONDS PID`. REQUEST is the beginning of a request, such as
`POST /api/create`; the process gets KILL so many seconds after that has been handed on, and relay.py.struck says so then.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path


class Relay:
    """Hands on bytes both ways, and looks at those that go to the server."""

    def __init__(self, target: int, words: bytes, seconds: float, pid: int) -> None:
        self.target, self.words, self.seconds, self.pid = target, words, seconds, pid
        self.armed = threading.Lock()

    def serve(self, listener: socket.socket) -> None:
        """Take connections for ever."""
        while True:
            client, _address = listener.accept()
            threading.Thread(target=self.hand_on, args=(client,), daemon=True).start()

    def hand_on(self, client: socket.socket) -> None:
        """Connect a client with the server."""
        try:
            server = socket.create_connection(("127.0.0.1", self.target), timeout=10)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        threading.Thread(target=copy, args=(server, client), daemon=True).start()
        copy(client, server, self.look)

    def look(self, data: bytes) -> None:
        """Kill the server if this is the request, and it has not been killed yet."""
        if self.words in data and self.armed.acquire(blocking=False):
            time.sleep(self.seconds)
            os.kill(self.pid, signal.SIGKILL)
            Path(__file__ + ".struck").touch()


def copy(source: socket.socket, target: socket.socket, seen: object = None) -> None:
    """Hand on what comes until one side closes."""
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
            if callable(seen):
                seen(data)
    except OSError:
        return
    finally:
        # A socket that is only closed stays open for as long as the other thread reads from it
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


if __name__ == "__main__":
    port, target, words, seconds, pid = sys.argv[1:]
    relay = Relay(int(target), words.encode(), float(seconds), int(pid))
    relay.serve(socket.create_server(("127.0.0.1", int(port))))
