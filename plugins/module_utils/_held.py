# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


"""The models that a server has, as its list tells and as results show them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName, name_of


@dataclass(frozen=True)
class Held:
    """One model that the server has; ``size`` in bytes, shared layers counted in every model."""

    name: ModelName
    digest: str
    size: int = 0


def held_models(tags: Iterable[Mapping[str, Any]]) -> dict[str, Held]:
    """Return the server's models by the key of their name; what cannot be a model name is left out."""
    held: dict[str, Held] = {}
    for item in tags:
        name = name_of(item)
        if name is not None:
            held.setdefault(name.key, Held(name, str(item.get("digest", "")), item.get("size") or 0))
    return held


def public(held: Mapping[str, Held]) -> dict[str, Held]:
    """Return the models without those that this collection makes for itself while it works."""
    return {key: model for key, model in held.items() if not model.name.internal}


def model_results(models: Iterable[Held]) -> list[dict[str, Any]]:
    """Return models as results show them, sorted by name."""
    ordered = sorted(models, key=lambda model: model.name.key)
    return [{"name": model.name.short, "digest": model.digest, "size": model.size} for model in ordered]


def diff_of(
    before: Iterable[Held], after: Iterable[Held], fields_before: str = "", fields_after: str = ""
) -> dict[str, str]:
    """Return a diff of models, a line for each.

    :param fields_before: lines about their fields that follow
    """
    return {
        "before_header": "models before",
        "after_header": "models after",
        "before": _lines(before) + fields_before,
        "after": _lines(after) + fields_after,
    }


def _lines(models: Iterable[Held]) -> str:
    return "".join(f"{model['name']} {model['digest']}\n" for model in model_results(models))
