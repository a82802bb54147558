# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a declared model is made from, where it is not pulled: read and checked before the server is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidName
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName, parse_name

if TYPE_CHECKING:
    from ansible_collections.alchemorsel.ollama.plugins.module_utils._parameters import Value


@dataclass(frozen=True)
class Recipe:
    """What is declared of a created model besides its base; an empty text keeps the base's."""

    system: str = ""
    template: str = ""
    parameters: Mapping[str, Value] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """Return the fields of a request to create it."""
        fields = {"system": self.system, "template": self.template, "parameters": dict(self.parameters)}
        return {name: value for name, value in fields.items() if value}


@dataclass(frozen=True)
class Origin:
    """The model that another one is made from; without a recipe, the other one is an alias."""

    name: ModelName
    recipe: Recipe | None = None

    @property
    def words(self) -> str:
        """What the other one is, for messages."""
        return "created from" if self.recipe else "a copy of"


_RECIPE = ("system", "template", "parameters")


def parse_origin(entry: Mapping[str, Any], complaints: list[str]) -> Origin | None:
    """Return what a declared model is made from, ``None`` for one that is pulled.

    :param entry: dict with ``name`` and, optionally, ``copy_of``, ``from``, ``system``, ``template``, ``parameters``, ``digest``
    :param complaints: gets a sentence for everything that is wrong
    """
    shown = str(entry["name"])
    given = [option for option in _RECIPE if entry.get(option) is not None]
    for option, rule in (
        ("copy_of", "an alias has the digest of its target, so pin the target"),
        ("from", "the server gives a created model its digest, so pin the base"),
    ):
        if entry.get(option) is not None and entry.get("digest"):
            complaints.append(f"model '{shown}' has {option} and a digest; {rule}")
    if entry.get("copy_of") is not None:
        if entry.get("from") is not None or given:
            others = [option for option in ("from", *given) if entry.get(option) is not None]
            complaints.append(
                f"model '{shown}' has copy_of and {', '.join(others)}; an alias is its target without any change, "
                "so write from instead of copy_of, or leave the others out"
            )
        return _origin("copy_of", entry, None, complaints)
    if entry.get("from") is None:
        if given:
            complaints.append(
                f"model '{shown}' has {', '.join(given)} without from; name the model that it is created from"
            )
        return None
    from ansible_collections.alchemorsel.ollama.plugins.module_utils._parameters import convert

    wrong: list[str] = []
    recipe = Recipe(
        entry.get("system") or "", entry.get("template") or "", convert(entry.get("parameters") or {}, wrong)
    )
    complaints += [f"model '{shown}': {text}" for text in wrong]
    return _origin("from", entry, recipe, complaints)


def _origin(option: str, entry: Mapping[str, Any], recipe: Recipe | None, complaints: list[str]) -> Origin | None:
    try:
        return Origin(parse_name(str(entry[option])), recipe)
    except InvalidName as exc:
        complaints.append(f"model '{entry['name']}', {option}: {exc.message}")
        return None
