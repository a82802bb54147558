# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`publish`: a GGUF file, or any layers, put into a model store under a name."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import build, gguf, names
from .store import LAYER_PREFIX, Layer, Manifest, Store, sha256_file


class PublishError(Exception):
    """Something that cannot be published; the message says why."""


def publish_gguf(
    store: Store,
    name: names.Name,
    path: Path,
    system: str = "",
    template: str = "",
    parameters: dict[str, Any] | None = None,
    license_text: str = "",
) -> Manifest:
    """Puts a GGUF file and the given texts under a name; returns the manifest."""
    try:
        model = gguf.read(path)
    except (OSError, gguf.GGUFError) as error:
        raise PublishError(f"{path} is not a GGUF file that can be read: {error}") from error
    digest = sha256_file(path)
    store.blobs.mkdir(parents=True, exist_ok=True)
    if not store.blob(digest).exists():
        shutil.copyfile(path, store.blob(digest))
    layers = [Layer(LAYER_PREFIX + "model", digest, path.stat().st_size)]
    texts = {"template": template, "system": system, "license": license_text}
    for kind, text in texts.items():
        if text:
            layers.append(build.text_layer(store, kind, text.encode())[0])
    if parameters:
        layers.append(build.text_layer(store, "params", build.params_bytes(parameters))[0])
    config = build.config_bytes(model, layers, with_rootfs=True)
    return publish_layers(store, name, layers, config)


def publish_layers(store: Store, name: names.Name, layers: Sequence[Layer], config: bytes) -> Manifest:
    """Writes a config and a manifest of these layers under a name."""
    manifest = build.manifest(build.config_layer(store, config), list(layers))
    store.write_manifest(name, manifest.encode())
    return manifest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", type=Path, required=True, help="directory of the model store")
    parser.add_argument("--name", required=True, help="such as library/tiny-a:latest")
    parser.add_argument("--gguf", type=Path, required=True, help="the weights")
    parser.add_argument("--system", default="", help="system prompt")
    parser.add_argument("--template", default="", help="Go template")
    parser.add_argument("--license", default="", help="license text")
    parser.add_argument("--parameters", default="", help="JSON object")


def main(arguments: argparse.Namespace) -> int:
    """Publishes by command line; prints name, digest and size as JSON."""
    name = names.parse(arguments.name)
    if name is None:
        print(f"Error: --name {arguments.name} is no model name: write namespace/model:tag", file=sys.stderr)
        return 1
    try:
        parameters = json.loads(arguments.parameters or "{}")
    except ValueError as error:
        print(f"Error: --parameters is no JSON object: {error}", file=sys.stderr)
        return 1
    store = Store(arguments.store)
    try:
        publish_gguf(store, name, arguments.gguf, arguments.system, arguments.template, parameters, arguments.license)
    except PublishError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    manifest = store.manifest(name)
    assert manifest is not None
    print(json.dumps({"name": name.short, "digest": f"sha256:{manifest.digest}", "size": manifest.size}))
    return 0
