# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The relay hands on what it gets, kills the server at the request that it waits for, and tells the client at once."""

from __future__ import annotations

import contextlib
import http.client
import socket
import subprocess
import sys
import threading

import pytest

from tests.chaos import relay

#: Servers and processes of their own: not for every save
pytestmark = pytest.mark.slow

#: What a client meets whose connection ends before the answer; not that nobody listens
ENDED = (ConnectionResetError, BrokenPipeError)

SERVER = """
import http.server, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def do_POST(self):
        time.sleep(60)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture
def server():
    process = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def ask(port, method, path, body=None):
    """One request over a connection of its own: the answer's body."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as client:
        client.request(method, path, body)
        return client.getresponse().read()


def test_the_server_dies_at_its_request_and_not_before(server, monkeypatch, tmp_path):
    monkeypatch.setattr(relay, "__file__", str(tmp_path / "relay.py"))
    made = relay.Relay(int(server.stdout.readline()), b"POST /api/create", 0.0, server.pid)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    threading.Thread(target=made.serve, args=(listener,), daemon=True).start()
    assert ask(port, "GET", "/api/tags") == b"ok"
    assert server.poll() is None and not (tmp_path / "relay.py.struck").exists()
    # The end may come while the body is still being sent
    with pytest.raises(ENDED):
        ask(port, "POST", "/api/create", b"{}")
    assert server.wait(10) == -9
    with pytest.raises(ENDED):
        ask(port, "GET", "/api/tags")
