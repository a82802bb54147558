# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Docker Engine for tests: its API on a socket, containers that are entries of a dictionary, servers on loopback in them."""

from __future__ import annotations

import json
import re
import socketserver
import struct
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from local_server import LocalServer


class OllamaInContainer(LocalServer):
    """Answers with a version, or with 500 if the server is ill."""

    def __init__(self, healthy: bool) -> None:
        self.healthy = healthy
        super().__init__()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.dumps({"version": "0.32.15"} if self.healthy else {"error": "ill"}).encode()
        handler.send_response(200 if self.healthy else 500)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


@dataclass
class Container:
    """What a container does when it is started: `ends` after some seconds, is not `healthy`, or does not start at all."""

    identity: str
    running: bool = False
    healthy: bool = True
    ends: float | None = None
    refuses: str = ""
    log: str = "a line\n"
    started: float = 0.0
    server: OllamaInContainer | None = None
    pid: int = field(default=4711)

    def start(self) -> None:
        self.running, self.started = True, time.monotonic()
        self.server = OllamaInContainer(self.healthy)

    def stop(self) -> None:
        self.running = False
        if self.server:
            self.server.stop()
            self.server = None

    def inspect(self) -> dict[str, Any]:
        if self.running and self.ends is not None and time.monotonic() - self.started >= self.ends:
            self.stop()
        bound = None
        if self.server:
            bound = [{"HostIp": "127.0.0.1", "HostPort": self.server.url.rsplit(":", 1)[1]}]
        return {
            "Id": self.identity,
            "State": {"Running": self.running, "Pid": self.pid if self.running else 0, "ExitCode": 3, "Error": ""},
            "NetworkSettings": {"Ports": {"11434/tcp": bound}},
        }


class FakeEngine:
    """`containers` by name; `asked` holds the requests that change something, in order."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.containers: dict[str, Container] = {}
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                status, body = outer.answer(self.command, self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_DELETE = handle_any

            def address_string(self) -> str:
                return "socket"

            def log_message(self, *args: Any) -> None:
                """Tests read `asked` instead."""

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                # A client that leaves early is no fault
                if not isinstance(sys.exc_info()[1], ConnectionError):
                    super().handle_error(request, client_address)

        self._server = Server(path, Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def add(self, name: str, running: bool = False, **how: Any) -> Container:
        self.containers[name] = container = Container(f"was-{name}", **how)
        if running:
            container.start()
        return container

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for container in self.containers.values():
            container.stop()

    def answer(self, method: str, target: str) -> tuple[int, bytes]:
        parts = urlsplit(target)
        match = re.fullmatch(r"/containers/([^/]+)(?:/(\w+))?", parts.path)
        name, verb = match.groups() if match else ("", "")
        container = self.containers.get(name)
        if container is None:
            return 404, json.dumps({"message": f"No such container: {name}"}).encode()
        if (method, verb) == ("GET", "json"):
            return 200, json.dumps(container.inspect()).encode()
        if (method, verb) == ("GET", "logs"):
            text = container.log.encode()
            return 200, struct.pack(">B3xI", 2, len(text)) + text
        return self._change(method, verb, name, container, parse_qs(parts.query))

    def _change(
        self, method: str, verb: str | None, name: str, container: Container, query: dict[str, list[str]]
    ) -> tuple[int, bytes]:
        self.asked.append(f"{method} {name} {verb or ''} {query.get('name', query.get('t', ['']))[0]}".strip())
        if verb == "start":
            if container.refuses:
                return 500, json.dumps({"message": container.refuses}).encode()
            if container.running:
                return 304, b""
            container.start()
        elif verb == "stop":
            container.stop()
        elif verb == "rename":
            self.containers[query["name"][0]] = self.containers.pop(name)
        elif method == "DELETE":
            container.stop()
            del self.containers[name]
        return 204, b""
