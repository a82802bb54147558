# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The names that models of the default registry have while they are fetched from a mirror of it. Pure."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import replace

from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import Desired
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidInput
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import DEFAULT_HOST, ModelName

# What the server takes as the host of a model's name, with one port at most.
_MIRROR = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?::([0-9]{1,5}))?")
_LONGEST = 350


def parse_mirror(text: str | None) -> str | None:
    """Return a mirror as it stands in the names of models, ``None`` if none is given.

    :raises InvalidInput: if it is not HOST or HOST:PORT, or is the registry that it should be a mirror of
    """
    host = (text or "").strip()
    if not host:
        return None
    wanted = "wanted HOST or HOST:PORT as in a model's name, such as mirror.example:5000"
    if "://" in host:
        raise InvalidInput(
            f"registry_mirror is '{text}'; {wanted}, without a scheme: a mirror with plain http belongs into "
            "insecure_registries, too"
        )
    if "/" in host:
        raise InvalidInput(
            f"registry_mirror is '{text}'; {wanted}, without a path: models have the same paths there as in {DEFAULT_HOST}"
        )
    found = _MIRROR.fullmatch(host)
    if not found or len(host) > _LONGEST or (found[1] and not 0 < int(found[1]) < 65536):
        raise InvalidInput(f"registry_mirror is '{text}'; {wanted}")
    if host.lower() == DEFAULT_HOST:
        raise InvalidInput(
            f"registry_mirror is '{text}', the registry that it should be a mirror of; name the mirror, or leave it out"
        )
    return host


def at_mirror(name: ModelName, mirror: str | None) -> ModelName:
    """Return the name under which a model is fetched: its own, unless a mirror has the models of its registry."""
    if mirror is None or name.host.lower() != DEFAULT_HOST:
        return name
    return replace(name, host=mirror)


def in_between(desired: Iterable[Desired], mirror: str | None) -> dict[str, ModelName]:
    """Return the declared models that have a name at the mirror while they are fetched, by the key of that name.

    A name at the mirror that is declared itself, or that another model is made from, is the operator's and none of these.
    """
    items = list(desired)
    claimed = {item.name.key for item in items} | {item.origin.name.key for item in items if item.origin}
    return {
        place.key: item.name
        for item in items
        for place in [at_mirror(item.name, mirror)]
        if item.pulled and place.key not in claimed
    }


def fetched_as(name: ModelName, mirror: str | None, passing: Container[str]) -> tuple[ModelName | None, str]:
    """Return the name under which a model is fetched, ``None`` for its own, or a complaint if that one is the operator's.

    :param passing: keys of :func:`in_between`
    """
    place = at_mirror(name, mirror)
    if place == name:
        return None, ""
    if place.key in passing:
        return place, ""
    return None, (
        f"{name} is to be fetched from the registry_mirror and has the name {place} meanwhile, but that one is declared, "
        f"too, or another model is made from it; declare {name} only, and make others from that"
    )
