# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The models of a server while a plan is carried out on it."""

from __future__ import annotations

from ansible_collections.alchemorsel.ollama.plugins.module_utils._client import OllamaClient
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName
from ansible_collections.alchemorsel.ollama.plugins.module_utils._plan import Held, held_models


class Live:
    """One server and what is known of its models.

    :param held: what it has before the first action, by the key of its name
    """

    def __init__(self, client: OllamaClient, held: dict[str, Held]) -> None:
        self.client = client
        self.held = dict(held)

    def list(self) -> dict[str, Held]:
        """Ask the server anew."""
        self.held = held_models(self.client.tags())
        return self.held

    def forget(self, name: ModelName) -> None:
        """Take note of a deletion; they are not listed again one by one."""
        self.held.pop(name.key, None)
