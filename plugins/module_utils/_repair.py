# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clears the way for a model that is to be made whole, and proves afterwards that it is."""

from __future__ import annotations

import os

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import Action
from ansible_collections.alchemorsel.ollama.plugins.module_utils._broken import listed
from ansible_collections.alchemorsel.ollama.plugins.module_utils._live import Live
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull import Clock
from ansible_collections.alchemorsel.ollama.plugins.module_utils._remove import delete
from ansible_collections.alchemorsel.ollama.plugins.module_utils._stock import show_fault
from ansible_collections.alchemorsel.ollama.plugins.module_utils._store import (
    Bad,
    bad_blobs,
    blob_path,
    is_as_named,
    read_model,
    unproven_blobs,
    user_name,
)


def clear_way(live: Live, action: Action, store_path: str | None, clock: Clock) -> None:
    """Remove what an action cannot do with, as its plan says, and before a pull what an earlier one left that came wrong.

    :raises StoreBroken: if that cannot be done
    """
    if action.fetches and store_path is not None:
        for path in unproven_blobs(store_path, action.blobs):
            _unlink_unused(path, live.client.url)
    if action.cure is None:
        return
    for bad in action.cure.unlink:
        if store_path is not None:
            _unlink(store_path, bad, live.client.url)
    if action.cure.anew:
        delete(live, action, clock)


def unproven(live: Live, action: Action, store_path: str | None) -> list[errors.OllamaError]:
    """Return why a model that an action brought is not proven to be whole, nothing if it is.

    :param store_path: without it, only a model that was broken is looked at, by asking the server to show it
    """
    model = live.held.get(action.name.key)
    if action.digest_after is None or model is None:
        return []
    try:
        if store_path is None:
            fault = show_fault(live.client, model.name) if action.cure is not None else None
            remedy = "another model may use the same broken file; give store_path, so that it is found"
            return [_still(action, fault.reason, remedy, live.client.url)] if fault else []
        stored = read_model(store_path, model.name)
        if stored is None:
            return [_still(action, f"store_path {store_path} does not have it", "check store_path", live.client.url)]
        bad = bad_blobs(store_path, stored.blobs)
        why = f"its manifest {stored.path} {stored.problem}" if stored.problem else listed([str(one) for one in bad])
    except errors.OllamaError as exc:
        return [exc]
    return [_still(action, why, "look at the disk of the server, then run again", live.client.url)] if why else []


def _still(action: Action, why: str, remedy: str, url: str) -> errors.StoreBroken:
    return errors.StoreBroken(f"{action.name} is not whole after its {action.kind}: {why}; {remedy}", url=url)


def _unlink_unused(path: str, url: str) -> None:
    """Remove a blob with wrong content that no model uses."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as exc:
        raise errors.StoreBroken(
            f"{path} was left by a pull that failed, has not the content that its name promises, and cannot be removed by user "
            f"{user_name()}: {exc.strerror}; run the module with become, or remove the file",
            url=url,
        ) from exc


def _unlink(root: str, bad: Bad, url: str) -> None:
    """Remove a blob that still has another size than its manifest says, and whose content is proven to be another."""
    path = blob_path(root, bad.digest)
    if not any(one.found is not None for one in bad_blobs(root, {bad.digest: bad.wanted})):
        # Somebody was faster; it is as it should be, or gone.
        return
    try:
        if is_as_named(path):
            raise errors.StoreBroken(
                f"{path} has {bad.found} bytes and exactly the content that its name promises, so it was not removed, although "
                f"the manifest says {bad.wanted} bytes; the manifest is wrong, and has to be repaired at the source of the model",
                url=url,
            )
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as exc:
        raise errors.StoreBroken(
            f"{path} has a wrong size and cannot be removed by user {user_name()}: {exc.strerror}; run the module with become, "
            "or remove the file",
            url=url,
        ) from exc
