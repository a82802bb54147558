# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One GET to a server on this machine over plain http, without ``requests``.

Most tasks find nothing to do, and ask one question for that: to import ``requests`` would cost more than all else they do.
"""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from ansible_collections.alchemorsel.ollama.plugins.module_utils._answers import no_answer, status_error

_CHUNK = 64 * 1024


@dataclass(frozen=True)
class Answer:
    """A complete answer; ``server`` is its header of that name."""

    status: int
    text: str
    server: str | None


def get(server: str, path: str, headers: Mapping[str, str], seconds: float, most: int) -> Answer | None:
    """Return the answer to a GET, ``None`` where there is none that is complete: ``requests`` tells why.

    :param server: ``http://host[:port][/path]``
    :param seconds: until the answer is complete
    :param most: bytes of the body that are taken
    :raises ServerTimeout: if there is a connection, but no complete answer in time
    :raises OllamaError: for every status from 300 on
    """
    parts = urlsplit(server + path)
    deadline = time.monotonic() + seconds
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=seconds)
    try:
        connection.connect()
    except OSError:
        return None
    try:
        connection.request("GET", parts.path, headers={**headers, "Connection": "close"})
        response = connection.getresponse()
        body = _read(response, deadline, most)
    except socket.timeout as exc:
        raise no_answer(server, "GET", path, seconds) from exc
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    if body is None:
        return None
    text = body.decode("utf-8", "replace")
    problem = status_error(server, path, response.status, text, response.getheader("Location"))
    if problem:
        raise problem
    return Answer(response.status, text, response.getheader("Server"))


def _read(response: http.client.HTTPResponse, deadline: float, most: int) -> bytes | None:
    """Return the body, ``None`` if it is too long or cut short."""
    body = b""
    while True:
        chunk = response.read1(_CHUNK)
        body += chunk
        if len(body) > most:
            return None
        if not chunk:
            return None if response.length else body
        if time.monotonic() > deadline:
            raise socket.timeout
