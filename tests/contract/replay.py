# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One recorded request sent to a live server, and its answer read to the end, whatever the end is."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

Line = dict[str, Any]


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str = ""
    lines: list[Line] = field(default_factory=list)
    disconnected: bool = False
    without_end: bool = False


def send(
    url: str,
    request: dict[str, Any],
    body: bytes,
    on_line: Callable[[Line], bool] | None = None,
    timeout: float = 200,
) -> Answer:
    """Sends a request. `on_line` sees each line of a stream as it comes; when it returns True the client hangs up."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    headers = {"Content-Length": str(len(body)), **request.get("headers", {})}
    if request["method"] in ("GET", "HEAD") and not body:
        del headers["Content-Length"]
    try:
        connection.putrequest(
            request["method"], request["path"], skip_host="Host" in headers, skip_accept_encoding=True
        )
        for key, value in headers.items():
            connection.putheader(key, value)
        connection.endheaders(body)
        response = connection.getresponse()
        answer = Answer(response.status, {key.lower(): value for key, value in response.getheaders()})
        content_type = answer.headers.get("content-type", "")
        if content_type == "application/x-ndjson":
            _read_lines(response, connection, answer, on_line)
        elif content_type == "text/event-stream":
            _read_events(response, answer, on_line)
        else:
            _read_text(response, answer)
        return answer
    finally:
        connection.close()


def _read_lines(
    response: http.client.HTTPResponse,
    connection: http.client.HTTPConnection,
    answer: Answer,
    on_line: Callable[[Line], bool] | None,
) -> None:
    """Reads the chunks one by one: http.client hides whether the last, empty one came."""
    rest = b""
    for chunk in _chunks(response.fp, answer):
        *complete, rest = (rest + chunk).split(b"\n")
        for raw in complete:
            answer.lines.append(json.loads(raw))
            if on_line is not None and on_line(answer.lines[-1]):
                answer.disconnected = True
                if connection.sock is not None:
                    connection.sock.shutdown(socket.SHUT_RDWR)
                return


def _read_events(response: http.client.HTTPResponse, answer: Answer, on_line: Callable[[Line], bool] | None) -> None:
    """Reads a stream of events; `on_line` is told of each chunk."""
    data = b""
    for chunk in _chunks(response.fp, answer):
        data += chunk
        if on_line is not None:
            on_line({"event": chunk.decode("utf-8", "replace")})
    answer.text = data.decode("utf-8", "replace")


def _chunks(stream: Any, answer: Answer) -> Iterator[bytes]:
    """The chunks of a body; `answer.without_end` tells whether the end was missing."""
    with contextlib.suppress(ConnectionResetError):
        while size := stream.readline().strip():
            if int(size, 16) == 0:
                return
            yield stream.read(int(size, 16))
            stream.readline()
    answer.without_end = True


def _read_text(response: http.client.HTTPResponse, answer: Answer) -> None:
    try:
        answer.text = response.read().decode("utf-8", "replace")
    except (http.client.IncompleteRead, ConnectionResetError) as error:
        answer.text = getattr(error, "partial", b"").decode("utf-8", "replace")
        answer.without_end = True


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    """The first true value of a condition; raises AssertionError after a time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.005)
    raise AssertionError(f"{what}: not within {seconds} s")


def quietly(work: Callable[[], Any]) -> None:
    """Runs a request of the background, whose answer nobody reads, and which may be cut off."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        work()
