# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The socket below a session of requests: which certificate the other side showed, and how to cut what gets no answer.

requests hides its socket until an answer begins, and its timeouts cannot be changed while it waits.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Callable


class Line:
    """The connection that a session made last.

    :ivar certificate: what the server showed, in DER form, verified or not; ``None`` without TLS
    """

    def __init__(self) -> None:
        self.certificate: bytes | None = None
        self._socket: socket.socket | None = None

    def connected(self, sock: Any) -> None:
        """Take note of a new connection."""
        self._socket = sock
        self.certificate = sock.getpeercert(True) if isinstance(sock, ssl.SSLSocket) else None

    def cut(self) -> None:
        """Shut the connection down, so that who waits for its answer stops waiting."""
        if self._socket is None:
            return
        # The descriptor may be closed by the waiting thread in this moment; a duplicate acts on the connection alone.
        with contextlib.suppress(OSError, ValueError):
            descriptor = os.dup(self._socket.fileno())
            with socket.socket(fileno=descriptor) as twin:
                twin.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def cut_after(self, seconds: float) -> Iterator[None]:
        """Cut the connection when the time is up: the timeouts of requests begin anew with each byte."""
        timer = threading.Timer(max(0.0, seconds), self.cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def tap(session: Any) -> Line:
    """Return the line of a session of requests, which from now on takes note of each connection that it makes."""
    # Late, as requests itself is.
    from requests.adapters import HTTPAdapter
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    line = Line()

    class PlainConnection(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            line.connected(self.sock)

    class SecureConnection(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            line.connected(self.sock)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = PlainConnection

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **options: Any) -> None:
            super().init_poolmanager(*args, **options)
            self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}

        def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
            manager = super().proxy_manager_for(*args, **options)
            manager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
            return manager

    for scheme in ("http://", "https://"):
        session.mount(scheme, Adapter())
    return line


@dataclass(frozen=True)
class Patience:
    """How long a request may stay without an answer.

    :param seconds: silence after which ``ask`` is called
    :param ask: returns the seconds to wait further, ``None`` to give up; runs beside the waiting request
    :param longest: seconds after which it ends in any case
    """

    seconds: float
    ask: Callable[[], float | None]
    longest: float


class Watch:
    """Carries out a :class:`Patience` beside a request that is being sent; left when the answer begins."""

    def __init__(self, line: Line, patience: Patience) -> None:
        self._line = line
        self._patience = patience
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.gave_up = False

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._left.set()

    def _watch(self) -> None:
        seconds: float | None = self._patience.seconds
        while not self._left.wait(seconds):
            seconds = self._patience.ask()
            # The answer may have begun while `ask` was asking.
            if seconds is None and not self._left.is_set():
                self.gave_up = True
                self._line.cut()
            if seconds is None:
                return
