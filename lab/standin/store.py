# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model store on disk: `manifests/<host>/<namespace>/<model>/<tag>` and `blobs/sha256-<hex>`."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import gotext, names
from .errors import ApiError

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
LAYER_PREFIX = "application/vnd.ollama.image."
_DIGEST = re.compile(r"sha256[:-][0-9a-fA-F]{64}\Z")
#: what startup removes must be older than this, in seconds
PRUNE_AGE = 3600


def sha256(data: bytes) -> str:
    """`sha256:<hex>` of bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """`sha256:<hex>` of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return "sha256:" + digest.hexdigest()


@dataclass(frozen=True)
class Layer:
    """One entry of a manifest."""

    media_type: str
    digest: str
    size: int
    origin: str = ""

    @property
    def kind(self) -> str:
        """`model`, `system`, `params`, ...: the last part of the media type."""
        return self.media_type.removeprefix(LAYER_PREFIX)

    def as_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        return data | ({"from": self.origin} if self.origin else {})


def layer_from_json(data: Any) -> Layer:
    if not isinstance(data, dict):
        data = {}
    return Layer(
        str(data.get("mediaType", "")), str(data.get("digest", "")), int(data.get("size", 0)), str(data.get("from", ""))
    )


@dataclass(frozen=True)
class Manifest:
    """A parsed manifest file."""

    config: Layer
    layers: tuple[Layer, ...]
    digest: str = ""
    modified: int = 0

    def layer(self, kind: str) -> Layer | None:
        return next((layer for layer in self.layers if layer.kind == kind), None)

    @property
    def size(self) -> int:
        return self.config.size + sum(layer.size for layer in self.layers)

    @property
    def digests(self) -> set[str]:
        return {layer.digest for layer in (*self.layers, self.config) if layer.digest}

    def encode(self) -> bytes:
        """The manifest as the server writes it for a model that it creates."""
        data = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": self.config.as_json(),
            "layers": [layer.as_json() for layer in self.layers],
        }
        return gotext.dump_json(data) + b"\n"


def parse_json(body: bytes) -> Any:
    """What a file holds; raises ApiError 500 with Go's JSON error text."""
    if not body.strip():
        raise ApiError(500, "EOF" if not body else "unexpected end of JSON input")
    try:
        return json.loads(body)
    except ValueError as error:
        raise ApiError(500, "unexpected EOF") from error


def parse_manifest(body: bytes, modified: int = 0) -> Manifest:
    """A manifest from its bytes; raises ApiError 500 with Go's JSON error text."""
    data = parse_json(body)
    if not isinstance(data, dict):
        raise ApiError(500, f"json: cannot unmarshal {type(data).__name__} into Go value of type manifest.Manifest")
    layers = tuple(layer_from_json(item) for item in data.get("layers") or [])
    return Manifest(layer_from_json(data.get("config")), layers, hashlib.sha256(body).hexdigest(), modified)


class Store:
    """The store below one directory."""

    def __init__(self, root: Path):
        self.root = root
        self.blobs = root / "blobs"
        self.manifests = root / "manifests"

    def blob(self, digest: str) -> Path:
        """The path of a blob, given `sha256:<hex>` or `sha256-<hex>`; raises ApiError 400 for anything else."""
        if not _DIGEST.match(digest):
            raise ApiError(400, "invalid digest format")
        return self.blobs / digest.replace(":", "-")

    def manifest_path(self, name: names.Name) -> Path:
        return self.manifests / name.host / name.namespace / name.model / name.tag

    def all_names(self) -> Iterator[tuple[names.Name, Path]]:
        """Every tag file, whatever it holds."""
        for path in sorted(self.manifests.glob("*/*/*/*")):
            name = names.parse("{}/{}/{}:{}".format(*path.relative_to(self.manifests).parts))
            if name is not None and path.is_file():
                yield name, path

    def existing(self, name: names.Name) -> names.Name:
        """The name as it is spelled on disk where there is one that differs only in case."""
        return next((found for found, _ in self.all_names() if found.same(name)), name)

    def manifest(self, name: names.Name) -> Manifest | None:
        """The manifest of a name, None where there is no file; raises ApiError 500 where it is corrupt."""
        path = self.manifest_path(self.existing(name))
        try:
            body, modified = path.read_bytes(), path.stat().st_mtime_ns
        except OSError:
            return None
        return parse_manifest(body, modified)

    def models(self) -> list[tuple[names.Name, Manifest]]:
        """All names whose manifest can be read, newest first."""
        found = []
        for name, path in self.all_names():
            try:
                found.append((name, parse_manifest(path.read_bytes(), path.stat().st_mtime_ns)))
            except (OSError, ApiError):
                continue  # as in the real server: what does not parse is not listed
        return sorted(found, key=lambda item: -(item[1].modified // gotext.SECOND))

    def config(self, manifest: Manifest) -> dict[str, Any] | None:
        """The config of a manifest, None where it is missing or unreadable."""
        try:
            data = json.loads(self.blob(manifest.config.digest).read_bytes())
        except (OSError, ValueError, ApiError):
            return None
        return data if isinstance(data, dict) else None

    def write_blob(self, data: bytes) -> tuple[str, bool]:
        """Stores bytes; returns their digest and whether they were new."""
        digest = sha256(data)
        path = self.blob(digest)
        if path.exists():
            return digest, False
        self.blobs.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return digest, True

    def write_manifest(self, name: names.Name, body: bytes) -> None:
        """Writes the manifest as the real server does: no temporary file."""
        path = self.manifest_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)

    def remove_manifest(self, name: names.Name) -> None:
        """Unlinks the tag and the directories that are empty then."""
        path = self.manifest_path(name)
        path.unlink()
        for parent in path.parents:
            if parent == self.root:
                break
            try:
                parent.rmdir()
            except OSError:
                break

    def used_digests(self) -> set[str]:
        """The digests that any readable manifest names."""
        return {digest for _name, manifest in self.models() for digest in manifest.digests}

    def remove_unused(self, digests: set[str]) -> None:
        """Unlinks those of the given blobs that no manifest names."""
        for digest in digests - self.used_digests():
            self.blob(digest).unlink(missing_ok=True)

    def prune(self) -> str:
        """Startup housekeeping; returns the warning where it is skipped, else an empty text."""
        for path in self.manifests.rglob("*") if self.manifests.is_dir() else ():
            if path.is_file():
                try:
                    parse_manifest(path.read_bytes())
                except ApiError:
                    return "corrupt manifests detected, skipping prune operation.  Re-pull or delete to clear"
        used = {digest.replace(":", "-") for digest in self.used_digests()}
        limit = time.time() - PRUNE_AGE
        for path in self.blobs.iterdir() if self.blobs.is_dir() else ():
            if path.is_file() and path.name not in used and path.stat().st_mtime < limit:
                path.unlink()
        self._remove_empty_directories()
        return ""

    def _remove_empty_directories(self) -> None:
        for directory, _names, _files in os.walk(self.manifests, topdown=False):
            if directory != str(self.manifests) and not os.listdir(directory):
                os.rmdir(directory)
