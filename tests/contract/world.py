# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The world of one recorded exchange: a server with its own store, a model registry, and what is where before the request."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lab.standin import names
from lab.standin.store import Store
from lab.standin.testing import MODELS, ModelRegistry, OllamaServer, free_port, http

from .replay import Line, quietly, send, wait_for

#: factor on the stand-in's waits (retries, stalls); a real server takes its own time
TIME_SCALE = 0.05
NEUTRAL_REGISTRY = "127.0.0.1:5000"
NEUTRAL_CLOSED = "127.0.0.1:5999"
NEUTRAL_RESOLVER = "192.0.2.53:53"
NEUTRAL_STORE = "<models>"


class World:
    """Arranges a situation. Names and digests of the recording and of this run are kept side by side."""

    def __init__(self, directory: Path, version: str, registry: ModelRegistry, binary: Path | None, url: str | None):
        self.directory = directory
        self.version = version
        self.registry = registry
        self.binary = binary
        self.closed_port = free_port()
        self.names: dict[str, str] = {NEUTRAL_REGISTRY: registry.host, NEUTRAL_CLOSED: f"127.0.0.1:{self.closed_port}"}
        self.given_url = url
        #: stand-ins that are used again by the next case, by version; a real server is started anew for each
        self.pool: dict[str, OllamaServer] = {}
        self.server: OllamaServer | None = None
        self.threads: list[threading.Thread] = []
        self.cleanups: list[Callable[[], object]] = []
        #: what is sent instead of a body that is only described
        self.request_body: bytes | None = None
        #: called right before the request
        self.before_request: Callable[[], None] | None = None
        #: called with each line of the answer; returns True to hang up
        self.on_line: Callable[[Line], bool] | None = None
        #: called after the answer
        self.afterwards: list[Callable[[], None]] = []

    # -- the server -------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return self.given_url or self.start().url

    def start(self, env: Mapping[str, str] | None = None, prefix: tuple[str, ...] = ()) -> OllamaServer:
        """The server, started with these variables; the same one when it runs already."""
        if self.given_url:
            raise AssertionError("a server given by URL cannot be arranged")
        if self.server is None and not env and not prefix and self.version in self.pool:
            self.server = self.pool[self.version]
            self.names[NEUTRAL_STORE] = str(self.server.store.root)
        if self.server is None:
            variables = {"STANDIN_TIME_SCALE": str(TIME_SCALE), **(env or {})}
            home = self.directory / "home"
            self.server = OllamaServer(home, self.version, variables, binary=self.binary, prefix=prefix)
            self.names[NEUTRAL_STORE] = str(self.server.store.root)
        return self.server

    def stream(self, path: str, body: Any, on_line: Callable[[Line], bool]) -> None:
        """A streamed request of the arrangement, hung up when `on_line` returns True."""
        send(self.url, {"method": "POST", "path": path}, json.dumps(body).encode(), on_line)

    def wait_for_port(self, port: int) -> None:
        """Waits until something listens on a port of 127.0.0.1."""

        def listens() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_for(listens, f"port {port}")

    @property
    def store(self) -> Store:
        return self.start().store

    def post(self, path: str, body: Any, method: str = "POST") -> Any:
        """A request of the arrangement, which must succeed."""
        return self.start().json(method, path, body)

    def signal(self, number: int) -> None:
        assert self.server is not None
        os.kill(self.server.process.pid, number)

    def exits_with(self, status: int) -> None:
        """After the answer the server process ends with this status."""
        server = self.start()
        self.afterwards.append(lambda: _assert_equal(server.process.wait(timeout=30), status, "exit status"))

    def close(self) -> None:
        for cleanup in self.cleanups:
            cleanup()
        if self.server is not None and self.server is self.pool.get(self.version):
            self._clean_pooled(self.server)
        elif self.server is not None:
            for pid in self.server.runners if self.server.process.poll() is None else ():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)  # one that a situation stopped
            self.server.stop()
        for thread in self.threads:
            thread.join(timeout=60)

    def _clean_pooled(self, server: OllamaServer) -> None:
        """Empties a server that the next case uses again; one that may still be at work goes."""
        idle = not self.threads and self.on_line is None
        if idle and server.process.poll() is None:
            for model in server.json("GET", "/api/ps")["models"]:
                server.request("POST", "/api/generate", {"model": model["name"], "keep_alive": 0})
            for directory in (server.store.manifests, server.store.blobs):
                shutil.rmtree(directory, ignore_errors=True)
            server.store.blobs.mkdir()
            if not server.json("GET", "/api/ps")["models"]:
                return
        del self.pool[self.version]
        server.stop()

    # -- names ------------------------------------------------------------------------------------------------------

    def stands_for(self, recorded: str, live: str) -> None:
        """A digest of this run (`sha256:` may stand before it) is what the recording calls so."""
        old, new = recorded.removeprefix("sha256:"), live.removeprefix("sha256:")
        self.names[old] = new
        self.names[f"pulling {old[:12]}"] = f"pulling {new[:12]}"

    def to_live(self, text: str) -> str:
        """A text of the recording with the names of this run."""
        for old, new in self.names.items():
            text = text.replace(old, new)
        return text

    def to_recorded(self, text: str) -> str:
        """A text of this run with the names of the recording."""
        for old, new in sorted(self.names.items(), key=lambda item: -len(item[1])):
            text = text.replace(new, old)
        return text

    # -- models -----------------------------------------------------------------------------------------------------

    def upload(self, data: bytes) -> str:
        """A blob in the server's store; its digest."""
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        path = self.store.blob(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return digest

    def create(self, name: str, weights: str = "tiny-a", **fields: Any) -> None:
        """A model created from a file of `lab/models`."""
        data = (MODELS / f"{weights}.gguf").read_bytes()
        files = {f"{weights}.gguf": self.upload(data)}
        self.post("/api/create", {"model": name, "files": files, "stream": False, **fields})

    def derive(self, name: str, base: str, **fields: Any) -> None:
        self.post("/api/create", {"model": name, "from": base, "stream": False, **fields})

    def pull(self, name: str) -> None:
        """A pull of `<model>:<tag>` of the registry, which must succeed."""
        self.post("/api/pull", {"model": self.registry.model(name), "insecure": True, "stream": False})

    def copy(self, source: str, destination: str) -> None:
        self.start().request("POST", "/api/copy", {"source": source, "destination": destination})

    def load(self, name: str, **fields: Any) -> None:
        self.post("/api/generate", {"model": name, "stream": False, **fields})

    def blob_of(self, name: str, kind: str = "model") -> Path:
        """The path of a layer of a model in the server's store."""
        parsed = names.parse(name)
        manifest = self.store.manifest(parsed) if parsed else None
        layer = manifest.layer(kind) if manifest else None
        assert layer is not None, f"{name} has no layer {kind}"
        return self.store.blob(layer.digest)

    def present_digests(self) -> set[str]:
        """The digests of all whole blobs in the store."""
        if self.given_url:
            return set()
        blobs = self.store.blobs
        files = blobs.glob("sha256-*") if blobs.is_dir() else ()
        return {path.name.replace("-", ":", 1) for path in files if "-partial" not in path.name}

    # -- things that happen meanwhile -------------------------------------------------------------------------------

    def background(self, path: str, body: Any) -> threading.Thread:
        """A request whose answer nobody reads."""
        url = self.start().url + path
        thread = threading.Thread(target=lambda: quietly(lambda: http("POST", url, body, timeout=120)), daemon=True)
        thread.start()
        self.threads.append(thread)
        return thread

    def at_once(self, work: Callable[[], None]) -> None:
        """Runs something beside the request."""
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        self.threads.append(thread)

    def runner(self) -> int:
        """The process id of the inference process, as soon as there is one."""
        server = self.start()
        pids = wait_for(lambda: server.runners, "an inference process")
        return int(pids[-1])

    def signal_next_runner(self, number: int) -> None:
        """Sends a signal to the next inference process that appears, at once."""
        server = self.start()
        before = set(server.runners)

        def work() -> None:
            new = wait_for(lambda: set(server.runners) - before, "a new inference process")
            for pid in new:
                os.kill(pid, number)

        self.at_once(work)

    def wait_for_request(self, kind: str, count: int = 1) -> None:
        """Waits until the registry has seen so many requests of a kind."""
        wait_for(lambda: self.registry.counts["requests"][kind] >= count, f"{count} requests {kind}", 120)


def _assert_equal(found: Any, wanted: Any, what: str) -> None:
    assert found == wanted, f"{what}: {found!r}, wanted {wanted!r}"
