# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gives a name to another model, so that there is a model under that name at every moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Callable

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._client import OllamaClient
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName
from ansible_collections.alchemorsel.ollama.plugins.module_utils._plan import Action, Held, guard_name

#: Lists the server's models anew.
Listing = Callable[[], Mapping[str, Held]]


def alias(client: OllamaClient, action: Action, held: Mapping[str, Held], listing: Listing) -> Held:
    """Let a name have the digest of the action's source, and return the model as the server lists it then."""
    assert action.source is not None
    target = held.get(action.source.key)
    if target is None:
        raise errors.ModelNotFound(
            f"{action.name} should be made from {action.source}, which the server no longer has; somebody else removed it. "
            "Run again",
            url=client.url,
        )
    there = held.get(action.name.key)
    if there is not None and there.digest == target.digest:
        return there
    switch(client, target.name, action.name, there)
    after = listing().get(action.name.key)
    if after is None or after.digest != target.digest:
        raise errors.BadAnswer(
            f"{action.name} was copied from {target.name} with digest {target.digest}, but the server lists "
            f"{after.digest if after else 'no such model'}; somebody else works on it, or the server's disk is full",
            url=client.url,
        )
    return after


def switch(client: OllamaClient, source: ModelName, name: ModelName, there: Held | None) -> None:
    """Copy a model over another one.

    A copy leaves the layers of what was there behind for good; a deletion takes them away if nobody else uses them.
    So the old model gets a second name first, which is deleted last.
    """
    guard = guard_name(name)
    if there is not None:
        client.copy(there.name.short, guard.short)
    client.copy(source.short, name.short)
    if there is not None:
        client.delete(guard.short)
