# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a declared model is made from, where it is not pulled: read and checked before the server is asked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidName
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName, parse_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._parameters import Value, convert


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


@dataclass(frozen=True)
class Import:
    """A file of weights that a model is created from.

    :param path: absolute, on the host where the module runs
    """

    path: str
    recipe: Recipe


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
        ("gguf", "the server gives an imported model its digest, and what it is made of is the file itself"),
    ):
        if entry.get(option) is not None and entry.get("digest"):
            complaints.append(f"model '{shown}' has {option} and a digest; {rule}")
    if entry.get("copy_of") is not None:
        others = [option for option in ("from", "gguf", *given) if entry.get(option) is not None]
        if others:
            complaints.append(
                f"model '{shown}' has copy_of and {', '.join(others)}; an alias is its target without any change, "
                "so write from instead of copy_of, or leave the others out"
            )
        return _origin("copy_of", entry, None, complaints)
    if entry.get("gguf") is not None:
        # Read by parse_import.
        return None
    if entry.get("from") is None:
        if given:
            complaints.append(
                f"model '{shown}' has {', '.join(given)} without from or gguf; name the model or the file that it is created from"
            )
        return None
    return _origin("from", entry, _recipe(entry, complaints), complaints)


def parse_import(entry: Mapping[str, Any], complaints: list[str]) -> Import | None:
    """Return the file that a declared model is created from, ``None`` for one that is not.

    :param entry: dict with ``name`` and, optionally, ``gguf``, ``system``, ``template``, ``parameters``
    :param complaints: gets a sentence for everything that is wrong
    """
    path = entry.get("gguf")
    if path is None or entry.get("copy_of") is not None:
        return None
    if entry.get("from") is not None:
        complaints.append(
            f"model '{entry['name']}' has from and gguf; it is created from one of them, so leave the other out"
        )
    if not os.path.isabs(path) or "\0" in path:
        complaints.append(
            f"model '{entry['name']}' has gguf '{path}'; wanted the absolute path of a file on the host where the module runs"
        )
    return Import(os.path.normpath(path), _recipe(entry, complaints))


def _recipe(entry: Mapping[str, Any], complaints: list[str]) -> Recipe:
    wrong: list[str] = []
    recipe = Recipe(
        entry.get("system") or "", entry.get("template") or "", convert(entry.get("parameters") or {}, wrong)
    )
    complaints += [f"model '{entry['name']}': {text}" for text in wrong]
    return recipe


def _origin(option: str, entry: Mapping[str, Any], recipe: Recipe | None, complaints: list[str]) -> Origin | None:
    try:
        return Origin(parse_name(str(entry[option])), recipe)
    except InvalidName as exc:
        complaints.append(f"model '{entry['name']}', {option}: {exc.message}")
        return None
