# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes with an instance, and what stays: decided from what the engine lists. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils._upgrade import same_place

#: Labels of the containers and of the network that the role ollama makes.
INSTANCE, NETWORK = "alchemorsel.instance", "alchemorsel.network"


def plan(listed: Mapping[str, Any], name: str, network: str, image: str, store: str) -> dict[str, Any]:
    """Return what goes and what stays of an instance.

    :param listed: ``containers``, ``images`` and ``networks`` as the engine's API lists them
    :param image: the reference that is declared
    :param store: directory or volume of the models
    """
    containers: list[Mapping[str, Any]] = list(listed.get("containers") or [])
    own = [container for container in containers if (container.get("Labels") or {}).get(INSTANCE) == name]
    others = [container for container in containers if container not in own]
    tags, images = _images(listed.get("images") or [], f"localhost/{name}", image)
    on_network = sorted(_name(container) for container in others if network in _networks(container))
    made = [found for found in listed.get("networks") or [] if found.get("Name") == network]
    ours = any((found.get("Labels") or {}).get(NETWORK) == "true" for found in made)
    stays = [f"the image {text}" for text in images]
    if made and on_network:
        stays.append(f"the network {network}, on which there is {', '.join(on_network)}")
    elif made and not ours:
        stays.append(f"the network {network}, which this role did not make")
    return {
        "containers": sorted(_name(container) for container in own),
        "network": bool(made) and ours and not on_network,
        "tags": tags,
        "store_users": sorted(_name(container) for container in others if store and _uses(container, store)),
        "stays": stays,
    }


def _images(images: Iterable[Mapping[str, Any]], repository: str, declared: str) -> tuple[list[str], list[str]]:
    """Return the tags of an instance that can go, and how to call the images that stay."""
    tags: list[str] = []
    stays: list[str] = []
    for image in images:
        names = [
            text for text in [*(image.get("RepoTags") or []), *(image.get("RepoDigests") or [])] if "<none>" not in text
        ]
        own = sorted(text for text in image.get("RepoTags") or [] if text.startswith(f"{repository}:"))
        others = [text for text in names if not text.startswith((f"{repository}:", f"{repository}@"))]
        others.sort(
            key=lambda text: (_short(text) != _short(declared), text.startswith("localhost/"), "@" in text, text)
        )
        if own and others:
            tags += own
            stays.append(others[0])
        elif own:
            # It came from an archive and has no other name: without the last one the engine would remove it
            stays.append(f"{own[0]}, which has no other name")
        elif _short(declared) in map(_short, others):
            stays.append(_short(declared))
    return tags, stays


def _short(reference: str) -> str:
    """Return a reference as the engine lists it."""
    for prefix in ("docker.io/", "library/"):
        if reference.startswith(prefix):
            reference = reference[len(prefix) :]
    return reference


def _name(container: Mapping[str, Any]) -> str:
    names: list[str] = container.get("Names") or [str(container.get("Id", ""))[:12]]
    return names[0].lstrip("/")


def _networks(container: Mapping[str, Any]) -> Mapping[str, Any]:
    networks: Mapping[str, Any] = (container.get("NetworkSettings") or {}).get("Networks") or {}
    return networks


def _uses(container: Mapping[str, Any], store: str) -> bool:
    """Tell whether a container has the store or a part of it, or can write above it; many that only watch a host read all of it."""
    for mount in container.get("Mounts") or []:
        for place in filter(None, (mount.get("Source"), mount.get("Name"))):
            if same_place(place, store) and (mount.get("RW", True) or len(place.rstrip("/")) >= len(store.rstrip("/"))):
                return True
    return False
