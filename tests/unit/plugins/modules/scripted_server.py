# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An HTTP server that answers what a test says, for faults that a real server shows only by accident."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from local_server import LocalServer


@dataclass
class Reply:
    """One answer. `lines` are sent one by one; with `hang` nothing follows until the server stops, with `cut` not even an end."""

    status: int = 200
    body: Any = None
    lines: list[Any] = field(default_factory=list)
    hang: bool = False
    cut: bool = False
    headers: dict[str, str] = field(default_factory=dict)


class ScriptedServer(LocalServer):
    """Replies by path, or by its folder and `*`; a list of replies is used up from the front, its last one stays.

    `requests` has method, path and decoded body of each request, in the order of arrival. The body of a blob is what there
    is to know of it: `blob` that it should be, `sha256` that it is, `size`.
    """

    def __init__(self, replies: dict[str, Any]) -> None:
        self.replies = replies
        self.requests: list[tuple[str, str, Any]] = []
        self._released = threading.Event()
        super().__init__()

    def stop(self) -> None:
        self._released.set()
        super().stop()

    def sent(self, path: str) -> list[Any]:
        """Return the bodies of the requests to one path."""
        return [body for _method, requested, body in self.requests if requested == path]

    def paths(self) -> list[str]:
        return [path for _method, path, _body in self.requests]

    def _reply_for(self, path: str, body: Any) -> Reply:
        folder = path.rpartition("/")[0] + "/*"
        reply = self.replies.get(path, self.replies.get(folder, Reply(404, "404 page not found")))
        if callable(reply):
            reply = reply(body)
        if isinstance(reply, list):
            reply = reply.pop(0) if len(reply) > 1 else reply[0]
        return reply if isinstance(reply, Reply) else Reply(body=reply)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = _blob(handler) if handler.path.startswith("/api/blobs/") else _json(handler)
        self.requests.append((handler.command, handler.path, body))
        reply = self._reply_for(handler.path, body)
        handler.close_connection = True
        if reply.hang and not reply.lines:
            self._released.wait()
            return
        handler.send_response(reply.status)
        handler.send_header("Connection", "close")
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        if reply.lines:
            # Chunked, one line each, as Ollama sends them; without, a client sees lines only when they fill its buffer.
            handler.send_header("Content-Type", "application/x-ndjson")
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            for line in reply.lines:
                data = json.dumps(line).encode() + b"\n"
                handler.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                handler.wfile.flush()
            if reply.hang:
                self._released.wait()
            elif not reply.cut:
                handler.wfile.write(b"0\r\n\r\n")
            return
        content = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
        data = content.encode() if reply.body is not None else b""
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(data)


def _json(handler: BaseHTTPRequestHandler) -> Any:
    raw = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    return json.loads(raw) if raw else None


def _blob(handler: BaseHTTPRequestHandler) -> dict[str, Any]:
    """Read a chunked body without keeping it."""
    blob: dict[str, Any] = {"blob": handler.path.rpartition("/")[2]}
    if handler.command != "POST":
        return blob
    hasher, size = hashlib.sha256(), 0
    # A connection that ends early gives an empty line.
    while length := int(handler.rfile.readline() or b"0", 16):
        left = length
        while left and (piece := handler.rfile.read(min(left, 1 << 16))):
            hasher.update(piece)
            left -= len(piece)
        handler.rfile.readline()
        size += length
    handler.rfile.readline()
    return {**blob, "sha256": f"sha256:{hasher.hexdigest()}", "size": size}
