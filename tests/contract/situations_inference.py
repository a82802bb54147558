# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Situations of exchanges with inference: which models are loaded, and what happens to the inference process."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from .bigmodel import write_big_model
from .registered import situation
from .replay import Line, wait_for
from .world import World

#: the stand-in's pace where something must happen in the middle: seconds for loading and for one token
SLOW = {"STANDIN_LOAD_SECONDS": "0.4", "STANDIN_TOKEN_SECONDS": "0.1"}
#: the same for loads that must not be over before somebody ends or stops the process
SLOWEST = {**SLOW, "STANDIN_LOAD_SECONDS": "60"}
#: bytes by which the stand-in asks its process whether it still answers, before each request
PING = len("ping\n")
KILL = signal.SIGKILL
STOP = signal.SIGSTOP


@situation(
    "generate-load",
    "chat-load",
    "generate-stream",
    "generate-stream-false",
    "chat-stream",
    "chat-stream-false",
    "generate-unload",
    "generate-option-type",
    "generate-keep-alive-string-minus-one",
    "embed-completion-model",
    "v1-chat",
    "v1-chat-stream",
    "v1-chat-tools",
    "v1-completions",
    "v1-completions-stream",
    "v1-messages",
    "v1-responses",
    "v1-models-one",
    "v1-embeddings-completion-model",
)
def one_model(world: World) -> None:
    """The model `a`, which generates text."""
    world.create("a")


@situation(
    "embed",
    "embed-list",
    "embed-load",
    "embed-input-type",
    "embed-too-long-no-truncate",
    "embeddings-old",
    "generate-embedding-model",
    "chat-embedding-model",
    "v1-chat-embedding-model",
    "v1-embeddings",
    "v1-embeddings-list",
    "v1-embeddings-base64",
)
def embedding_model(world: World) -> None:
    """The model `bert`, which only embeds."""
    world.create("bert", "tiny-bert")


@situation("v1-models")
def five_models(world: World) -> None:
    world.create("a")
    world.copy("a", "a-copy")
    world.derive("a-sys", "a", system="S")
    world.create("bert", "tiny-bert")
    world.copy("a", "ns/a:v1")


@situation("ps-loaded")
def loaded(world: World) -> None:
    world.create("a")
    world.load("a")


@situation("ps-keep-alive-forever")
def loaded_for_ever(world: World) -> None:
    world.create("a")
    world.load("a", keep_alive=-1)


@situation("delete-loaded")
def loaded_to_be_deleted(world: World) -> None:
    world.create("del")
    world.load("del")


@situation("generate-weights-missing")
def without_weights(world: World) -> None:
    world.create("tiny")
    world.blob_of("tiny").unlink()


@situation("generate-queue-full")
def queue_is_full(world: World) -> None:
    """Loading hangs, one request waits behind it, and OLLAMA_MAX_QUEUE=1 allows no more."""
    world.start({"OLLAMA_MAX_QUEUE": "1", **SLOWEST})
    for name, weights in (("a", "tiny-a"), ("b", "tiny-b"), ("c", "tiny-c")):
        world.create(name, weights)
    world.signal_next_runner(STOP)
    world.background("/api/generate", {"model": "b", "stream": False})
    world.runner()
    # Two at least find the place taken and are refused at once.
    waiting = [world.background("/api/generate", {"model": "c", "stream": False}) for _request in range(3)]
    wait_for(lambda: sum(not thread.is_alive() for thread in waiting) >= 2, "two refused requests")


@situation("generate-load-timeout")
def loading_hangs(world: World) -> None:
    world.start({"OLLAMA_LOAD_TIMEOUT": "3s", **SLOWEST})
    world.create("a")
    world.signal_next_runner(STOP)


def _big(world: World, **env: str) -> None:
    """The model `big`: on a real server large enough to be busy for a while, on the stand-in slow by setting."""
    world.start({**SLOW, **env})
    if world.binary is None:
        world.create("big", "tiny-c")
    else:
        path = write_big_model(world.directory / "big.gguf")
        digest = world.upload(path.read_bytes())
        world.post("/api/create", {"model": "big", "files": {"big.gguf": digest}, "stream": False})


def _loaded_big(world: World, **env: str) -> int:
    _big(world, **env)
    world.load("big")
    return world.runner()


def _kill_after_tokens(world: World, count: int = 1) -> None:
    """Kills the inference process when so many tokens have come."""
    pid = _loaded_big(world)
    seen: list[Line] = []

    def watch(line: Line) -> bool:
        seen.append(line)
        if len(seen) == count:
            os.kill(pid, KILL)
        return False

    world.on_line = watch


def _kill_at_work(world: World, seconds: float, written: int, pause: float = 0.0, **env: str) -> None:
    """Kills the inference process while it answers.

    :param seconds: of a real server: when, after the request was sent
    :param written: of the stand-in: when its process has written so many bytes since it was loaded
    :param pause: of the stand-in: seconds after that
    """
    pid = _loaded_big(world, **env)
    if world.binary is not None:
        timer = threading.Timer(seconds, os.kill, (pid, KILL))
        world.before_request = timer.start
        world.threads.append(timer)
        return
    before = _written(pid)

    def work() -> None:
        wait_for(lambda: _written(pid) >= before + written, f"{written} bytes from the inference process")
        time.sleep(pause)
        os.kill(pid, KILL)

    world.at_once(work)


def _written(pid: int) -> int:
    """Bytes that a process has written."""
    fields = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines())
    return int(fields["wchar"])


def _kill_before_first_token(world: World) -> None:
    """Kills the inference process while it reads the prompt."""
    # The stand-in has to have read the answer to its ping, or it would load the model anew
    _kill_at_work(world, 0.02, PING, pause=4, STANDIN_TOKEN_SECONDS="60")


def _kill_after_a_token(world: World) -> None:
    """Kills the inference process after the first token of an answer that comes as a whole."""
    _kill_at_work(world, 0.35, PING + 1, STANDIN_TOKEN_SECONDS="1")


@situation("generate-runner-killed")
def killed_while_generating(world: World) -> None:
    _kill_after_tokens(world)


@situation("chat-runner-killed")
def killed_while_chatting(world: World) -> None:
    if world.version == "0.24.0":
        _kill_before_first_token(world)
    else:
        _kill_after_tokens(world)


@situation("v1-chat-stream-runner-killed")
def killed_while_streaming_events(world: World) -> None:
    if world.version == "0.24.0":
        _kill_before_first_token(world)
    else:
        _kill_after_tokens(world, 2)


@situation("v1-chat-runner-killed")
def killed_while_answering(world: World) -> None:
    if world.version == "0.24.0":
        _kill_before_first_token(world)
    else:
        _kill_after_a_token(world)


@situation("generate-runner-killed-stream-false")
def killed_while_generating_silently(world: World) -> None:
    _kill_after_a_token(world)


@situation("generate-runner-killed-idle")
def killed_while_idle(world: World) -> None:
    os.kill(_loaded_big(world), KILL)


@situation("generate-runner-killed-load")
def killed_while_loading(world: World) -> None:
    _big(world, **SLOWEST)
    world.signal_next_runner(KILL)


@situation("generate-server-sigterm")
def server_terminated_while_generating(world: World) -> None:
    _loaded_big(world)
    sent: list[Line] = []

    def watch(line: Line) -> bool:
        if not sent:
            sent.append(line)
            world.signal(signal.SIGTERM)
        return False

    world.on_line = watch
    world.exits_with(0)
