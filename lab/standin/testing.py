# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers for tests: the stand-in, or a real Ollama binary, and the model registry, each a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import gguf, names, publish
from .store import Layer, Store

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "lab" / "models"
_START_SECONDS = 60
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy")


def free_port() -> int:
    """A TCP port of 127.0.0.1 on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def http(method: str, url: str, body: Any = None, timeout: float = 30) -> tuple[int, bytes]:
    """One request without proxies: status and body."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def children(pid: int) -> list[int]:
    """The processes below a process.

    One that has not begun its own program yet is left out: its parent waits for that (vfork), so a SIGSTOP at that moment
    would stop both for ever. Until then it shows its parent's command line.
    """
    with contextlib.suppress(OSError):
        found: list[int] = []
        own = _command_line(pid)
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text(encoding="ascii").split():
                if _command_line(int(child)) not in (own, b""):
                    found += [int(child), *children(int(child))]
        return found
    return []


def hang(pid: int) -> None:
    """Stops a process and waits until it has stopped; the signal alone takes effect later on a busy machine."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + _START_SECONDS
    while Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2][:1] != "T":
        if time.monotonic() > deadline:
            raise RuntimeError(f"process {pid} did not stop in {_START_SECONDS} s")
        time.sleep(0.01)


def _command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


class Process:
    """A server process with its log; one that does not announce itself in a first line logs its stdout too."""

    def __init__(self, command: list[str], env: Mapping[str, str], log: Path, announces: bool = True):
        kept = {key: value for key, value in os.environ.items() if key not in _PROXIES}
        self.log = log
        self._log_file = log.open("ab")
        # A pipe that nobody reads would block a real server, whose access log goes to stdout, after 64 KiB.
        stdout = subprocess.PIPE if announces else self._log_file
        self.process = subprocess.Popen(
            command, env={**kept, **env}, cwd=ROOT, stdout=stdout, stderr=self._log_file, text=True
        )

    def first_line(self) -> dict[str, Any]:
        """The JSON line that our servers print when they listen; raises RuntimeError with the log."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            text = self.log.read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"{self.process.args!r} did not start: {text[-2000:]}")
        return dict(json.loads(line))

    def signal(self, number: int) -> int:
        """Sends a signal and waits for the end; the exit status."""
        self.process.send_signal(number)
        return self.process.wait(timeout=30)

    def stop(self) -> None:
        """Ends the process, by force if it must be."""
        if self.process.poll() is None:
            try:
                self.signal(signal.SIGTERM)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._log_file.close()


class OllamaServer(Process):
    """A server that answers Ollama's API: the stand-in, or with `binary` a real one."""

    def __init__(
        self,
        home: Path,
        version: str,
        env: Mapping[str, str] | None = None,
        store: Path | None = None,
        binary: Path | None = None,
        prefix: tuple[str, ...] = (),
    ):
        self.version = version
        self.home = home
        self.store = Store(store or home / ".ollama" / "models")
        home.mkdir(parents=True, exist_ok=True)
        port = free_port() if binary else 0
        variables = {
            "HOME": str(home),
            "OLLAMA_HOST": f"127.0.0.1:{port}",
            "OLLAMA_MODELS": str(self.store.root),
            "OLLAMA_NO_CLOUD": "1",
            "STANDIN_VERSION": version,
            **(env or {}),
        }
        command = [str(binary), "serve"] if binary else [sys.executable, "-m", "lab.standin", "serve"]
        super().__init__([*prefix, *command], variables, home / "server.log", announces=binary is None)
        try:
            self.url = f"http://127.0.0.1:{port}" if binary else str(self.first_line()["url"])
            self._wait_until_it_answers()
            if (found := self.json("GET", "/api/version")["version"]) != version:
                raise RuntimeError(f"{binary} is version {found}, not {version}: name the version that it is")
        except BaseException:
            self.stop()
            raise

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError, urllib.error.URLError):
                if http("GET", f"{self.url}/api/version", timeout=5)[0] == 200:
                    return
            time.sleep(0.05)
        text = self.log.read_text(encoding="utf-8", errors="replace")
        raise RuntimeError(f"no answer from {self.url} in {_START_SECONDS} s: {text[-2000:]}")

    @property
    def runners(self) -> list[int]:
        """The inference processes."""
        return children(self.process.pid)

    def request(self, method: str, path: str, body: Any = None, timeout: float = 60) -> tuple[int, bytes]:
        return http(method, self.url + path, body, timeout)

    def json(self, method: str, path: str, body: Any = None, timeout: float = 60) -> Any:
        """The parsed answer of a request that must succeed."""
        status, data = self.request(method, path, body, timeout)
        if status >= 400:
            raise RuntimeError(f"{method} {path}: {status} {data.decode(errors='replace')}")
        return json.loads(data) if data else None

    def lines(self, path: str, body: Any, timeout: float = 120) -> list[dict[str, Any]]:
        """The JSON lines of a streamed answer."""
        _status, data = self.request("POST", path, body, timeout)
        return [json.loads(line) for line in data.splitlines() if line]


class ModelRegistry(Process):
    """The model registry, serving a store of its own."""

    def __init__(self, directory: Path, cert: Path | None = None, key: Path | None = None, host: str = "127.0.0.1"):
        directory.mkdir(parents=True, exist_ok=True)
        self.store = Store(directory / "store")
        command = [sys.executable, "-m", "lab.standin", "registry", "--store", str(self.store.root)]
        command += ["--listen", f"{host}:0"]
        if cert and key:
            command += ["--cert", str(cert), "--key", str(key)]
        super().__init__(command, {}, directory / "registry.log")
        self.url = str(self.first_line()["url"])
        self.tls = bool(cert)

    @property
    def host(self) -> str:
        """`address:port`, as it stands in model names."""
        return self.url.partition("://")[2]

    def model(self, name: str) -> str:
        """The name under which a server pulls a model of this registry: `tiny` is `<host>/library/tiny:latest`."""
        parsed = names.parse(name)
        if parsed is None:
            raise ValueError(f"{name} is no model name")
        return f"{self.host}/{parsed.namespace}/{parsed.model}:{parsed.tag}"

    def publish(self, name: str, tag: str = "latest", *layers: Layer, weights: str = "tiny-a", **texts: Any) -> str:
        """Puts a model under a name and returns its digest (`sha256:<hex>`).

        Without `layers` the weights are a file of `lab/models` and `texts` are system, template, parameters, license_text.
        """
        parsed = names.parse(f"{name}:{tag}")
        if parsed is None:
            raise ValueError(f"{name}:{tag} is no model name")
        if layers:
            config = texts.pop("config", b'{"model_format":"gguf","model_family":"llama"}')
            publish.publish_layers(self.store, parsed, layers, config)
        else:
            publish.publish_gguf(self.store, parsed, MODELS / f"{weights}.gguf", **texts)
        return self.digest(name, tag)

    def digest(self, name: str, tag: str = "latest") -> str:
        """The digest of a published manifest."""
        parsed = names.parse(f"{name}:{tag}")
        manifest = self.store.manifest(parsed) if parsed else None
        if manifest is None:
            raise ValueError(f"{name}:{tag} is not published")
        return f"sha256:{manifest.digest}"

    def unpublish(self, name: str, tag: str = "latest") -> None:
        """Takes a tag away; its blobs stay."""
        parsed = names.parse(f"{name}:{tag}")
        if parsed is None:
            raise ValueError(f"{name}:{tag} is no model name")
        self.store.remove_manifest(parsed)

    def layer(self, kind: str, data: bytes) -> Layer:
        """A layer of these bytes, stored."""
        digest, _new = self.store.write_blob(data)
        return Layer(f"application/vnd.ollama.image.{kind}", digest, len(data))

    def gguf_layer(self, weights: str) -> Layer:
        """A layer of a file of `lab/models`."""
        return self.layer("model", (MODELS / f"{weights}.gguf").read_bytes())

    def fail(self, kind: str, path: str = "", **fields: Any) -> None:
        """Adds a fault; the fields are those of `lab/standin/faults.py`."""
        self._control("POST", "/faults", {"kind": kind, "path": path, **fields})

    def heal(self) -> None:
        """Removes all faults."""
        self._control("DELETE", "/faults")

    def reset(self) -> None:
        """Removes all faults and zeroes the counters."""
        self._control("POST", "/reset")

    @property
    def counts(self) -> dict[str, Any]:
        """What was served: `requests` by kind, `bytes` of blobs, `log` of requests in order."""
        return dict(self._control("GET", ""))

    def _control(self, method: str, path: str, body: Any = None) -> Any:
        url = f"{self.url}/_control{path}"
        if self.tls:
            raise RuntimeError("the control endpoint is reached without TLS only")
        status, data = http(method, url, body)
        if status != 200:
            raise RuntimeError(f"{method} {url}: {status} {data.decode(errors='replace')}")
        return json.loads(data)


def tiny_model(name: str) -> gguf.Model:
    """The header of a file of `lab/models`."""
    return gguf.read(MODELS / f"{name}.gguf")
