# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""/api/create: a model from another one or from uploaded files, with texts and parameters."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web

from . import answers, build, gguf, names
from .errors import ApiError, Fatal, os_error_text
from .pull import Puller
from .settings import Settings
from .store import LAYER_PREFIX, Layer, Store

Line = dict[str, Any]
_FILE_TYPES = {"F32": 0, "F16": 1, "Q8_0": 7, "Q4_K_S": 14, "Q4_K_M": 15}
_SUPPORTED = "F32, F16, Q4_K_S, Q4_K_M, Q8_0"
_CANNOT_QUANTIZE = "quantization is only supported for F16, BF16 and F32 models"
_DUMMY_DIGEST = "0000000000000000000"


@dataclass
class _Draft:
    """A model in the making: its layers and whether each one's blob is new."""

    layers: list[Layer] = field(default_factory=list)
    new: list[bool] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)

    def add(self, layer: Layer, new: bool) -> None:
        self.layers.append(layer)
        self.new.append(new)

    def remove(self, kind: str) -> None:
        kept = [(layer, new) for layer, new in zip(self.layers, self.new) if layer.kind != kind]
        self.layers, self.new = [layer for layer, _ in kept], [new for _, new in kept]

    def find(self, kind: str) -> Layer | None:
        return next((layer for layer in self.layers if layer.kind == kind), None)

    def lines(self) -> Iterator[Line]:
        for layer, new in zip(self.layers, self.new):
            yield {"status": f"{'creating new' if new else 'using existing'} layer {layer.digest}"}


class Creator:
    """The handler of create."""

    def __init__(self, settings: Settings, store: Store, puller: Puller):
        self.settings = settings
        self.store = store
        self.puller = puller

    async def create(self, request: web.Request) -> web.StreamResponse:
        body = await answers.read_json(request)
        name = names.parse(answers.model_field(body, "CreateRequest"))
        stream = answers.field(body, "stream", bool, True, "CreateRequest")
        if name is None:
            raise ApiError(400, "invalid model name")
        return await answers.stream_answer(request, self._lines(self.store.existing(name), body), stream)

    async def _lines(self, name: names.Name, body: dict[str, Any]) -> AsyncGenerator[Line, None]:
        draft = _Draft()
        quantize = answers.field(body, "quantize", str, "", "CreateRequest").upper()
        async with aclosing(self._weights(body, draft, quantize)) as lines:
            async for line in lines:
                yield line
        self._add_texts(body, draft)
        for line in draft.lines():
            yield line
        config = self._config(draft)
        old = self.store.manifest(name) if self.store.manifest_path(name).exists() else None
        yield {"status": "writing manifest"}
        manifest = build.manifest(build.config_layer(self.store, config), draft.layers)
        self.store.write_manifest(name, manifest.encode())
        if old is not None and not self.settings.noprune:
            self.store.remove_unused(old.digests)
        yield {"status": "success"}

    async def _weights(self, body: dict[str, Any], draft: _Draft, quantize: str) -> AsyncGenerator[Line, None]:
        """The layers that `from` or `files` bring."""
        origin = answers.field(body, "from", str, "", "CreateRequest")
        files = answers.field(body, "files", dict, {}, "CreateRequest")
        if origin:
            base = names.parse_request(origin).name
            if base is None:
                raise ApiError(400, "invalid model name")
            if not self.store.manifest_path(base).is_file():
                async with aclosing(self.puller.pull(base, insecure=False)) as lines:
                    async for line in lines:
                        yield line
            self._inherit(base, draft)
        elif files:
            yield {"status": "parsing GGUF"}
            for digest in files.values():
                self._import(str(digest), draft)
        else:
            raise ApiError(400, "neither 'from' or 'files' was specified")
        weights = draft.find("model")
        if weights is not None and (quantize or (files and not origin and self.settings.profile.rewrites_import)):
            for line in self._convert(weights, draft, quantize):
                yield line

    def _inherit(self, base: names.Name, draft: _Draft) -> None:
        manifest = self.store.manifest(base)
        assert manifest is not None
        draft.config = self.store.config(manifest) or {}
        for layer in manifest.layers:
            draft.add(replace(layer, origin=base.short) if layer.kind == "model" else layer, new=False)

    def _import(self, digest: str, draft: _Draft) -> None:
        """An uploaded file as the layer of the weights; raises ApiError, Fatal where 0.24.0 panics."""
        path = self.store.blob(digest)
        try:
            gguf.read(path)
        except OSError as error:
            raise ApiError(500, os_error_text(error, "open", path)) from error
        except gguf.NotGGUF as error:
            raise ApiError(400, "supplied file was not in GGUF format") from error
        except gguf.HugeString as error:
            if self.settings.profile.dies_on_bad_gguf:
                raise Fatal("panic: runtime error: makeslice: len out of range") from error
            raise ApiError(500, str(error)) from error
        except gguf.GGUFError as error:
            raise ApiError(500, str(error)) from error
        origin = "" if self.settings.profile.rewrites_import else str(path)
        draft.add(Layer(LAYER_PREFIX + "model", digest, path.stat().st_size, origin), new=False)

    def _convert(self, weights: Layer, draft: _Draft, quantize: str) -> Iterator[Line]:
        """The weights written anew. Quantizing changes only what the header says: weights mean nothing here."""
        path = self.store.blob(weights.digest)
        level = gguf.read(path).quantization
        if quantize and quantize not in _FILE_TYPES:
            raise ApiError(500, f"unsupported quantization type {quantize} - supported types are {_SUPPORTED}")
        if quantize and level not in ("F16", "BF16", "F32"):
            raise ApiError(500, _CANNOT_QUANTIZE)
        if quantize and self.settings.profile.quantizing_lines:
            label = {"status": f"quantizing {level} model to {quantize}", "digest": _DUMMY_DIGEST}
            for share in (1, 2):
                yield label | {"total": weights.size, "completed": weights.size * share // 2}
        yield {"status": "verifying conversion"}
        digest, new = self.store.write_blob(gguf.rewrite(path, _FILE_TYPES[quantize] if quantize else None))
        index = draft.layers.index(weights)
        draft.layers[index] = Layer(weights.media_type, digest, self.store.blob(digest).stat().st_size)
        draft.new[index] = new
        draft.config = {}

    def _add_texts(self, body: dict[str, Any], draft: _Draft) -> None:
        template = answers.field(body, "template", str, "", "CreateRequest")
        _check_template(template)
        for kind, text in (("template", template), ("system", answers.field(body, "system", str, "", "CreateRequest"))):
            if text:
                self._replace(draft, kind, text.encode())
        license_texts = body.get("license") or []
        for text in [license_texts] if isinstance(license_texts, str) else license_texts:
            draft.add(*build.text_layer(self.store, "license", str(text).encode()))
        self._add_parameters(answers.field(body, "parameters", dict, {}, "CreateRequest"), draft)
        if messages := answers.field(body, "messages", list, [], "CreateRequest"):
            self._replace(draft, "messages", build.messages_bytes(messages))

    def _add_parameters(self, parameters: dict[str, Any], draft: _Draft) -> None:
        """The base's parameters with the given ones over them."""
        if not parameters:
            return
        base = draft.find("params")
        merged = json.loads(self.store.blob(base.digest).read_bytes()) if base else {}
        self._replace(draft, "params", build.params_bytes(merged | parameters))

    def _replace(self, draft: _Draft, kind: str, data: bytes) -> None:
        draft.remove(kind)
        draft.add(*build.text_layer(self.store, kind, data))

    def _config(self, draft: _Draft) -> bytes:
        weights = draft.find("model")
        assert weights is not None
        header = gguf.read(self.store.blob(weights.digest))
        return build.config_bytes(header, draft.layers, self.settings.profile.config_has_rootfs, draft.config)


def _check_template(template: str) -> None:
    """Raises ApiError 400 for an action that is not closed, the one template error that is recognised."""
    if template.count("{{") > template.count("}}"):
        raise ApiError(400, f"template error: template: :{template.count(chr(10)) + 1}: unclosed action")
