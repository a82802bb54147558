# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds out which models are broken, and how much room there is. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import GUARD
from ansible_collections.alchemorsel.ollama.plugins.module_utils._broken import Fault, Stock, faults_of, needed
from ansible_collections.alchemorsel.ollama.plugins.module_utils._client import OllamaClient
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import Desired
from ansible_collections.alchemorsel.ollama.plugins.module_utils._held import Held
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName
from ansible_collections.alchemorsel.ollama.plugins.module_utils._store import (
    Contents,
    bad_blobs,
    free_bytes,
    may_remove,
    read_contents,
    read_model,
    user_name,
)


@dataclass(frozen=True)
class Care:
    """How closely the models are looked at; sizes in bytes, see the doc fragment ``store``."""

    store_path: str | None = None
    verify: bool = False
    min_free: int = 0
    memory_limit: int | None = None


NO_CARE = Care()


def care_from_params(params: Mapping[str, Any], complaints: list[str]) -> Care:
    """Return what the options of the doc fragment ``store`` say; what is wrong with them goes into ``complaints``."""
    care = Care(params["store_path"], params["verify"], params["min_free"], params["memory_limit"])
    if care.memory_limit is not None and care.memory_limit <= 0:
        complaints.append(f"memory_limit is {care.memory_limit}; wanted a number of bytes above 0")
    return care


def take_stock(client: OllamaClient, care: Care, desired: Sequence[Desired], held: Mapping[str, Held]) -> Stock:
    """Return what is known of the server's disk and memory.

    :raises InvalidInput: if the store cannot be read, or is not that of this server
    :raises OllamaError: if the server does not answer
    """
    if care.store_path is None:
        faults = _kept_faults(client, held, {})
        if care.verify:
            faults.update(_shown_faults(client, desired, held, faults))
        return Stock(faults=faults, memory_limit=care.memory_limit)
    contents = read_contents(care.store_path)
    _check_belongs(contents, held, client.url)
    faults = faults_of(contents)
    faults.update(_kept_faults(client, held, faults))
    if care.verify:
        faults.update(_shown_faults(client, desired, held, faults))
    return Stock(
        contents,
        faults,
        removable=may_remove(care.store_path),
        user=user_name(),
        free=free_bytes(care.store_path),
        min_free=care.min_free,
        memory_limit=care.memory_limit,
    )


def show_fault(client: OllamaClient, name: ModelName) -> Fault | None:
    """Ask the server to show a model that it lists; return what is wrong if it cannot."""
    try:
        client.show(name.short, fresh=True)
    except (errors.ModelNotFound, errors.BadAnswer) as exc:
        status = exc.http_status or 500
        said = f" and '{exc.error}'" if exc.error else ""
        return Fault(name, f"the server lists it, but answers show with {status}{said}", status=status)
    return None


def lost_files(client: OllamaClient, name: ModelName) -> Fault | None:
    """Return what is wrong with a model that the server lists, but says it does not find; any other answer proves nothing."""
    try:
        fault = show_fault(client, name)
    except errors.OllamaError:
        return None
    return fault if fault and fault.status == 404 else None


def is_broken(client: OllamaClient, name: ModelName, store_path: str | None) -> bool:
    """Tell whether files of a model are known to be lost or cut, as server and disk tell."""
    if lost_files(client, name):
        return True
    try:
        stored = read_model(store_path, name) if store_path is not None else None
        return stored is not None and bool(stored.problem or bad_blobs(str(store_path), stored.blobs))
    except errors.OllamaError:
        return False


def _kept_faults(client: OllamaClient, held: Mapping[str, Held], known: Mapping[str, Fault]) -> dict[str, Fault]:
    """Return the faults of what interrupted runs have kept, which may be about to take the place of a model that is whole."""
    kept = (model.name for model in held.values() if model.name.internal and model.name.tag == GUARD)
    found = {name.key: lost_files(client, name) for name in kept if name.key not in known}
    return {key: fault for key, fault in found.items() if fault}


def _shown_faults(
    client: OllamaClient, desired: Sequence[Desired], held: Mapping[str, Held], known: Mapping[str, Fault]
) -> dict[str, Fault]:
    """Return the faults that the server itself tells, one request for each model that has to be whole."""
    faults = {}
    created = [item for item in desired if item.origin and item.origin.recipe]
    for item in needed(desired) + created:
        key = item.name.key
        if key in held and key not in known:
            fault = show_fault(client, held[key].name)
            if fault:
                faults[key] = fault
    return faults


def _check_belongs(contents: Contents, held: Mapping[str, Held], url: str) -> None:
    """Refuse a directory that has none of the models that the server lists.

    :raises InvalidInput: with both
    """
    if held and not any(key in contents.models for key in held):
        some = ", ".join(model.name.short for model in list(held.values())[:3])
        raise errors.InvalidInput(
            f"store_path is '{contents.root}', which has no manifest of any model that the server at {url} lists ({some}); give "
            "that server's model directory (OLLAMA_MODELS, the one with manifests and blobs) as the host where the module runs "
            "sees it. Nothing was changed."
        )
