# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The look that most runs need nothing after: models that are declared by name, and all there.

A host compiles the module's code anew for each task, and imports ``requests``; both cost more than all else that a run
does which finds nothing to do. So a set that one list of the server proves is told without them. What is not proven here
is left to the plan, which comes to the same result for what is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _plain
from ansible_collections.alchemorsel.ollama.plugins.module_utils._answers import (
    MAX_BODY,
    can_be_sent,
    check_url,
    decoded,
    is_loopback,
    listed,
    wrong_seconds,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._held import Held, diff_of, held_models, model_results
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import (
    is_registry,
    parse_name,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._options import complaints, entries
from ansible_collections.alchemorsel.ollama.plugins.module_utils._states import ABSENT, PRESENT

#: What one entry may say, and with which state.
_KEYS = ("name", "state")
_STATES = (PRESENT, ABSENT)
#: Options that ask for more than names. Limits of work that is not due are only looked at for whether they can be at all.
_MORE = (
    "exclusive",
    "verify",
    "registry_mirror",
    "registry_ca_path",
    "ca_path",
    "client_cert",
    "client_key",
)


def plain_names(params: Mapping[str, Any]) -> dict[str, bool] | None:
    """Return the declared models, key -> whether they are to be there; ``None`` if more than that is declared.

    What is wrong with a declaration is told by whoever reads it in full.
    """
    wanted: dict[str, bool] = {}
    for entry in entries(params):
        state = entry.get("state") or params["state"]
        more = any(value is not None for key, value in entry.items() if key not in _KEYS)
        try:
            key = parse_name(str(entry["name"])).key
        except errors.InvalidName:
            return None
        if more or state not in _STATES or key in wanted:
            return None
        wanted[key] = state == PRESENT
    return wanted


def as_declared(wanted: Mapping[str, bool], held: Mapping[str, Held]) -> bool:
    """Tell whether the server has what is declared, and nothing that an interrupted run left over."""
    left_over = any(model.name.internal for model in held.values())
    return not left_over and all((key in held) == present for key, present in wanted.items())


@dataclass(frozen=True)
class Look:
    """What one request told.

    :param result: the module's result, if nothing is to be done
    :param tags: the server's list of its models, digests in full, if it was asked for
    :param asked: time of the wall clock before that
    """

    result: dict[str, Any] | None = None
    tags: list[dict[str, Any]] | None = None
    asked: float | None = None


NOTHING_SEEN = Look()


def look(params: Mapping[str, Any], *, diff: bool) -> Look:
    """Ask a server on this machine for its models, where that can be enough.

    :raises OllamaError: if the server refuses, or does not answer in time
    """
    wanted = None if any(params[option] for option in _MORE) else plain_names(params)
    limit = params["memory_limit"]
    wrong = limit is not None and limit <= 0
    wrong = wrong or wrong_seconds(params["timeout"]) or complaints(params) or not can_be_sent(params["api_key"])
    wrong = wrong or not all(map(is_registry, params["insecure_registries"]))
    if wanted is None or wrong or params["_offers"] is not None:
        return NOTHING_SEEN
    try:
        url = check_url(params["url"])
    except errors.InvalidInput:
        return NOTHING_SEEN
    parts = urlsplit(url)
    if parts.scheme != "http" or not is_loopback(parts.hostname):
        return NOTHING_SEEN
    asked = time.time()
    tags = _listed(url, params)
    held = held_models(tags or [])
    fits = limit is None or all(model.size <= limit for key, model in held.items() if wanted.get(key))
    if tags is None or not as_declared(wanted, held) or not fits or not _is_whole(params["store_path"], held):
        return Look(tags=tags, asked=asked)
    models = held.values()
    result: dict[str, Any] = {"changed": False, "models": model_results(models), "actions": [], "kept": []}
    if diff:
        result["diff"] = diff_of(models, models)
    return Look(result, tags, asked)


def _is_whole(store_path: str | None, held: Mapping[str, Held]) -> bool:
    """Tell whether the store has the models that the server lists, no other ones, and all their files."""
    if store_path is None:
        return True
    # Late: it is as much to compile as all of this file
    from ansible_collections.alchemorsel.ollama.plugins.module_utils._store import read_contents

    try:
        contents = read_contents(store_path)
    except errors.InvalidInput:
        return False
    broken = any(model.problem or contents.bad(model.blobs) for model in contents.models.values())
    return not broken and contents.models.keys() == held.keys()


def _listed(url: str, params: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Return the server's list of its models, ``None`` where ``requests`` has to find out why there is none."""
    key = {"Authorization": f"Bearer {params['api_key']}"} if params["api_key"] else {}
    answer = _plain.get(url, "/api/tags", {"Accept-Encoding": "identity", **key}, params["timeout"], MAX_BODY)
    try:
        content = decoded(answer.text) if answer else None
        models = content.get("models") if isinstance(content, dict) else None
        return listed(models) if isinstance(models, list) else None
    except ValueError:
        return None
