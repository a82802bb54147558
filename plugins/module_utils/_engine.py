# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The few requests to a Docker Engine that an exchange of containers takes, over the engine's socket.

A module of community.docker for each of them would start Python anew between stop and start, while nobody serves.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import struct
from typing import Any
from urllib.parse import quote, urlencode

from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import OllamaError

SOCKET = "/var/run/docker.sock"
#: An engine that is asked for nothing long answers within this time (s), also on a busy host.
SECONDS = 60.0


class EngineFailed(OllamaError):
    """The Docker Engine does not answer, or refuses what it was asked for."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Engine:
    """A Docker Engine on this machine.

    :param path: its socket
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def inspect(self, name: str) -> dict[str, Any] | None:
        """Return what ``docker inspect`` says of a container, ``None`` if there is none."""
        status, body = self._ask("GET", f"/containers/{quote(name)}/json")
        if status == 404:
            return None
        found = json.loads(self._good(status, body, f"looking at the container {name}"))
        return found if isinstance(found, dict) else None

    def start(self, name: str) -> None:
        """Start a container; one that runs already is no error."""
        self._change("POST", f"/containers/{quote(name)}/start", f"starting the container {name}")

    def stop(self, name: str, seconds: int) -> None:
        """Stop a container; it is killed after ``seconds``. One that does not run is no error."""
        path = f"/containers/{quote(name)}/stop?" + urlencode({"t": seconds})
        self._change("POST", path, f"stopping the container {name}", seconds)

    def rename(self, name: str, new: str) -> None:
        """Give a container another name."""
        path = f"/containers/{quote(name)}/rename?" + urlencode({"name": new})
        self._change("POST", path, f"renaming the container {name} to {new}")

    def remove(self, name: str) -> None:
        """Remove a container; its volumes stay."""
        self._change("DELETE", f"/containers/{quote(name)}?force=1", f"removing the container {name}")

    def last_lines(self, name: str, number: int) -> list[str]:
        """Return the last lines of a container's log; empty where it cannot be read, since it only explains."""
        path = f"/containers/{quote(name)}/logs?" + urlencode({"stdout": 1, "stderr": 1, "tail": number})
        try:
            status, body = self._ask("GET", path)
        except EngineFailed:
            return []
        return unpack(body).decode("utf-8", "replace").splitlines()[-number:] if status == 200 else []

    def _change(self, method: str, path: str, doing: str, longer: float = 0.0) -> None:
        self._good(*self._ask(method, path, longer), doing)

    def _ask(self, method: str, path: str, longer: float = 0.0) -> tuple[int, bytes]:
        connection = _Connection(self._path, SECONDS + longer)
        try:
            connection.request(method, path, headers={"Connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as exc:
            reason = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
            raise EngineFailed(
                f"the Docker Engine at {self._path} does not answer ({reason}); start it, or look at 'systemctl status docker'"
            ) from exc
        finally:
            connection.close()

    @staticmethod
    def _good(status: int, body: bytes, doing: str) -> bytes:
        # 304: it is so already
        if status < 300 or status == 304:
            return body
        text = body.decode("utf-8", "replace").strip()
        with contextlib.suppress(ValueError, KeyError, TypeError):
            text = str(json.loads(text)["message"])
        raise EngineFailed(f"{doing} failed: the Docker Engine says '{text}'", http_status=status, error=text)


def unpack(body: bytes) -> bytes:
    """Return a log without the frames in which the engine wraps the two streams; a terminal's log has none."""
    text, rest = b"", body
    while len(rest) >= 8 and rest[0] in (0, 1, 2) and rest[1:4] == b"\0\0\0":
        (length,) = struct.unpack(">I", rest[4:8])
        text += rest[8 : 8 + length]
        rest = rest[8 + length :]
    return text + rest
