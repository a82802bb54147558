# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check for updates asks for, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Iterator

from .figures import Line, at_most
from .scale import Scale
from .world import World, publish, requests_of, snapshot

MODELS = 20
NOTE = "the unit test `test_update_check_against_servers.py` holds it"


def update_check(world: World, scale: Scale) -> Iterator[Line]:
    """`state: latest` for 20 models that are current."""
    with world.registry() as registry:
        names = publish(registry, MODELS)
        with world.servers(registry, [names]) as (server,):
            inventory = world.inventory(registry, [server], wanted=[registry.model(name) for name in names])
            payload = world.payload("plays/models.yml", inventory, "ollama_model", progress=False, state="latest")
            before, mark = snapshot(server.store.root), len(requests_of(server))
            _used, result = world.module(payload)
            if result["changed"] or len(result["models"]) != MODELS:
                raise SystemExit(
                    "update check: something was changed, or there are not the models that there should be"
                )
            asked = registry.counts["requests"]
            after = snapshot(server.store.root)
            touched = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
            sent = [text for text in requests_of(server)[mark:] if text != "GET /api/tags"]
            blobs = sum(count for kind, count in asked.items() if kind.startswith("blob"))
    what = f"Check of {MODELS} current models for updates"
    yield Line(
        "update-manifests", f"{what}: manifest requests", "", (asked["manifest"],), limit=at_most(MODELS), note=NOTE
    )
    yield Line("update-blobs", f"{what}: blob requests", "", (blobs,), limit=at_most(0))
    yield Line(
        "update-writes", f"{what}: requests to the server besides `GET /api/tags`", "", (len(sent),), limit=at_most(0)
    )
    yield Line(
        "update-store",
        f"{what}: files of the store that are new, gone or written",
        "",
        (len(touched),),
        limit=at_most(0),
    )
