# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ``ollama_model_info`` tells: only reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import Offer
from ansible_collections.alchemorsel.ollama.plugins.module_utils._client import OllamaClient
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import refuse
from ansible_collections.alchemorsel.ollama.plugins.module_utils._inference import keep_alive
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName, name_of, parse_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._registry import Registry
from ansible_collections.alchemorsel.ollama.plugins.module_utils._set import offer

#: What the server's details say -> name in the result.
_DETAILS = {
    "format": "format",
    "family": "family",
    "parameter_size": "parameter_size",
    "quantization_level": "quantization",
    "parent_model": "parent",
}
_SHOWN = ("template", "system", "parameters", "license", "modelfile", "capabilities", "model_info")


def gather(
    client: OllamaClient,
    registry: Registry,
    *,
    names: Sequence[str] | None = None,
    details: bool = False,
    check_updates: bool = False,
) -> tuple[dict[str, Any], list[str]]:
    """Return the module's result and its warnings.

    :param names: only these models, ``None`` for all
    :param details: ask the server for the details of each model, one request each
    :param check_updates: ask the source of each model for its manifest, one request each
    :raises OllamaError: if the server does not answer, or a name is invalid
    """
    wanted = _wanted(names)
    warnings: list[str] = []
    version = client.version()
    named = [(name_of(item), item) for item in client.tags()]
    listed = [
        (name, item) for name, item in named if name and not name.internal and (wanted is None or name.key in wanted)
    ]
    listed.sort(key=lambda pair: pair[0].key)
    running = _running(client, wanted, warnings)
    models = [model_facts(name, item) for name, item in listed]
    if details:
        for model in models:
            model["show"] = _show(client, model["name"], warnings)
            # Servers below 0.30 tell it only here.
            model["capabilities"] = model["capabilities"] or (model["show"] or {}).get("capabilities")
    if check_updates:
        asked = [name for name, item in listed if not item.get("remote_model") and not name.reserved_tag]
        offers = {key: offer(answer) for key, answer in registry.manifests(asked).items()}
        for (name, _item), model in zip(listed, models):
            model.update(update_facts(model["digest"], offers.get(name.key)))
    there = {name.key for name, _item in listed}
    missing = [name.short for key, name in (wanted or {}).items() if key not in there]
    result = {"version": version, "models": models, "running": running, "missing": missing}
    if check_updates:
        result["outdated"] = [model["name"] for model in models if model["outdated"]]
    return result, warnings


def model_facts(name: ModelName, item: Mapping[str, Any]) -> dict[str, Any]:
    """Return one model of the server's list in the names of the result."""
    said = item.get("details") or {}
    facts: dict[str, Any] = {
        "name": name.short,
        "digest": item.get("digest", ""),
        "size": item.get("size") or 0,
        "modified_at": item.get("modified_at"),
        "remote": bool(item.get("remote_model")),
    }
    facts.update({ours: said.get(theirs) or None for theirs, ours in _DETAILS.items()})
    facts["capabilities"] = item.get("capabilities")
    return facts


def update_facts(digest: str, answer: Offer | None) -> dict[str, Any]:
    """Return whether a model is outdated; ``outdated`` is ``None`` where its source could not tell."""
    if answer is None:
        return {"outdated": None, "source_digest": None, "source_problem": "it has no source that can be asked"}
    if answer.digest is None:
        return {"outdated": None, "source_digest": None, "source_problem": answer.problem}
    current = digest in answer.digests
    return {"outdated": not current, "source_digest": digest if current else answer.digest, "source_problem": None}


def running_facts(items: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the loaded models, sorted by name; sizes in bytes."""
    keys = ("digest", "size", "size_vram", "context_length", "expires_at")
    now = datetime.now(timezone.utc)
    facts: list[dict[str, Any]] = []
    for item in items:
        fact = {"name": str(item.get("name", "")), **{key: item.get(key) for key in keys}}
        facts.append({**fact, "pinned": keep_alive(dict(item), now) == -1})
    return sorted(facts, key=lambda fact: str(fact["name"]).lower())


def _wanted(names: Sequence[str] | None) -> dict[str, ModelName] | None:
    if names is None:
        return None
    wanted: dict[str, ModelName] = {}
    complaints = []
    for text in names:
        try:
            name = parse_name(text)
        except errors.InvalidName as exc:
            complaints.append(exc.message)
        else:
            wanted[name.key] = name
    refuse(complaints)
    return wanted


def _running(
    client: OllamaClient, wanted: Mapping[str, ModelName] | None, warnings: list[str]
) -> list[dict[str, Any]] | None:
    try:
        loaded = client.ps()
    except errors.ServerTimeout as exc:
        warnings.append(f"which models are loaded is unknown, a runner may hang: {exc.message}")
        return None
    return running_facts(item for item in loaded if wanted is None or _is_of(item, wanted))


def _is_of(item: Mapping[str, Any], wanted: Mapping[str, ModelName]) -> bool:
    name = name_of(item)
    return name is not None and name.key in wanted


def _show(client: OllamaClient, model: str, warnings: list[str]) -> dict[str, Any] | None:
    try:
        shown = client.show(model)
    except (errors.ModelNotFound, errors.BadAnswer) as exc:
        warnings.append(f"{model} is listed but cannot be shown, so its blobs are missing or broken: {exc.message}")
        return None
    return {key: shown.get(key) for key in _SHOWN}
