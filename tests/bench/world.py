# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured on: servers with a number of models each, one registry, and plays and single modules run against them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.standin.testing import MODELS, ModelRegistry, OllamaServer
from lab.standin.versions import DEFAULT_VERSION

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BIN = Path(sys.executable).parent
CONFIG = "[defaults]\nnocows = true\n[connection]\npipelining = true\n"


@dataclass(frozen=True)
class Used:
    """What a command took: seconds on the clock, seconds of processors, peak memory, and what it printed."""

    seconds: float
    processor: float
    megabytes: float
    output: str


class World:
    """A directory with all that a benchmark makes.

    :param directory: empty
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.python = sys.executable
        (directory / "ansible.cfg").write_text(CONFIG)
        (directory / "home").mkdir()
        kept = {key: os.environ[key] for key in ("LANG", "LC_ALL", "TMPDIR") if key in os.environ}
        self.environment = {
            **kept,
            "PATH": f"{BIN}:{HERE / 'rivals'}:{os.environ['PATH']}",
            "HOME": str(directory / "home"),
            "ANSIBLE_HOME": str(directory / "home/.ansible"),
            "ANSIBLE_CONFIG": str(directory / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build/collections"),
            "ANSIBLE_NOCOLOR": "1",
            # As on a real host, libraries are compiled once: here, so that the environment stays as it is.
            "PYTHONPYCACHEPREFIX": str(directory / "pycache"),
        }

    @contextmanager
    def registry(self) -> Iterator[ModelRegistry]:
        """An empty registry."""
        registry = ModelRegistry(self.directory / "registry")
        try:
            yield registry
        finally:
            registry.stop()
            shutil.rmtree(self.directory / "registry")

    @contextmanager
    def servers(self, registry: ModelRegistry, held: Sequence[Sequence[str]]) -> Iterator[list[OllamaServer]]:
        """A server for each list of names, holding these models of the registry."""
        started: list[OllamaServer] = []

        def start(number: int) -> OllamaServer:
            home = self.directory / f"server{number}"
            seed(registry, home / "models", held[number])
            log = {"STANDIN_REQUEST_LOG": str(home / "requests.log")}
            server = OllamaServer(home, DEFAULT_VERSION, log, store=home / "models")
            started.append(server)
            return server

        try:
            with ThreadPoolExecutor(4) as pool:
                yield list(pool.map(start, range(len(held))))
        finally:
            for server in started:
                server.stop()
                shutil.rmtree(server.home)

    def inventory(self, registry: ModelRegistry, servers: Sequence[OllamaServer], **variables: Any) -> Path:
        """An inventory of one local host for each server."""
        hosts = {f"host{number:02d}": {"server": server.url} for number, server in enumerate(servers)}
        common = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "registry": registry.host,
            **variables,
        }
        path = self.directory / "inventory.json"
        path.write_text(json.dumps({"all": {"hosts": hosts, "vars": common}}))
        return path

    def measure(self, *command: str, **environment: str) -> Used:
        """Run a command that must succeed."""
        result, output = self.directory / "meter.json", self.directory / "output.txt"
        meter = [sys.executable, "-IS", str(HERE / "meter.py"), str(result), *command]
        with output.open("wb") as stream:
            variables = {**self.environment, **environment}
            subprocess.run(meter, env=variables, cwd=self.directory, stdout=stream, stderr=stream, check=True)
        figures, text = json.loads(result.read_text()), output.read_text(errors="replace")
        if figures.pop("status"):
            raise SystemExit(f"{' '.join(command)} failed; the end of its output:\n{text[-3000:]}")
        return Used(output=text, **figures)

    def play(self, book: str, inventory: Path, *, forks: int = 1, **extra: Any) -> Used:
        """Run a playbook of this folder."""
        options = ["-i", str(inventory), "--forks", str(forks), "--extra-vars", json.dumps(extra)]
        return self.measure(str(BIN / "ansible-playbook"), *options, str(HERE / book))

    def payload(self, book: str, inventory: Path, name: str, **extra: Any) -> Path:
        """What Ansible would send to the first host for the one task of a playbook; nothing is run with it.

        :param name: of the module
        """
        folder = self.directory / "payload"
        shutil.rmtree(folder, ignore_errors=True)
        nothing = {"ansible_python_interpreter": shutil.which("false"), **extra}
        command = [str(BIN / "ansible-playbook"), "-i", str(inventory), "--limit", "host00"]
        keeping = {
            "ANSIBLE_KEEP_REMOTE_FILES": "1",
            "ANSIBLE_PIPELINING": "0",
            "ANSIBLE_REMOTE_TMP": str(folder),
        }
        done = subprocess.run(
            [*command, "--extra-vars", json.dumps(nothing), str(HERE / book)],
            env={**self.environment, **keeping},
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
        )
        found = sorted(folder.glob(f"*/AnsiballZ_{name}.py"))
        if not found:
            raise SystemExit(f"Ansible sent no {name}:\n{done.stdout[-2000:]}{done.stderr[-1000:]}")
        return found[0].rename(self.directory / f"{name}.py")

    def module(self, payload: Path) -> tuple[Used, dict[str, Any]]:
        """Run a payload as the host would; return what it took and the module's result."""
        used = self.measure(sys.executable, str(payload))
        return used, json.loads(used.output)

    def options(self) -> dict[str, Any]:
        """The options of `ollama_model` in this checkout."""
        command = [str(BIN / "ansible-doc"), "--json", "alchemorsel.ollama.ollama_model"]
        text = subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True).stdout
        return dict(json.loads(text)["alchemorsel.ollama.ollama_model"]["doc"]["options"])


def seed(registry: ModelRegistry, store: Path, names: Sequence[str]) -> None:
    """Fill a server's store with models of the registry, as if it had pulled them."""
    for name in names:
        source = registry.store.manifests / "registry.ollama.ai/library" / name / "latest"
        target = store / "manifests" / registry.host / "library" / name / "latest"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        for digest in re.findall(r"sha256:([0-9a-f]{64})", source.read_text()):
            blob = store / "blobs" / f"sha256-{digest}"
            blob.parent.mkdir(parents=True, exist_ok=True)
            if not blob.exists():
                blob.hardlink_to(registry.store.blobs / blob.name)


def publish(registry: ModelRegistry, count: int) -> list[str]:
    """Publish small models that share their weights; return their names in the registry."""
    names = [f"model{number:03d}" for number in range(count)]
    for number, name in enumerate(names):
        registry.publish(name, weights="tiny-a", system=f"You are number {number}.")
    return names


def sparse_gguf(path: Path, size: int, number: int = 0) -> Path:
    """Write a GGUF file of this size: a small model's, then a number, then nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        stream.write((MODELS / "tiny-a.gguf").read_bytes() + number.to_bytes(4, "little"))
        stream.truncate(max(size, stream.tell()))
    return path


def requests_of(server: OllamaServer) -> list[str]:
    """Return `METHOD PATH` of all requests that a server got, in order."""
    return (server.home / "requests.log").read_text().splitlines()


def snapshot(store: Path) -> dict[str, tuple[int, int, int]]:
    """Return inode, size and time of the last write of everything below a directory."""
    stats = {str(path.relative_to(store)): path.stat() for path in store.rglob("*")}
    return {name: (stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}
