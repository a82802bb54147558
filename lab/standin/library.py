# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Endpoints about the stored models: tags, show, pull, copy, delete, blobs."""

from __future__ import annotations

import hashlib
import os
import tempfile
from typing import Any

from aiohttp import web

from . import gotext, names, show
from .answers import empty_answer, field, json_answer, model_field, read_json, stream_answer
from .errors import ApiError, model_not_found, os_error_text
from .pull import Puller
from .settings import Settings
from .store import Store


class Library:
    """Handlers that need the store and, for pull, the puller."""

    def __init__(self, settings: Settings, store: Store, puller: Puller):
        self.settings = settings
        self.store = store
        self.puller = puller
        #: what the newer version keeps of each model that it has listed: digest and entry, by name
        self.listed: dict[str, tuple[str, dict[str, Any]]] = {}
        #: answers of show that are repeated as long as the digest is the same
        self.shown: dict[tuple[str, bool], tuple[str, dict[str, Any]]] = {}
        self.entries()

    async def tags(self, request: web.Request) -> web.StreamResponse:
        return json_answer({"models": self.entries()})

    def entries(self) -> list[dict[str, Any]]:
        """The answer of tags."""
        return [self._entry(model) for model in self.models()]

    def _entry(self, model: show.StoredModel) -> dict[str, Any]:
        if not self._was_listed(model):
            self.listed[model.name.short] = (model.manifest.digest, model.tag_entry())
        entry = self.listed[model.name.short][1]
        return entry | {"modified_at": gotext.timestamp(model.manifest.modified)}

    def _was_listed(self, model: show.StoredModel) -> bool:
        known = self.listed.get(model.name.short)
        return self.settings.profile.rich_tags and known is not None and known[0] == model.manifest.digest

    def models(self) -> list[show.StoredModel]:
        """The models whose manifest and config can be read, newest first; the newer version keeps what it has listed once."""
        found = self.store.models()
        models = [show.StoredModel(self.settings, self.store, name, manifest) for name, manifest in found]
        return [
            model
            for model in models
            if not model.manifest.config.digest
            or self.store.config(model.manifest) is not None
            or self._was_listed(model)
        ]

    async def show(self, request: web.Request) -> web.StreamResponse:
        body = await read_json(request)
        given = model_field(body, "ShowRequest")
        verbose = field(body, "verbose", bool, False, "ShowRequest")
        if not given:
            raise ApiError(400, "model is required")
        wanted = names.parse_request(given)
        if wanted.source == "cloud":
            raise ApiError(403, "ollama cloud is disabled: remote model details are unavailable")
        if wanted.name is None:
            raise ApiError(400, "invalid model name")
        label = given if self.settings.profile.missing_name_as_given else wanted.name.short
        model = show.find(self.settings, self.store, wanted.name, label)
        if body.get("system") or body.get("options"):
            return json_answer(model.show(verbose))
        known = self.shown.get((model.name.short, verbose))
        if known is None or known[0] != model.manifest.digest:
            known = self.shown[(model.name.short, verbose)] = (model.manifest.digest, model.show(verbose))
        return json_answer(known[1])

    async def pull(self, request: web.Request) -> web.StreamResponse:
        body = await read_json(request)
        wanted = names.parse_request(model_field(body, "PullRequest"))
        insecure = field(body, "insecure", bool, False, "PullRequest")
        stream = field(body, "stream", bool, True, "PullRequest")
        if wanted.name is None:
            raise ApiError(400, "invalid model name")
        return await stream_answer(request, self.puller.pull(wanted.name, insecure), stream)

    async def copy(self, request: web.Request) -> web.StreamResponse:
        body = await read_json(request)
        ends = {key: field(body, key, str, "", "CopyRequest") for key in ("source", "destination")}
        parsed = {key: names.parse(text) for key, text in ends.items()}
        for key, name in parsed.items():
            if name is None:
                raise ApiError(400, f"{key} {gotext.quote(ends[key])} is invalid")
        source, destination = parsed["source"], parsed["destination"]
        assert source is not None and destination is not None
        path = self.store.manifest_path(self.store.existing(source))
        if not path.is_file():
            raise ApiError(404, f"model {gotext.quote(ends['source'])} not found")
        target = self.store.manifest_path(self.store.existing(destination))
        try:
            self.store.write_manifest(self.store.existing(destination), path.read_bytes())
        except OSError as error:
            operation = "open" if error.filename == str(target) else "mkdir"
            raise ApiError(500, os_error_text(error, operation, error.filename or target)) from error
        return empty_answer()

    async def delete(self, request: web.Request) -> web.StreamResponse:
        body = await read_json(request)
        given = model_field(body, "DeleteRequest")
        if not given:
            raise ApiError(400, "model is required")
        wanted = names.parse_request(given)
        if wanted.name is None:
            raise ApiError(400, f"name {gotext.quote(given)} is invalid")
        manifest = self.store.manifest(wanted.name)
        if manifest is None:
            raise model_not_found(given)
        self.store.remove_manifest(self.store.existing(wanted.name))
        self.store.remove_unused(manifest.digests)
        return empty_answer()

    async def blob_head(self, request: web.Request) -> web.StreamResponse:
        digest = request.match_info["digest"]
        path = self.store.blob(digest)
        if not path.exists():
            raise ApiError(404, f"blob {gotext.quote(digest)} not found")
        return empty_answer()

    async def blob_post(self, request: web.Request) -> web.StreamResponse:
        digest = request.match_info["digest"]
        if self.store.blob(digest).exists():
            return empty_answer()
        self.store.blobs.mkdir(parents=True, exist_ok=True)
        hasher = hashlib.sha256()
        descriptor, temporary = tempfile.mkstemp(prefix="sha256-", dir=self.store.blobs)
        with os.fdopen(descriptor, "wb") as stream:
            async for chunk in request.content.iter_chunked(1 << 16):
                hasher.update(chunk)
                stream.write(chunk)
        got = "sha256:" + hasher.hexdigest()
        os.chmod(temporary, 0o644)
        os.replace(temporary, self.store.blob(got))
        if got != digest:
            # what was sent stays as an orphan under its own digest
            raise ApiError(400, f"digest mismatch, expected {gotext.quote(digest)}, got {gotext.quote(got)}")
        return empty_answer(201)
