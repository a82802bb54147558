# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run tests/integration/targets with ansible-test, once per server version, each time against a fresh server.

    python tools/integration.py VENV [TARGET...]

Server and model registry run as processes on free loopback ports: the stand-in playing each version, or the
binaries that LAB_OLLAMA_BINARY names, separated by colons. What the targets need to know of them is written to the integration_config.yml that
ansible-test hands to them as variables (`Lab.variables` lists them). Ends with "N passed, N failed".
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path.cwd()
VERSIONS = ("0.32.15", "0.24.0")
MODELS = ("tiny-a", "tiny-b", "tiny-c", "tiny-bert")
START_TIMEOUT = 60.0  # seconds


@dataclass(frozen=True)
class Lab:
    """The variables of the targets."""

    ollama_url: str
    ollama_version: str
    ollama_server: str  # "stand-in" or "real"
    ollama_store: str  # its model directory
    ollama_log: str  # file with what the server logs
    model_registry: str  # HOST:PORT, plain HTTP
    model_registry_url: str  # GET /_control counts, POST /_control/faults makes it fail
    model_registry_store: str  # its directory: publish there
    lab_models: str  # directory of GGUF files
    lab_root: str  # working directory for `lab_python -m lab.standin publish`
    lab_python: str


def main(argv: Sequence[str]) -> int:
    """Run the targets for each version; return the exit code."""
    venv, wanted = argv[0], list(argv[1:])
    targets = wanted or sorted(
        path.name for path in Path("tests/integration/targets").iterdir() if (path / "aliases").exists()
    )
    binaries = os.environ.get("LAB_OLLAMA_BINARY", "")
    failed: list[str] = []
    servers = [("", binary) for binary in binaries.split(":")] if binaries else [(version, "") for version in VERSIONS]
    for version, binary in servers:
        with tempfile.TemporaryDirectory(prefix="alchemorsel-integration-") as directory, ExitStack() as stack:
            lab = stack.enter_context(start_lab(Path(directory), version, binary))
            print(f"== {lab.ollama_server} {lab.ollama_version} at {lab.ollama_url}: {' '.join(targets)}", flush=True)
            config = Path(directory) / "integration_config.yml"
            config.write_text(yaml.safe_dump(asdict(lab)))
            failed += [f"{lab.ollama_version}: {target}" for target in run_targets(venv, config, targets)]
    total = len(targets) * len(servers)
    if not targets:
        print("no targets in tests/integration/targets")
        return 1
    print("".join(f"failed: {name}\n" for name in failed) + f"{total - len(failed)} passed, {len(failed)} failed")
    return int(bool(failed))


def run_targets(venv: str, config: Path, targets: Sequence[str]) -> list[str]:
    """Run the targets of one version; return those that failed."""
    command = ["tools/ansible-test", venv, "integration", "--continue-on-error", "--color", "no", "-v", *targets]
    environment = {**os.environ, "INTEGRATION_CONFIG": str(config)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        output = ""
        for line in process.stdout or ():
            print(line, end="", flush=True)
            output += line
    if not process.returncode:
        return []
    return [target for target in targets if re.search(rf"^{re.escape(target)}$", output, re.MULTILINE)] or list(targets)


@contextmanager
def start_lab(directory: Path, version: str, binary: str) -> Iterator[Lab]:
    """Start a model registry with the lab's models, and a server with an empty store; end both."""
    store = directory / "registry"
    for model in MODELS:
        publish(store, model)
    python = [sys.executable, "-m", "lab.standin"]
    with ExitStack() as stack:
        registry = stack.enter_context(
            serving([*python, "registry", "--store", str(store), "--listen", "127.0.0.1:0"], {}, directory)
        )
        environment = {
            "HOME": str(directory / "home"),
            "OLLAMA_MODELS": str(directory / "store"),
            "OLLAMA_NOPRUNE": "1",
            "OLLAMA_NO_CLOUD": "1",
        }
        if binary:
            url = f"http://127.0.0.1:{free_port()}"
            environment["OLLAMA_HOST"] = url.removeprefix("http://")
            stack.enter_context(serving([binary, "serve"], environment, directory, url))
        else:
            environment |= {"OLLAMA_HOST": "127.0.0.1:0", "STANDIN_VERSION": version}
            url = stack.enter_context(serving([*python, "serve"], environment, directory))
        yield Lab(
            ollama_url=url,
            ollama_version=get_json(f"{url}/api/version")["version"],
            ollama_server="real" if binary else "stand-in",
            ollama_store=str(directory / "store"),
            ollama_log=str(directory / "servers.log"),
            model_registry=registry.removeprefix("http://"),
            model_registry_url=registry,
            model_registry_store=str(store),
            lab_models=str(ROOT / "lab/models"),
            lab_root=str(ROOT),
            lab_python=sys.executable,
        )


def publish(store: Path, model: str) -> None:
    """Put a model of lab/models into the registry's store."""
    command = [sys.executable, "-m", "lab.standin", "publish", "--store", str(store)]
    command += ["--name", f"library/{model}:latest", "--gguf", f"lab/models/{model}.gguf"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def serving(command: Sequence[str], environment: dict[str, str], directory: Path, url: str = "") -> Iterator[str]:
    """Run a server and yield its URL, which the lab's own print in their first line; end it afterwards."""
    Path(directory / "home").mkdir(exist_ok=True)
    with (directory / "servers.log").open("ab") as log:
        output = log if url else subprocess.PIPE
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=output, stderr=log)
    try:
        if process.stdout:
            line = process.stdout.readline()
            if not line:
                raise SystemExit(
                    f"{' '.join(command)} did not start: {(directory / 'servers.log').read_text()[-2000:]}"
                )
            url = json.loads(line)["url"]
        wait_for(f"{url}/v2/" if "registry" in command else f"{url}/api/version")
        yield url
    finally:
        process.terminate()
        process.wait(timeout=START_TIMEOUT)


def wait_for(url: str) -> None:
    """Wait until something answers at the URL, whatever it says."""
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            with open_url(url):
                return
        except urllib.error.HTTPError:
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"{url} does not answer after {START_TIMEOUT:.0f} s: {error}") from error
            time.sleep(0.1)


def get_json(url: str) -> dict[str, str]:
    """Return the JSON object at the URL."""
    with open_url(url) as response:
        return dict(json.load(response))


def open_url(url: str) -> Any:
    """Open a loopback URL, never through a proxy."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=60)


def free_port() -> int:
    """Return a free loopback port, for a server that cannot choose one itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
