# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that changes nothing, against the lightest task, and against the ways people do it today."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .figures import Line, at_least, at_most, exponent, in_turns, spread
from .scale import Scale
from .world import Used, World, publish, requests_of

MODELS = 20
OURS = "plays/models.yml"


@dataclass(frozen=True)
class Rival:
    """A way people do it today.

    :param times: how many times faster ours is to be; ``None`` where no module can be
    :param slow: it takes minutes
    """

    case: str
    what: str
    book: str
    times: float | None
    slow: bool = True
    note: str = ""

    def runs(self, scale: Scale) -> int:
        return scale.slow_runs if self.slow else scale.runs


RIVALS = (
    Rival("noop-pull-loop", "a loop of `command: ollama pull`", "rivals/pull_loop.yml", 10),
    Rival("noop-uri-show", "`uri` for each model, then a loop with `when`", "rivals/uri_show_loop.yml", 3),
    Rival(
        "noop-uri-tags",
        "one `uri` that lists the models, then a loop with `when`",
        "rivals/uri_tags_loop.yml",
        None,
        slow=False,
        note="it runs one module on the host, as ours does, and what it skips costs it nothing there: `ping` itself is not 3 times faster",
    ),
)


def against_others(world: World, scale: Scale) -> Iterator[Line]:
    """20 models on each of 20 hosts, all there."""
    with world.registry() as registry:
        names = publish(registry, MODELS)
        with world.servers(registry, [names] * scale.hosts) as servers:
            wanted = [registry.model(name) for name in names]
            inventory = world.inventory(registry, servers, wanted=wanted)
            size = f"{MODELS} models, {scale.hosts} hosts"

            def run(book: str) -> Used:
                used = world.play(book, inventory, forks=scale.forks)
                if "changed=1" in used.output:
                    raise SystemExit(f"{book}: a run without anything to do has changed something")
                return used

            def compare(book: str, runs: int) -> tuple[tuple[Used, ...], tuple[Used, ...]]:
                return in_turns(runs, lambda: run(OURS), lambda: run(book))

            world.play("rivals/ping.yml", inventory, forks=scale.forks)  # fills the caches
            marks = [len(requests_of(server)) for server in servers]
            world.play(OURS, inventory, forks=scale.forks)
            asked = [requests_of(server)[mark:] for server, mark in zip(servers, marks)]
            yield requests_line(asked, size)
            ours, other = compare("rivals/ping.yml", scale.runs)
            text = f"Play against `ansible.builtin.ping`, {size}"
            yield Line("noop-ping", f"{text}: time", "s", seconds(ours), seconds(other), at_most(1.6))
            yield Line("noop-ping-cpu", f"{text}: processor time", "s", processor(ours), processor(other))
            for rival in RIVALS:
                ours, other = compare(rival.book, rival.runs(scale))
                text = f"Play against {rival.what}, {size}: times faster"
                limit = at_least(rival.times) if rival.times else None
                yield Line(rival.case, text, "s", seconds(ours), seconds(other), limit, faster=True, note=rival.note)


def seconds(runs: Sequence[Used]) -> tuple[float, ...]:
    return tuple(used.seconds for used in runs)


def processor(runs: Sequence[Used]) -> tuple[float, ...]:
    return tuple(used.processor for used in runs)


def requests_line(asked: list[list[str]], size: str) -> Line:
    """Requests that the servers got from one play."""
    kinds = Counter(text for requests in asked for text in requests)
    note = ", ".join(f"{count} × `{text}`" for text, count in sorted(kinds.items()))
    counts = tuple(float(len(requests)) for requests in asked)
    return Line(
        "noop-requests", f"Requests to each server, {size}", "", counts, limit=at_most(1), note=f"{note} in all"
    )


def breakdown(world: World, scale: Scale) -> Iterator[Line]:
    """Where the module's processor time goes, from what only the start takes to the whole run."""
    with world.registry() as registry:
        names = publish(registry, MODELS)
        with world.servers(registry, [names]) as servers:
            inventory = world.inventory(registry, servers, wanted=[registry.model(name) for name in names])
            ping = world.payload("rivals/ping.yml", inventory, "ping")
            ours = world.payload(OURS, inventory, "ollama_model", progress=False)
            ours = ours.rename(ours.with_name("ollama_model-alone.py"))
            store = str(servers[0].store.root)
            with_store = world.payload(OURS, inventory, "ollama_model", progress=False, store_path=store)
            package = unpacked(ours)
            code = "ansible_collections.alchemorsel.ollama.plugins.modules.ollama_model"
            steps = {
                "the interpreter alone": ["-c", "pass"],
                "with Ansible's own basics imported": ["-c", imports(package, "ansible.module_utils.basic")],
                "with the module's code imported too": ["-c", imports(package, code)],
                "with `requests` imported too": ["-c", imports(package, code, "requests")],
                "the whole module, no-op": [str(ours)],
                "the same with `store_path`, all files looked at": [str(with_store)],
                "for comparison the whole of `ansible.builtin.ping`": [str(ping)],
            }
            python = world.python
            for command in steps.values():
                world.measure(python, *command)
            figures: dict[str, list[float]] = {text: [] for text in steps}
            for _turn in range(3 * scale.runs):
                for text, command in steps.items():
                    figures[text].append(world.measure(python, *command).processor * 1000)
            for number, (text, found) in enumerate(figures.items(), 1):
                yield Line(f"noop-process-{number}", f"Processor time on the host: {text}", "ms", tuple(found))


def unpacked(payload: Path) -> Path:
    """Return the zip file that a payload carries."""
    (data,) = re.findall(r"[\"'](UEsDB[A-Za-z0-9+/=]+)[\"']", payload.read_text())
    path = payload.with_suffix(".zip")
    path.write_bytes(base64.b64decode(data))
    return path


def imports(package: Path, *names: str) -> str:
    return f"import sys; sys.path.insert(0, {str(package)!r}); import {', '.join(names)}"


def growth(world: World, scale: Scale) -> Iterator[Line]:
    """The module alone with more and more models, all there."""
    middles = []
    with world.registry() as registry:
        names = publish(registry, max(scale.growth))
        with world.servers(registry, [names[:count] for count in scale.growth]) as servers:
            payloads = []
            for count, server in zip(scale.growth, servers):
                inventory = world.inventory(registry, [server], wanted=[registry.model(name) for name in names[:count]])
                payload = world.payload(OURS, inventory, "ollama_model", progress=False)
                payloads.append(payload.rename(payload.with_name(f"ollama_model-{count}.py")))
                world.module(payloads[-1])
            figures: dict[int, list[float]] = {count: [] for count in scale.growth}
            for _turn in range(2 * scale.runs):
                for count, payload in zip(scale.growth, payloads):
                    used, result = world.module(payload)
                    if result["changed"] or len(result["models"]) != count:
                        raise SystemExit(f"growth, {count} models: the module found something else")
                    figures[count].append(used.processor * 1000)
            runs = 2 * scale.runs + 1
            for count, server in zip(scale.growth, servers):
                middles.append(spread(figures[count]).middle)
                asked = [text for text in requests_of(server) if text != "GET /api/version"]
                note = f"requests of a run: {len(asked) / runs:g}, `{asked[-1]}`"
                yield Line(
                    f"growth-{count}",
                    f"{count} models, processor time",
                    "ms",
                    tuple(figures[count]),
                    note=note,
                    size=count,
                )
    fitted = exponent(scale.growth, middles)
    note = "0 would be constant, 1 linear; least squares over the middle values"
    yield Line(
        "growth-exponent", "Fitted exponent of the processor time over the number of models", "", (fitted,), note=note
    )
