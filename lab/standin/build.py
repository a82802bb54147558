# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers, configs and manifests of models that are made here."""

from __future__ import annotations

from typing import Any

from . import gguf, gotext
from .store import CONFIG_TYPE, LAYER_PREFIX, Layer, Manifest, Store


def text_layer(store: Store, kind: str, data: bytes) -> tuple[Layer, bool]:
    """A layer of bytes, and whether its blob was new."""
    digest, new = store.write_blob(data)
    return Layer(LAYER_PREFIX + kind, digest, len(data)), new


def params_bytes(parameters: dict[str, Any]) -> bytes:
    """Parameters as the server stores them."""
    return gotext.dump_json(gotext.sorted_maps(parameters)) + b"\n"


def messages_bytes(messages: list[dict[str, Any]]) -> bytes:
    """Example messages as the server stores them."""
    return gotext.dump_json([{"role": m.get("role", ""), "content": m.get("content", "")} for m in messages]) + b"\n"


def config_bytes(
    model: gguf.Model, layers: list[Layer], with_rootfs: bool, keep: dict[str, Any] | None = None
) -> bytes:
    """The config of a model: what its weights say, or what the base's config said."""
    data: dict[str, Any] = {
        "model_format": "gguf",
        "model_family": model.architecture,
        "model_families": [model.architecture],
        "model_type": gguf.human_number(model.parameter_count),
        "file_type": model.quantization,
    }
    data |= {key: value for key, value in (keep or {}).items() if key not in ("architecture", "os", "rootfs")}
    data |= {"architecture": "amd64", "os": "linux"}
    if with_rootfs:
        data["rootfs"] = {"type": "layers", "diff_ids": [layer.digest for layer in layers]}
    return gotext.dump_json(data) + b"\n"


def config_layer(store: Store, body: bytes) -> Layer:
    digest, _new = store.write_blob(body)
    return Layer(CONFIG_TYPE, digest, len(body))


def manifest(config: Layer, layers: list[Layer]) -> Manifest:
    return Manifest(config, tuple(layers))
