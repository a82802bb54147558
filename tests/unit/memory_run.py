# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans for a server's memory, made and carried out as the module does, without its fetches."""

from __future__ import annotations

from datetime import datetime, timezone

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import (
    Offer,
    Rules,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._apply import Executor
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import declare, refuse
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declared_memory import conflicts, residences
from ansible_collections.alchemorsel.ollama.plugins.module_utils._derived import plan_all, to_show
from ansible_collections.alchemorsel.ollama.plugins.module_utils._held import held_models
from ansible_collections.alchemorsel.ollama.plugins.module_utils._memory import Memory, with_memory
from ansible_collections.alchemorsel.ollama.plugins.module_utils._plan import questions
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull import Clock

from tests.unit.memory_server import MemoryServer


class Timeless(Clock):
    """Sleeping costs no time, but the clock goes on."""

    def __init__(self):
        self.time = 0.0
        self.now = lambda: self.time
        self.sleep = self._sleep

    def _sleep(self, seconds):
        self.time += seconds


class Source:
    """Stands for the fetches: what the registry has comes onto the server."""

    def __init__(self, server, live, contents):
        self.server, self.live, self.contents = server, live, contents
        self.warnings = []

    def fetch(self, action):
        name = action.name.short
        if name not in self.contents:
            raise errors.PullFailed(f"no {name}")
        self.server.models[name] = self.contents[name]
        return self.live.list()[action.name.key]


def plan_for(server, items, source):
    held = held_models(server.tags())
    offers = {
        name.key: Offer(source[name.short].digest, frozenset([source[name.short].digest]), 10**9)
        if name.short in source
        else Offer(problem="its source cannot be read")
        for name in questions(items, held, Rules())
    }
    shown = {name.key: server.models[name.short].show() for name in to_show(items, held)}
    plan = plan_all(items, held, offers, Rules(), shown)
    return held, with_memory(plan, residences(items), held, server.ps(), datetime.now(timezone.utc))


def run(server, entries, source=None, report=None):
    """Plan and carry out as the module does; return the outcome."""
    items = declare(entries)
    refuse(conflicts(items))
    source = {f"{name}:latest": content for name, content in (source or {}).items()}
    held, plan = plan_for(server, items, source)
    memory = Memory(residences(items))
    executor = Executor(server, held, insecure=lambda name: False, memory=memory, clock=Timeless(), report=report)
    executor._fetcher_of = lambda live: Source(server, live, source)
    server.asked.clear()
    return executor.run(plan)


def kinds(outcome):
    return [(done.action.kind, done.action.name.short, done.changed) for done in outcome.done]


def server_with(room=9, **models):
    return MemoryServer({f"{name}:latest": content for name, content in models.items()}, room)


def pinned(server):
    return sorted(runner.name for runner in server.runners.values() if runner.pinned)
