# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads the models that are declared to stay in memory after each start of a container, whoever started it.

    loaded.py FILE

The file is JSON: container, url, models, start_timeout (s). It is read anew at each start, so that a change of it needs no
restart of this program. It runs on the host as a service, without Ansible, and needs nothing but Python.
"""

from __future__ import annotations

import datetime
import http.client
import json
import socket
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

ENGINE = "/run/docker.sock"
#: Seconds until the engine is asked again, until a failed load is tried again, and for an answer that is no load.
AGAIN, PAUSE, ANSWER = 5.0, 10.0, 30.0
ATTEMPTS = 3
#: A load may take this many seconds at least, and more where weights come in slower than this many bytes a second.
LEAST_LOAD, LOAD_RATE = 300.0, 50e6
#: An expiry this many years away means for good.
PINNED_YEARS = 10


class Engine(http.client.HTTPConnection):
    """A connection to the Docker Engine of this host."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(ENGINE)

    def get(self, path: str, **query: str) -> http.client.HTTPResponse:
        self.request("GET", f"{path}?{urllib.parse.urlencode(query)}")
        return self.getresponse()


class Server:
    """The Ollama server at a URL; never by a proxy."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(self, path: str, body: dict[str, Any] | None = None, timeout: float = ANSWER) -> dict[str, Any]:
        """Return an answer; raises OSError, HTTPException or ValueError where there is none."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, {"Content-Type": "application/json"})
        with self._opener.open(request, timeout=timeout) as answer:
            found = json.load(answer)
        if not isinstance(found, dict):
            raise ValueError(f"{path} answered no object")
        return found

    def wait(self, seconds: float) -> None:
        """Return when the server answers; raises what it met at last where it does not in time."""
        end = time.monotonic() + seconds
        while True:
            try:
                self.ask("/api/version", timeout=5)
                return
            except (OSError, http.client.HTTPException, ValueError):
                if time.monotonic() >= end:
                    raise
                time.sleep(0.5)

    def load(self, model: str, seconds: float) -> None:
        """Load a model, or keep one that is loaded, for good."""
        body = {"model": model, "keep_alive": -1, "stream": False}
        try:
            self.ask("/api/generate", body, seconds)
        except urllib.error.HTTPError as error:
            # One that only embeds cannot be loaded in the other way
            if error.code != 400:
                raise
            self.ask("/api/embed", body, seconds)


def starts(container: str) -> Iterator[None]:
    """Yield at once if the container runs, and then at each start of it, until the engine goes."""
    events, look = Engine("localhost"), Engine("localhost")
    try:
        # First the events, so that no start is missed between the two
        stream = events.get("/events", filters=json.dumps({"type": ["container"], "event": ["start"]}))
        state = json.load(look.get(f"/containers/{urllib.parse.quote(container)}/json")).get("State") or {}
        if state.get("Running"):
            yield
        for line in stream:
            # The engine's own filter also lets through names that only begin with this one
            if json.loads(line)["Actor"]["Attributes"].get("name") == container:
                yield
    finally:
        events.close()
        look.close()


def is_pinned(shown: dict[str, Any]) -> bool:
    """Tell whether a loaded model stays for good."""
    year = str(shown.get("expires_at", ""))[:4]
    return year.isdigit() and int(year) > datetime.date.today().year + PINNED_YEARS


def load_all(config: dict[str, Any]) -> list[str]:
    """Load what is not in memory for good, and return what went wrong."""
    server, failures = Server(config["url"]), []
    if not config["models"]:
        return []
    server.wait(config["start_timeout"])
    there = {str(entry.get("name")).lower(): entry for entry in server.ask("/api/tags").get("models") or []}
    # The server shows a model under the name by which it was loaded; a copy of it has the same digest
    pinned = {entry.get("digest") for entry in server.ask("/api/ps").get("models") or [] if is_pinned(entry)}
    for name in config["models"]:
        entry = there.get(name.lower())
        if entry is None:
            failures.append(f"{name} is not on the server")
        elif entry.get("digest") not in pinned:
            failures += load_one(server, name, entry.get("size") or 0, config["start_timeout"])
    return failures


def load_one(server: Server, name: str, size: int, start_timeout: float) -> list[str]:
    """Load one model, in a bounded number of attempts, and return what went wrong."""
    began, failures = time.monotonic(), []
    for attempt in range(ATTEMPTS):
        try:
            if attempt:
                time.sleep(PAUSE)
                server.wait(start_timeout)
            server.load(name, max(LEAST_LOAD, size / LOAD_RATE))
        except (OSError, http.client.HTTPException, ValueError) as error:
            words = error.read().decode("utf-8", "replace")[:300] if isinstance(error, urllib.error.HTTPError) else ""
            failures.append(f"{name} cannot be loaded: {error} {words}".strip())
            say(failures[-1])
        else:
            say(f"{name} is in memory, after {time.monotonic() - began:.1f} s")
            return []
    return failures[-1:]


def say(text: str) -> None:
    """Write a line for the journal."""
    print(text, flush=True)


def main() -> None:
    """Work until the service is stopped."""
    path = sys.argv[1]
    while True:
        try:
            with open(path, encoding="utf-8") as stream:
                container = json.load(stream)["container"]
            for _start in starts(container):
                with open(path, encoding="utf-8") as stream:
                    config = json.load(stream)
                try:
                    failures = load_all(config)
                except (OSError, http.client.HTTPException, ValueError) as error:
                    failures = [f"the server at {config['url']} does not answer: {error}"]
                say(f"{container} was started; {'; '.join(failures) or 'all declared models are in memory'}")
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            say(f"the engine does not answer, and is asked again: {error}")
        time.sleep(AGAIN)


if __name__ == "__main__":
    main()
