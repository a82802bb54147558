# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The models of a server while a plan is carried out on it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from ansible_collections.alchemorsel.ollama.plugins.module_utils._client import OllamaClient
from ansible_collections.alchemorsel.ollama.plugins.module_utils._held import (
    Held,
    held_models,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName


@dataclass
class _Known:
    """What is known of a server's models, by all who work on it at the same time; the dict is replaced, never changed."""

    held: dict[str, Held]
    lock: threading.Lock = field(default_factory=threading.Lock)


class Live:
    """One server and what is known of its models.

    :param held: what it has before the first action, by the key of its name
    """

    def __init__(self, client: OllamaClient, held: dict[str, Held], known: _Known | None = None) -> None:
        self.client = client
        self._known = known or _Known(dict(held))

    @property
    def held(self) -> dict[str, Held]:
        """The models that the server was last seen with."""
        return self._known.held

    def list(self) -> dict[str, Held]:
        """Ask the server anew."""
        # One at a time, so that no older answer takes the place of a newer one.
        with self._known.lock:
            self._known.held = held_models(self.client.tags())
            return self._known.held

    def forget(self, name: ModelName) -> None:
        """Take note of a deletion; they are not listed again one by one."""
        with self._known.lock:
            self._known.held = {key: model for key, model in self._known.held.items() if key != name.key}

    def note(self, model: Held) -> None:
        """Take note of a model that is there now."""
        with self._known.lock:
            self._known.held = {**self._known.held, model.name.key: model}

    def twin(self) -> Live:
        """Return the same for use in another thread: with a client of its own, and knowing what this one knows."""
        return Live(self.client.twin(), {}, self._known)
