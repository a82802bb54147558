# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gives a name to another model, so that there is a model under that name at every moment."""

from __future__ import annotations

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import (
    Action,
    guard_name,
    new_name,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._client import OllamaClient
from ansible_collections.alchemorsel.ollama.plugins.module_utils._held import Held
from ansible_collections.alchemorsel.ollama.plugins.module_utils._live import Live
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName
from ansible_collections.alchemorsel.ollama.plugins.module_utils._origin import Recipe


def alias(live: Live, action: Action) -> Held:
    """Let a name have the digest of the action's source, and return the model as the server lists it then."""
    target = _source(live, action)
    there = live.held.get(action.name.key)
    if there is not None and there.digest == target.digest:
        return there
    switch(live.client, target.name, action.name, there)
    return arrived(live, action.name, target.digest, f"was copied from {target.name} with digest {target.digest}")


def create(live: Live, action: Action, *, timeout: float) -> Held:
    """Create a model beside the one that is there, let it take its place, and return it as the server lists it then.

    :param timeout: seconds for the creation
    """
    base = _source(live, action)
    recipe = action.recipe or Recipe()
    new = new_name(action.name)
    try:
        for _line in live.client.create(new.short, base.name.short, timeout=timeout, **recipe.body()):
            # The base is there, so that a creation has nothing to tell before its end.
            pass
    except errors.BadAnswer as exc:
        raise errors.BadAnswer(
            f"{action.name} cannot be created from {base.name}: {exc.error or exc.message}; correct its declaration. "
            "A model that was there before is still there",
            url=exc.url,
            http_status=exc.http_status,
            error=exc.error,
        ) from exc
    return take_place(live, action, new, str(base.name))


def take_place(live: Live, action: Action, new: ModelName, source: str) -> Held:
    """Let a model that was created under another name take the place of the one that is there, and return it.

    :param source: what it was created from
    """
    now = live.list()
    made, there = now.get(new.key), now.get(action.name.key)
    if made is None:
        raise errors.BadAnswer(
            f"the creation of {action.name} from {source} ended with success, but the server does not list the model; "
            "the server's disk may be full",
            url=live.client.url,
        )
    if there is None or there.digest != made.digest:
        switch(live.client, made.name, action.name, there)
    live.client.delete(made.name.short)
    return arrived(live, action.name, made.digest, f"was created with digest {made.digest}")


def restore(live: Live, action: Action) -> Held:
    """Take an interrupted exchange back: a model gets again what it had before, which the action's source has kept.

    What had taken its place goes under another name first, so that its layers go with that name.
    """
    kept, there = _source(live, action), live.held.get(action.name.key)
    replaced = new_name(action.name)
    if there is not None:
        live.client.copy(there.name.short, replaced.short)
    live.client.copy(kept.name.short, action.name.short)
    if there is not None:
        live.client.delete(replaced.short)
    return arrived(live, action.name, kept.digest, f"should have its digest {kept.digest} again, from {kept.name}")


def arrived(live: Live, name: ModelName, digest: str, what: str) -> Held:
    """Return a model as the server lists it after it was given a digest.

    :param what: words for how that was done
    :raises BadAnswer: if it has another one
    """
    model = live.list().get(name.key)
    if model is None or model.digest != digest:
        raise errors.BadAnswer(
            f"{name} {what}, but the server lists {model.digest if model else 'no such model'}; somebody else works on it, "
            "or the server's disk is full",
            url=live.client.url,
        )
    return model


def _source(live: Live, action: Action) -> Held:
    """Return the model that another one is made from, spelled as the server has it: a creation minds the case."""
    source = live.held.get(action.source.key) if action.source else None
    if source is None:
        raise errors.ModelNotFound(
            f"{action.name} should be made from {action.source}, which the server no longer has; somebody else removed it. "
            "Run again",
            url=live.client.url,
        )
    return source


def switch(
    client: OllamaClient, source: ModelName, name: ModelName, there: Held | None, aside: ModelName | None = None
) -> None:
    """Copy a model over another one.

    A copy leaves the layers of what was there behind for good; a deletion takes them away if nobody else uses them.
    So the old model gets a second name first, which is deleted last.

    :param aside: that second name, where it is not to be the guard's
    """
    aside = aside or guard_name(name)
    if there is not None:
        client.copy(there.name.short, aside.short)
    client.copy(source.short, name.short)
    if there is not None:
        client.delete(aside.short)
