# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An answer that comes byte by byte is bounded as a whole, not from byte to byte."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._client import OllamaClient
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._registry import Registry

#: seconds between two bytes, and for which they go on
PAUSE, ALL = 0.1, 120.0
LIMIT = 3.0
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"


@pytest.fixture
def dripping():
    """Host and port of a server that sends its answers byte by byte."""
    stopped = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(connection):
        with connection:
            connection.recv(65536)
            connection.sendall(HEAD)
            until = time.monotonic() + ALL
            while time.monotonic() < until and not stopped.wait(PAUSE):
                try:
                    connection.sendall(b" ")
                except OSError:
                    return

    def serve():
        while True:
            try:
                connection, _address = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    stopped.set()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def test_an_answer_of_the_server_that_drips(dripping):
    began = time.monotonic()
    with pytest.raises(errors.ServerTimeout, match="did not finish its answer in time"):
        OllamaClient(f"http://{dripping}", timeout=LIMIT).tags()
    assert time.monotonic() - began < ALL / 2


def test_a_manifest_that_drips(dripping):
    began = time.monotonic()
    with pytest.raises(errors.SourceUnreachable, match="sends without end or too slowly"):
        Registry([dripping], timeout=LIMIT).manifest(parse_name(f"{dripping}/library/a"))
    assert time.monotonic() - began < ALL / 2
