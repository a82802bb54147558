# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with a server, made so on the stand-in: each fault returns the options of the check that meets it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from certificates import write_pem
from fake_host import FakeHost
from tls_front import TLSFront

from lab.standin import names, publish
from lab.standin.testing import MODELS, ModelRegistry, OllamaServer, free_port, hang

NAME = "ollama.example.test"
# How long a test waits for something to happen that must happen.
PATIENCE = 20


@dataclass
class Scene:
    """What a fault may use. Servers are shared by all faults that ask for the same one; `own` starts one to be harmed."""

    standin: Callable[..., OllamaServer]
    shared: dict[Any, OllamaServer]
    registry: ModelRegistry
    host: FakeHost
    directory: Path
    stack: contextlib.ExitStack
    fronts: list[TLSFront] = field(default_factory=list)

    def server(self, **env: str) -> OllamaServer:
        """A stand-in with models m0 and m1, none loaded; `env` are its variables, those of the stand-in without their prefix."""
        return self._shared("server", env)

    def loaded(self, **env: str) -> OllamaServer:
        """A stand-in that has loaded m0."""
        return self._shared("loaded", env)

    def own(self, version: str = "0.32.15", models: int = 1, load: bool = False, **env: str) -> OllamaServer:
        """A stand-in of this fault alone, which ends with it."""
        return furnish(self.standin(version, env=variables(env)), models, load)

    def _shared(self, kind: str, env: dict[str, str]) -> OllamaServer:
        key = (kind, *sorted(env.items()))
        if key not in self.shared:
            home = self.directory / f"shared-{len(self.shared)}"
            self.shared[key] = furnish(OllamaServer(home, "0.32.15", variables(env)), 2, kind == "loaded")
        return self.shared[key]

    def tls(self, server: OllamaServer, days: float) -> dict[str, Any]:
        """Put a gateway before a server whose certificate ends in so many days; the options to reach it."""
        pem = write_pem(self.directory / "gateway.pem", days)
        front = TLSFront(server.url, pem)
        self.stack.callback(front.stop)
        self.fronts.append(front)
        return {"url": front.url, "ca_path": str(pem), "level": "live"}


def variables(env: dict[str, str]) -> dict[str, str]:
    return {key if key.startswith("OLLAMA_") else f"STANDIN_{key}": value for key, value in env.items()}


def furnish(server: OllamaServer, models: int, load: bool) -> OllamaServer:
    """Put models m0, m1 and on into a server's store, and load the first one if so wanted."""
    for number, weights in zip(range(models), ("tiny-a", "tiny-b", "tiny-c", "tiny-t")):
        name = names.parse(f"m{number}")
        assert name is not None
        publish.publish_gguf(server.store, name, MODELS / f"{weights}.gguf")
    if load:
        server.json("POST", "/api/generate", {"model": "m0", "keep_alive": 600})
    return server


Options = dict[str, Any]


def inference(server: OllamaServer, **options: Any) -> Options:
    return {"url": server.url, "level": "inference", **options}


def nobody_there(scene: Scene) -> Options:
    return {"url": f"http://127.0.0.1:{free_port()}", "level": "live"}


def silent_port(scene: Scene) -> Options:
    listener = scene.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    return {"url": f"http://127.0.0.1:{listener.getsockname()[1]}", "level": "live", "timeout": 0.5}


def not_ollama(scene: Scene) -> Options:
    return {"url": scene.registry.url, "level": "live"}


def refused_name(scene: Scene) -> Options:
    """The name leads to the server, which listens on loopback and does not know it; see the test's resolver."""
    return {"url": scene.server().url.replace("127.0.0.1", NAME), "level": "live"}


def old_version(scene: Scene) -> Options:
    return {"url": scene.server().url, "level": "live", "min_version": "99.0.0"}


def gpu_not_found(scene: Scene) -> Options:
    """The server was given a GPU and found none."""
    server = scene.server()
    scene.host.file("server.log", server.log.read_text())
    return {"url": server.url, "level": "live", "min_gpus": 1, "log_path": "/server.log"}


def certificate_ends_soon(scene: Scene) -> Options:
    return scene.tls(scene.server(), 5.5)


def certificate_has_ended(scene: Scene) -> Options:
    return scene.tls(scene.server(), -1)


def certificate_has_ended_unverified(scene: Scene) -> Options:
    return {**scene.tls(scene.server(), -1), "validate_certs": False}


def model_missing(scene: Scene) -> Options:
    return {"url": scene.server().url, "models": ["nope"]}


def wrong_digest(scene: Scene) -> Options:
    return {"url": scene.server().url, "models": [{"name": "m0", "digest": "a" * 64}]}


def model_broken(scene: Scene) -> Options:
    server = scene.own()
    for blob in server.store.root.glob("blobs/sha256-*"):
        if blob.stat().st_size > 10_000:
            blob.unlink()
    return {"url": server.url, "models": ["m0"]}


def low_space(scene: Scene) -> Options:
    return {"url": scene.server().url, "store_path": "/", "min_free": "8000000T"}


def cloud_on(scene: Scene) -> Options:
    return {"url": scene.own(OLLAMA_NO_CLOUD="0").url, "require_cloud_disabled": True}


def busy(scene: Scene) -> Options:
    """One model loads, one waits, and the queue has no other place."""
    server = scene.own(models=4, LOAD_SECONDS="30", OLLAMA_MAX_QUEUE="1")
    answered = threading.Event()

    def load(model: str) -> None:
        with contextlib.suppress(OSError):
            server.request("POST", "/api/generate", {"model": model})
        answered.set()

    threading.Thread(target=load, args=("m0",), daemon=True).start()
    wait_until(lambda: bool(server.runners))
    for model in ("m1", "m2"):
        threading.Thread(target=load, args=(model,), daemon=True).start()
    # Only one of both finds a place; the other is told so at once.
    assert answered.wait(PATIENCE)
    return inference(server, inference_models=["m3"])


def not_loaded(scene: Scene) -> Options:
    return inference(scene.loaded(), inference_models=["m1"])


def loading(scene: Scene) -> Options:
    return inference(scene.own(LOAD_SECONDS="30"), load_timeout=0.5)


def killed(scene: Scene) -> Options:
    server = scene.own(LOAD_SECONDS="60")
    when_it_loads(server, lambda: None)
    return inference(server)


def killed_for_memory(scene: Scene) -> Options:
    server = scene.own(LOAD_SECONDS="60")
    scene.host.kills(0, "cgroup")
    when_it_loads(server, lambda: scene.host.kills(1, "cgroup"))
    return inference(server, cgroup_path="/cgroup")


def hung(scene: Scene) -> Options:
    server = scene.own("0.24.0", load=True)
    hang(server.runners[0])
    return inference(server, max_seconds=0.5)


def hung_list(scene: Scene) -> Options:
    server = scene.own("0.32.15", load=True)
    hang(server.runners[0])
    return inference(server, timeout=5)


def slow_answer(scene: Scene) -> Options:
    return inference(scene.loaded(TOKEN_SECONDS="4"), max_seconds=7)


def slow_first_token(scene: Scene) -> Options:
    return inference(scene.loaded(TOKEN_SECONDS="1.2"), max_first_token_seconds=0.5, max_tokens=1)


def slow_rate(scene: Scene) -> Options:
    return inference(scene.loaded(), min_tokens_per_second=1000000)


def unexpected_answer(scene: Scene) -> Options:
    return inference(scene.loaded(), expect="(?i)xyzzy", max_tokens=4)


def short_context(scene: Scene) -> Options:
    return inference(scene.loaded(), min_context_length=1000000)


def on_cpu(scene: Scene) -> Options:
    return inference(scene.loaded(), gpu="required")


def witnesses_disagree(scene: Scene) -> Options:
    scene.host.tool("nvidia-smi", "")
    return inference(scene.loaded(GPU_SHARE="1"), gpu="required")


def log_disagrees(scene: Scene) -> Options:
    """The server found a GPU at its start and claims none now."""
    server = scene.loaded()
    log = server.log.read_text().replace("library=cpu", "library=CUDA")
    scene.host.file("server.log", log)
    return inference(server, gpu="required", log_path="/server.log")


def no_witness(scene: Scene) -> Options:
    return inference(scene.loaded(GPU_SHARE="1"), gpu="required", gpu_witness="nvidia_smi")


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "what must happen did not"
        time.sleep(0.02)


def when_it_loads(server: OllamaServer, then: Callable[[], None]) -> None:
    """Kill the process of the next model that is loaded, after `then`."""

    def kill() -> None:
        wait_until(lambda: bool(server.runners))
        then()
        os.kill(server.runners[0], signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()


# In the order of the documentation: what is wrong -> how it is made, and the verdict.
FAULTS: dict[str, tuple[Callable[[Scene], Options], str]] = {
    "nobody there": (nobody_there, "unreachable"),
    "something takes connections and says nothing": (silent_port, "no_answer"),
    "not Ollama": (not_ollama, "not_ollama"),
    "403 with an empty body": (refused_name, "refused"),
    "wrong version": (old_version, "old_version"),
    "a GPU was given and none found": (gpu_not_found, "gpu_not_found"),
    "certificate about to expire": (certificate_ends_soon, "certificate_expiring"),
    "certificate expired": (certificate_has_ended, "tls_failure"),
    "certificate expired, not verified": (certificate_has_ended_unverified, "certificate_expiring"),
    "disk nearly full": (low_space, "low_space"),
    "cloud models on": (cloud_on, "cloud_on"),
    "model missing": (model_missing, "model_missing"),
    "model with another digest": (wrong_digest, "wrong_digest"),
    "model broken": (model_broken, "model_broken"),
    "busy": (busy, "busy"),
    "another model is loaded": (not_loaded, "not_loaded"),
    "loading": (loading, "loading"),
    "runner killed": (killed, "runner_failed"),
    "runner killed for memory": (killed_for_memory, "out_of_memory"),
    "runner hung": (hung, "hung"),
    "runner hung, the list of loaded models blocks": (hung_list, "hung"),
    "slow answer": (slow_answer, "slow"),
    "slow first token": (slow_first_token, "slow"),
    "low rate": (slow_rate, "slow"),
    "wrong answer": (unexpected_answer, "unexpected_answer"),
    "short context": (short_context, "short_context"),
    "on CPU though a GPU is required": (on_cpu, "on_cpu"),
    "witnesses disagree": (witnesses_disagree, "gpu_lost"),
    "a GPU at the start, none now": (log_disagrees, "gpu_lost"),
    "no second witness": (no_witness, "gpu_unproven"),
}
