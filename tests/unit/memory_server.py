# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server's models and its memory, as facts about its scheduler say: one process for each file of weights."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declared_memory import RUNNER_PARAMETERS

from tests.unit.created_models import Content

FOREVER, MINUTES = timedelta(days=290 * 365), timedelta(minutes=5)


@dataclass
class Runner:
    """One process: the name and digest that it was started for, its options, and how long it stays."""

    name: str
    digest: str
    options: dict[str, Any]
    stays: timedelta = MINUTES

    @property
    def pinned(self) -> bool:
        return self.stays == FOREVER


class MemoryServer:
    """Answers as the client does. `models` is name -> content, `runners` weights -> process, the youngest last."""

    url = "http://server"
    timeout = 1.0

    def __init__(self, models: dict[str, Content], room: int = 9) -> None:
        self.models = dict(models)
        self.runners: dict[str, Runner] = {}
        self.room = room
        self.loads: list[str] = []
        self.asked: list[str] = []

    # --- what a client asks ---------------------------------------------------------------------------------------

    def tags(self) -> list[dict[str, Any]]:
        return [{"name": name, "digest": content.digest, "size": 10**9} for name, content in list(self.models.items())]

    def ps(self) -> list[dict[str, Any]]:
        self.asked.append("ps")
        now = datetime.now(timezone.utc)
        return [
            {"name": runner.name, "digest": runner.digest, "expires_at": (now + runner.stays).isoformat()}
            for runner in self.runners.values()
        ]

    def generate(self, model: str, *, timeout: float, keep_alive: int) -> dict[str, Any]:
        """Load a model, or keep its process for good, which stays the one of the name that started it."""
        self.asked.append(f"generate {model}")
        self.start(model, FOREVER if keep_alive < 0 else MINUTES)
        return {"model": model}

    def unload(self, model: str) -> None:
        self.asked.append(f"unload {model}")
        self.runners.pop(self._content(model).weights, None)

    def copy(self, source: str, destination: str) -> None:
        self.models[destination] = self._content(source)

    def create(self, model: str, base: str, *, timeout: float, **fields: Any) -> list[dict[str, Any]]:
        self.models[model] = self._content(base).over(base, fields)
        return [{"status": "success"}]

    def delete(self, model: str) -> None:
        self._content(model)
        del self.models[model]

    # --- what happens by itself -----------------------------------------------------------------------------------

    def start(self, model: str, stays: timedelta) -> None:
        content = self._content(model)
        options = {key: value for key, value in content.parameters.items() if key in RUNNER_PARAMETERS}
        runner = self.runners.get(content.weights)
        if runner is None or runner.options != options:
            self.runners.pop(content.weights, None)
            while len(self.runners) >= self.room:
                soonest = min(self.runners, key=lambda weights: self.runners[weights].stays)
                del self.runners[soonest]
            self.loads.append(model)
            runner = self.runners[content.weights] = Runner(model, content.digest, options)
        runner.stays = stays

    def _content(self, model: str) -> Content:
        if model not in self.models:
            raise errors.ModelNotFound(f"no {model}", url=self.url, http_status=404, error=f"model '{model}' not found")
        return self.models[model]
