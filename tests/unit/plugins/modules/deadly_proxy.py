# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands before a server and can end the process that asks, right after a request that changes something."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from fake_ollama import WRITES
from local_server import LocalServer


class DeadlyProxy(LocalServer):
    """Counts the requests that change something.

    `arm(number, kill, late)`: call `kill` at the request of this number, when the server has done it (`late`), or when its answer begins.
    """

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url).netloc
        self._lock = threading.Lock()
        self.arm(0, lambda: None)
        super().__init__()

    def arm(self, number: int, kill: Callable[[], None], *, late: bool = True) -> None:
        self._number, self._kill, self._late = number, kill, late
        #: the requests so far that change something, as `METHOD path`
        self.writes: list[str] = []

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        request = f"{handler.command} {handler.path}"
        body = _body(handler)
        deadly = False
        if request.startswith(WRITES):
            with self._lock:
                self.writes.append(request)
                deadly = len(self.writes) == self._number
        upstream = http.client.HTTPConnection(self._target)
        try:
            upstream.request(handler.command, handler.path, body, {"Content-Type": "application/json"})
            answer = upstream.getresponse()
            if deadly:
                if self._late:
                    answer.read()
                self._kill()
                return
            handler.send_response(answer.status)
            handler.send_header("Connection", "close")
            handler.send_header("Content-Type", answer.headers.get("Content-Type", "text/plain"))
            handler.end_headers()
            while piece := answer.read1(1 << 16):
                handler.wfile.write(piece)
                handler.wfile.flush()
        finally:
            upstream.close()


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    if handler.headers.get("Transfer-Encoding", "") != "chunked":
        return handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    body = b""
    while length := int(handler.rfile.readline() or b"0", 16):
        body += handler.rfile.read(length)
        handler.rfile.readline()
    handler.rfile.readline()
    return body
