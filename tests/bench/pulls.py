# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulls, against the least that a pull can cost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lab.standin import names, publish
from lab.standin.testing import ModelRegistry, OllamaServer

from .figures import Line, NotRun, at_most, in_turns
from .scale import MB, Scale
from .world import HERE, World, sparse_gguf

MODULE = "plays/models.yml"
RAW = str(HERE / "rivals/raw_pull.py")
SMALL = 12
LATENCY = 0.2  # seconds before each answer of the registry
PARALLEL = 4
#: the figures of ours and of the other side
Sides = tuple[tuple[float, ...], tuple[float, ...]]
#: Below 100 MB the server fetches a blob over one connection, and its speed is the line's.
LINE_BYTES = 90 * MB


def publish_sparse(registry: ModelRegistry, directory: Path, name: str, size: int, number: int = 0) -> str:
    """Publish a model of this size; return its name for a server."""
    path = sparse_gguf(directory / "weights.gguf", size, number)
    parsed = names.parse(f"{name}:latest")
    assert parsed is not None
    publish.publish_gguf(registry.store, parsed, path)
    path.unlink()
    return registry.model(name)


def forget(server: OllamaServer, models: list[str]) -> None:
    """Remove models from a server, as if they had never been pulled."""
    for model in models:
        server.request("DELETE", "/api/delete", {"model": model})


def over_a_line(world: World, scale: Scale) -> Iterator[Line]:
    """The module and a raw client in turns, over a slow line: whole processes."""
    with world.registry() as registry, world.servers(registry, [[]]) as (server,):
        slow = publish_sparse(registry, world.directory, "slow", LINE_BYTES)
        slow_line(registry, scale.seconds)
        speed = LINE_BYTES / scale.seconds / MB
        whole, _own = compare(world, registry, server, slow, scale.slow_runs)
        text = (
            f"Module against a raw API client, {LINE_BYTES // MB} MB over a line of {speed:.1f} MB/s: whole processes"
        )
        yield Line("pull-line", text, "s", *whole, at_most(1.02))


def against_raw(world: World, scale: Scale) -> Iterator[Line]:
    """The same as fast as it goes: the pull alone, and whole processes."""
    with world.registry() as registry, world.servers(registry, [[]]) as (server,):
        fast = publish_sparse(registry, world.directory, "fast", scale.pull_bytes)
        # The disk takes 2 GB at a speed that differs by a fifth from one time to the next; the limit is a fiftieth.
        whole, own = compare(world, registry, server, fast, 3 * scale.runs)
        text = f"Module against a raw API client, {scale.pull_bytes // MB} MB without a limit of speed"
        note = "its constant cost, the start of Python and Ansible's basics, counts here in full"
        yield Line("pull-fast", f"{text}: the pull alone", "s", *own, at_most(1.02))
        yield Line("pull-fast-whole", f"{text}: whole processes", "s", *whole, note=note)


def slow_line(registry: ModelRegistry, seconds: float) -> None:
    """Let the model `slow` take about this long."""
    registry.fail("drip", "/library/slow/", request="blob_range", rate=int(LINE_BYTES / seconds), chunk=50_000)


def compare(world: World, registry: ModelRegistry, server: OllamaServer, model: str, runs: int) -> tuple[Sides, Sides]:
    """Pull with the module and with the raw client in turns: seconds of the processes, and of the pulls alone."""
    inventory = world.inventory(registry, [server], wanted=[model])
    payload = world.payload(MODULE, inventory, "ollama_model", progress=False)

    def with_module() -> tuple[float, float]:
        forget(server, [model])
        used, result = world.module(payload)
        check_pulled(result, 1)
        return used.seconds, float(result["actions"][0]["seconds"])

    def with_raw_client() -> tuple[float, float]:
        forget(server, [model])
        used = world.measure(world.python, RAW, server.url, model)
        return used.seconds, float(json.loads(used.output)["seconds"])

    ours, other = in_turns(runs, with_module, with_raw_client)
    whole = tuple(run[0] for run in ours), tuple(run[0] for run in other)
    return whole, (tuple(run[1] for run in ours), tuple(run[1] for run in other))


def with_progress(world: World, scale: Scale) -> Iterator[Line]:
    """A play with the display of progress, and the same without."""
    with world.registry() as registry, world.servers(registry, [[]]) as (server,):
        slow = publish_sparse(registry, world.directory, "slow", LINE_BYTES)
        slow_line(registry, scale.seconds)
        inventory = world.inventory(registry, [server], wanted=[slow])

        def run(progress: bool) -> float:
            forget(server, [slow])
            used = world.play(MODULE, inventory, progress=progress)
            if (f"[host00] {slow}" in used.output) != progress:
                raise SystemExit(f"progress: {progress}, but the output is\n{used.output}")
            return used.seconds

        sides = in_turns(scale.slow_runs, lambda: run(True), lambda: run(False))
        text = f"Play with progress against the same without, a pull of about {scale.seconds} s"
        yield Line("pull-progress", text, "s", *sides, at_most(1.05))


def in_parallel(world: World, scale: Scale) -> Iterator[Line | NotRun]:
    """12 small models from a source with latency, some at a time against one after the other."""
    text = f"{SMALL} small models, {LATENCY:g} s before each answer of the source: `parallel: {PARALLEL}` against `parallel: 1`"
    if "parallel" not in world.options():
        yield NotRun("pull-parallel", text, "ollama_model has no option parallel")
        return
    with world.registry() as registry, world.servers(registry, [[]]) as (server,):
        models = [publish_sparse(registry, world.directory, f"small{n}", 0, n) for n in range(SMALL)]
        registry.fail("delay", seconds=LATENCY)
        inventory = world.inventory(registry, [server], wanted=models)

        def with_parallel(count: int) -> Callable[[], float]:
            made = world.payload(MODULE, inventory, "ollama_model", progress=False, parallel=count)
            payload = made.rename(made.with_name(f"parallel-{count}.py"))

            def run() -> float:
                forget(server, models)
                used, result = world.module(payload)
                check_pulled(result, len(models))
                return used.seconds

            return run

        sides = in_turns(scale.runs, with_parallel(PARALLEL), with_parallel(1))
        yield Line("pull-parallel", text, "s", *sides, at_most(0.6))


def check_pulled(result: dict[str, Any], count: int) -> None:
    pulled = [action for action in result["actions"] if action["action"] == "pull" and action["changed"]]
    if len(pulled) != count:
        raise SystemExit(f"{count} models were to be pulled, {len(pulled)} were")
