# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lines of a streamed answer: one JSON object each, read as they arrive, bounded in time and size."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, Callable

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._answers import decoded

#: Longest line taken; the server's own are some hundred bytes, a generate line with its context some hundred kilobytes.
MAX_LINE = 4 * 1024 * 1024
#: Small, because an answer without chunked encoding (through a proxy) is handed over only in pieces of this size.
_CHUNK = 1024


class _Watchdog:
    """Shuts a connection down when its time is up, so that a blocked read ends.

    The timeouts of requests begin anew with each byte and cannot be changed while a response is read.
    """

    def __init__(self, descriptor: int) -> None:
        # A duplicate of the descriptor: shutdown acts on the connection, and nobody else can reuse this number meanwhile.
        self._socket = socket.socket(fileno=os.dup(descriptor))
        self._condition = threading.Condition()
        self._deadline: float | None = None
        self._stopped = False
        self.fired = False
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def limit(self, seconds: float | None) -> None:
        """Set the time that is left from now on; ``None`` for no limit."""
        with self._condition:
            self._deadline = None if seconds is None else time.monotonic() + max(0.0, seconds)
            self._condition.notify()

    @property
    def over(self) -> bool:
        """Whether the time is up, also where a read noticed it before this thread did."""
        with self._condition:
            return self.fired or (self._deadline is not None and time.monotonic() >= self._deadline)

    def stop(self) -> None:
        with self._condition:
            if self._stopped:
                return
            self._stopped = True
            self._condition.notify()
        self._thread.join()
        self._socket.close()

    def _watch(self) -> None:
        with self._condition:
            while not self._stopped and not self.fired:
                left = None if self._deadline is None else self._deadline - time.monotonic()
                if left is not None and left <= 0:
                    self.fired = True
                    try:
                        self._socket.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        # The other side was faster.
                        return
                else:
                    self._condition.wait(left)


class JsonStream:
    """Iterator over the JSON lines of a response.

    :param response: a response of requests, opened with ``stream=True``
    :param done: tells whether a line is the final one
    :param limit: seconds for the stream from now on, ``None`` for none
    :raises StreamBroken: while iterating, if the stream ends before the final line
    :raises DeadlinePassed: while iterating, if the limit passed
    :raises BadAnswer: while iterating, for an ``error`` line or one that is not JSON
    """

    def __init__(
        self, response: Any, *, url: str, done: Callable[[dict[str, Any]], bool], limit: float | None = None
    ) -> None:
        self._response = response
        self._url = url
        self._done = done
        self._watchdog = _Watchdog(response.raw.fileno())
        self._watchdog.limit(limit)
        self._lines = self._read()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self

    def __next__(self) -> dict[str, Any]:
        return next(self._lines)

    def __enter__(self) -> JsonStream:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self.close()

    def limit(self, seconds: float | None) -> None:
        """Set the seconds that are left from now on; when they pass, the connection is cut."""
        self._watchdog.limit(seconds)

    def close(self) -> None:
        """Close the connection; the server sees that its client left."""
        self._watchdog.stop()
        self._response.close()

    def _read(self) -> Iterator[dict[str, Any]]:
        # Pieces of a line that has not ended yet: joined once, however long it gets.
        pieces: list[bytes] = []
        size = 0
        try:
            for chunk in self._response.iter_content(_CHUNK):
                pieces.append(chunk)
                size += len(chunk)
                if size > MAX_LINE:
                    raise errors.BadAnswer(f"{self._url} sent a line of more than 4 MiB; check url", url=self._url)
                if b"\n" not in chunk:
                    continue
                *lines, rest = b"".join(pieces).split(b"\n")
                pieces, size = [rest], len(rest)
                for line in filter(bytes.strip, lines):
                    parsed = self._parse(line)
                    yield parsed
                    if self._done(parsed):
                        return
            # The last line of a stream may lack its newline.
            last = b"".join(pieces)
            if last.strip() and not self._watchdog.over:
                parsed = self._parse(last)
                yield parsed
                if self._done(parsed):
                    return
            broken: Exception | None = None
        except (OSError, AttributeError, ValueError) as exc:
            # requests' own exceptions are OSErrors; urllib3 has let the others through when a connection is shut down under it.
            broken = exc
        finally:
            over = self._watchdog.over
            self.close()
        if over:
            raise errors.DeadlinePassed(f"{self._url} did not finish in time", url=self._url) from broken
        raise errors.StreamBroken(
            f"the answer of {self._url} ended before its last line; the server was stopped, or a proxy cut the connection",
            url=self._url,
        ) from broken

    def _parse(self, line: bytes) -> dict[str, Any]:
        try:
            parsed = decoded(line)
        except ValueError as exc:
            raise errors.BadAnswer(
                f"{self._url} sent a line that is not JSON: {line[:80]!r}; check url", url=self._url
            ) from exc
        if not isinstance(parsed, dict):
            raise errors.BadAnswer(
                f"{self._url} sent a line that is not a JSON object: {line[:80]!r}; check url", url=self._url
            )
        if "error" in parsed:
            text = str(parsed["error"])
            raise errors.BadAnswer(f"{self._url} reported: {text}", url=self._url, http_status=200, error=text)
        return parsed
