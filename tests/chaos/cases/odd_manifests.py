# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a registry can say that nobody should believe: manifests of all sizes and kinds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..case import Case
from ..site import Site, expect, models

GIVEN = "a declared model is missing, and its manifest is odd"
NOWHERE = "sha256:" + "0" * 64


@dataclass(frozen=True)
class Odd:
    """A manifest that is published in the place of a good one.

    :param make: gives the odd one from the good one
    """

    make: Callable[[dict[str, Any]], str]
    says: str = ""
    ends: str = "failing"

    def __call__(self, site: Site) -> None:
        name = site.publish()
        path = f"/srv/models/manifests/registry.ollama.ai/chaos/{site.case}/latest"
        good = site.services.run("cat", path)
        site.manifest(self.make(json.loads(good)))
        with site.afterwards(lambda: site.manifest(good)):
            expect(
                site.run("models", ollama_models_list=models(name), ollama_models_progress=False), self.ends, self.says
            )


def layer(digest: str, size: int = 1) -> dict[str, Any]:
    """Return a layer of a manifest."""
    return {"mediaType": "application/vnd.ollama.image.license", "digest": digest, "size": size}


def with_layers(*layers: dict[str, Any]) -> Callable[[dict[str, Any]], str]:
    """Return what adds layers to a manifest."""
    return lambda good: json.dumps({**good, "layers": [*good["layers"], *layers]})


def case(name: str, fault: str, expected: str, odd: Odd, **more: Any) -> Case:
    return Case(name, GIVEN, fault, expected, odd, **more)


CASES = (
    case(
        "manifest-of-50-mb",
        "the manifest has 50 MB",
        "fails",
        Odd(lambda good: json.dumps({**good, "comment": "x" * 50_000_000})),
    ),
    case(
        "ten-thousand-layers",
        "the manifest names 10,000 layers that are nowhere",
        "fails",
        Odd(with_layers(*(layer(f"sha256:{number:064x}") for number in range(10_000)))),
    ),
    case(
        "digest-with-path",
        "a layer's digest has path parts: sha256:../../../../etc/passwd",
        "fails, and no path outside of the store is touched",
        Odd(with_layers(layer("sha256:../../../../../../etc/passwd"))),
        quick=True,
    ),
    case(
        "missing-blob",
        "the manifest names a blob that the registry does not have",
        "fails",
        Odd(with_layers(layer(NOWHERE))),
    ),
    case("not-json", "the manifest is a page of HTML", "fails", Odd(lambda good: "<html>Log in to the hotel</html>")),
    case(
        "half-a-manifest",
        "the manifest ends in the middle",
        "fails",
        Odd(lambda good: json.dumps(good)[: len(json.dumps(good)) // 2]),
    ),
)
