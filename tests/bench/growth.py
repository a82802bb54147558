# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What more hosts and larger models cost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.standin.testing import ModelRegistry, OllamaServer

from .figures import Line, NotRun, at_most, exponent, in_turns, spread
from .noop import MODELS, OURS, seconds
from .pulls import RAW, check_pulled, forget, publish_sparse
from .scale import GB, MB, Scale
from .world import Used, World, publish

FITTED = "0 would be constant, 1 linear; least squares over the middle values"


def hosts(world: World, scale: Scale) -> Iterator[Line]:
    """A play without anything to do on more and more hosts, against the lightest task."""
    with world.registry() as registry:
        names = publish(registry, MODELS)
        with world.servers(registry, [names] * max(scale.host_growth)) as servers:
            wanted = [registry.model(name) for name in names]
            lines = []
            for count in scale.host_growth:
                inventory = world.inventory(registry, servers[:count], wanted=wanted)

                def play(book: str, chosen: Path = inventory) -> Used:
                    return world.play(book, chosen, forks=scale.forks)

                for book in (OURS, "rivals/ping.yml"):
                    play(book)  # fills the caches
                ours, other = in_turns(scale.runs, lambda: play(OURS), lambda: play("rivals/ping.yml"))
                text = f"Play on {count} hosts, {MODELS} models each, against `ansible.builtin.ping`: time"
                lines.append(Line(f"hosts-{count}", text, "s", seconds(ours), seconds(other), size=count))
                yield lines[-1]
    yield fitted("hosts-exponent", "Fitted exponent of the play's time over the number of hosts", lines)


def sizes(world: World, scale: Scale) -> Iterator[Line | NotRun]:
    """The pull of a larger and larger model, against a raw client, and the peak memory of the module's process."""
    lines: list[Line] = []
    peaks: list[float] = []
    for size in scale.size_growth:
        text = f"Pull of a model of {size // MB} MB against a raw API client: the pull alone"
        # What is pulled is written in full; the registry's own file is sparse
        free = shutil.disk_usage(world.directory).free
        if free < 1.5 * size:
            yield NotRun(f"size-{size // MB}", text, f"{free // MB} MB of disk are free, {3 * size // 2 // MB} wanted")
            continue
        with world.registry() as registry, world.servers(registry, [[]]) as (server,):
            model = publish_sparse(registry, world.directory, "grown", size)
            if not lines:
                pulled(world, registry, server, model, 1)  # fills the caches
            runs = scale.slow_runs if size >= GB else scale.runs
            ours, other, found = pulled(world, registry, server, model, runs)
        peaks.append(spread(found).middle)
        note = f"peak memory of the module's process {peaks[-1]:.1f} MB"
        lines.append(Line(f"size-{size // MB}", text, "s", ours, other, note=note, size=size / MB))
        yield lines[-1]
    if len(lines) > 1:
        yield fitted("size-exponent", "Fitted exponent of the pull's time over the size of the model", lines)
        yield Line(
            "size-memory", "Peak memory of the module's process, all sizes", "MB", tuple(peaks), limit=at_most(60, "MB")
        )
        steps = [line.size or 1 for line in lines]
        text = "Fitted exponent of the peak memory over the size of the model"
        yield Line("size-memory-exponent", text, "", (exponent(steps, peaks),), note=FITTED)


def pulled(
    world: World, registry: ModelRegistry, server: OllamaServer, model: str, runs: int
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Pull with the module and with the raw client in turns: seconds of both, and the peaks of the module's process."""
    payload = world.payload(OURS, world.inventory(registry, [server], wanted=[model]), "ollama_model", progress=False)

    def with_module() -> tuple[float, float]:
        forget(server, [model])
        used, result = world.module(payload)
        check_pulled(result, 1)
        return float(result["actions"][0]["seconds"]), used.megabytes

    def with_raw_client() -> tuple[float, float]:
        forget(server, [model])
        used = world.measure(world.python, RAW, server.url, model)
        return float(json.loads(used.output)["seconds"]), used.megabytes

    ours, other = in_turns(runs, with_module, with_raw_client)
    return tuple(run[0] for run in ours), tuple(run[0] for run in other), tuple(run[1] for run in ours)


def fitted(case: str, text: str, lines: Sequence[Line]) -> Line:
    """Return the line with the exponent of our side; the note has that of the other."""
    steps = [line.size or 1 for line in lines]
    ours = exponent(steps, [spread(line.ours).middle for line in lines])
    other = exponent(steps, [spread(line.other).middle for line in lines])
    return Line(case, text, "", (ours,), note=f"{FITTED}; that of the other side is {other:.2f}")
