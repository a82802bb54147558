# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of situations: which function arranges which recorded exchange."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .world import World

Arrange = Callable[[World], None]
#: the registry's model of most pull recordings: weights, a text of 8 bytes, parameters, config
TINY_CONFIG = (
    b'{"model_format":"gguf","model_family":"llama","model_families":["llama"],"model_type":"121.86K",'
    b'"file_type":"F32","architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
)
TINY_PARAMETERS = b'{"stop":["</s>"],"temperature":0.7}'
RECORDED_TEXT = "101d83feff5d9398a60f6dd1d8f439ff249387d21badeacbbe4f66afb64f9b89"
TINY_TEXT = b"be brief"


@dataclass(frozen=True)
class Situation:
    """How the world is before the request."""

    arrange: Arrange
    #: a server that somebody else started can be asked, too: nothing but HTTP is needed, and its store must be empty
    needs_only_http: bool


SITUATIONS: dict[str, Situation] = {}


def situation(*slugs: str, needs_only_http: bool = False) -> Callable[[Arrange], Arrange]:
    """Registers the arrangement of some recorded exchanges."""

    def register(arrange: Arrange) -> Arrange:
        for slug in slugs:
            if slug in SITUATIONS:
                raise ValueError(f"{slug} is arranged twice")
            SITUATIONS[slug] = Situation(arrange, needs_only_http)
        return arrange

    return register


def published_tiny(world: World) -> None:
    """The recordings' `tiny:1b` in the registry."""
    registry = world.registry
    text = registry.layer("system", TINY_TEXT)
    world.stands_for(RECORDED_TEXT, text.digest)
    layers = (registry.gguf_layer("tiny-a"), text, registry.layer("params", TINY_PARAMETERS))
    registry.publish("library/tiny", "1b", *layers, config=TINY_CONFIG)


def pulled_tiny(world: World) -> None:
    """... and in the server's store."""
    published_tiny(world)
    world.pull("tiny:1b")
