# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removes models: out of memory first, then from the server."""

from __future__ import annotations

from collections.abc import Collection

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import HOLD, Action
from ansible_collections.alchemorsel.ollama.plugins.module_utils._live import Live
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName, name_of
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull import Clock

#: Seconds between two looks at whether a model has left the memory.
UNLOAD_POLL = 0.5


def delete(live: Live, action: Action, clock: Clock) -> None:
    """Unload and remove a model."""
    _unload(live, action.name, clock)
    remove(live, action.name)
    live.forget(action.name)


def discard(live: Live, action: Action, kept: Collection[str]) -> None:
    """Remove a second name of a model; its process is left to the model that has its digest, and leaves if there is none.

    A hold was made to tell an older version to leave the memory, whatever its name; it does so before it goes. A model
    with the same weights, which the server runs in that process, is loaded again when it is asked for.

    :param kept: digests of the models that are there in the end
    """
    model = live.held.get(action.name.key)
    public = {other.digest for other in live.held.values() if not other.name.internal}
    if model and action.name.internal and model.digest not in public | set(kept):
        shown = [name_of(entry) for entry in live.client.ps() if entry.get("digest") == model.digest]
        if any(action.name.tag == HOLD or (name and name.key == action.name.key) for name in shown):
            leave(live, action.name)
    remove(live, action.name)
    live.forget(action.name)


def leave(live: Live, name: ModelName) -> bool:
    """Ask for a model's memory back; tell whether the server could be asked.

    A model whose blobs are missing cannot be unloaded and holds no memory under this name.
    """
    try:
        live.client.unload(name.short)
    except (errors.ModelNotFound, errors.BadAnswer):
        return False
    return True


def in_memory(live: Live, digest: str | None) -> bool:
    """Tell whether some process is shown with a digest."""
    return any(entry.get("digest") == digest for entry in live.client.ps())


def remove(live: Live, name: ModelName) -> None:
    """Remove a model that is not loaded; one that is gone already is as it should be."""
    try:
        live.client.delete(name.short)
    except errors.ModelNotFound:
        # Somebody else was faster; it is as it should be.
        return


def _unload(live: Live, name: ModelName, clock: Clock) -> None:
    """Take a model out of memory: after its removal it could not be unloaded by name any more.

    An older version is out of reach: the server looks for the process of what the name stands for now, and that may be
    another model's with the same weights.
    """
    if not _loaded(live, name):
        return
    if not leave(live, name):
        return
    deadline = clock.now() + live.client.timeout
    while _loaded(live, name):
        if clock.now() >= deadline:
            raise errors.ServerBusy(
                f"{name} is still answering requests {live.client.timeout:g} s after it was unloaded, so it was not "
                "deleted; run again when it is idle, or restart the server if it hangs",
                url=live.client.url,
            )
        clock.sleep(UNLOAD_POLL)


def _loaded(live: Live, name: ModelName) -> bool:
    model = live.held.get(name.key)
    shown = [item for item in live.client.ps() if model and item.get("digest") == model.digest]
    return any(other is not None and other.key == name.key for other in map(name_of, shown))
