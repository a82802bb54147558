# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server with models and, on the same port, the registry they come from: enough for the requests of ollama_model."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from scripted_server import Reply, ScriptedServer

from tests.unit.created_models import Content

#: requests that change something
WRITES = ("POST /api/pull", "DELETE", "POST /api/copy", "POST /api/create", "POST /api/generate", "POST /api/blobs")
BLOB = "sha256:" + "b" * 64


def manifest(text: str, end: str = "", blob: str = BLOB) -> str:
    """Return a manifest that differs with its text; its model has 107 bytes."""
    config = {"digest": "sha256:" + hashlib.sha256(text.encode()).hexdigest(), "size": 7}
    return json.dumps({"config": config, "layers": [{"digest": blob, "size": 100}]}) + end


def blobs_of(body: Any) -> set[str]:
    """Return the digests of the blobs in a manifest, none for what is no manifest."""
    if not isinstance(body, str) or not body.startswith("{"):
        return set()
    content = json.loads(body)
    return {content["config"]["digest"], *(layer["digest"] for layer in content["layers"])}


def digest_of(body: str) -> str:
    return "sha256:" + hashlib.sha256(body.encode()).hexdigest()


class FakeOllama:
    """`held` is what the server has, name -> digest, `blobs` the blobs in its store; both share a port with the registry."""

    def __init__(self, start: Any, version: str = "0.32.15") -> None:
        self.held: dict[str, str] = {}
        self.blobs: set[str] = set()
        self.loaded: set[str] = set()
        #: digest -> what a model with this digest consists of
        self.contents: dict[str, Content] = {}
        #: files that were uploaded
        self.blobs: set[str] = set()
        #: lines of the next pulls instead of the usual ones; a function of the model does what it likes
        self.pulls: list[Any] = []
        self.server: ScriptedServer = start({})
        self.url = self.server.url
        self.host = self.url.partition("://")[2]
        self.server.replies.update(
            {
                "/api/version": {"version": version},
                "/api/tags": lambda body: {"models": [self._listed(name) for name in self.held]},
                "/api/ps": lambda body: {"models": [self._listed(name) for name in sorted(self.loaded)]},
                "/api/pull": self._pull,
                "/api/delete": self._delete,
                "/api/copy": self._copy,
                "/api/generate": self._generate,
                "/api/create": self._create,
                "/api/show": self._show,
                "/api/blobs/*": self._blob,
            }
        )

    def name(self, model: str) -> str:
        """Return the complete name of a model of the registry."""
        return f"{self.host}/library/{model}:latest"

    def publish(self, model: str, body: Any) -> str:
        """Let the registry serve a manifest (text) or a reply for a model; return the digest."""
        reply = body if isinstance(body, Reply) else Reply(body=body)
        self.server.replies[f"/v2/library/{model}/manifests/latest"] = reply
        for blob in blobs_of(reply.body):
            self.server.replies[f"/api/blobs/{blob}"] = lambda body, blob=blob: Reply(
                200 if blob in self.blobs else 404
            )
        return digest_of(body) if isinstance(body, str) else ""

    def have(self, model: str, body: str) -> str:
        """Give the server a model of the registry; return the digest."""
        self.held[self.name(model)] = digest_of(body)
        return digest_of(body)

    @property
    def calls(self) -> list[str]:
        """The requests so far, as `METHOD path model`; cleared by reading."""
        calls = []
        for method, path, body in self.server.requests:
            which = (body or {}).get("model") or (body or {}).get("destination") or ""
            calls.append(f"{method} {path} {which.replace(self.host + '/library/', '')}".strip())
        self.server.requests.clear()
        return calls

    def _listed(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "digest": self.held[name].partition(":")[2],
            "size": 107,
            "modified_at": "2026-01-01T00:00:00Z",
            "details": {"family": "llama", "format": "gguf", "parent_model": ""},
        }

    def _pull(self, body: Any) -> Reply:
        lines = self.pulls.pop(0) if self.pulls else None
        if callable(lines):
            lines = lines(body["model"])
        if lines:
            return Reply(lines=lines)
        path = "/v2/" + body["model"].partition("/")[2].replace(":", "/manifests/")
        served = self.server.replies.get(path)
        if served is None or served.status != 200 or not body.get("insecure"):
            return Reply(lines=[{"status": "pulling manifest"}, {"error": "pull model manifest: file does not exist"}])
        self.held[body["model"]] = digest_of(served.body)
        self.blobs |= blobs_of(served.body)
        progress = {"status": f"pulling {BLOB[7:19]}", "digest": BLOB, "total": 100, "completed": 100}
        return Reply(lines=[{"status": "pulling manifest"}, progress, {"status": "success"}])

    def _delete(self, body: Any) -> Reply:
        if self.held.pop(body["model"], None) is None:
            return Reply(404, {"error": f"model '{body['model']}' not found"})
        return Reply()

    def _copy(self, body: Any) -> Reply:
        self.held[body["destination"]] = self.held[body["source"]]
        return Reply()

    def _create(self, body: Any) -> Reply:
        if "files" in body:
            (file,) = body["files"].values()
            if file not in self.blobs:
                return Reply(lines=[{"status": "parsing GGUF"}, {"error": f"open {file}: no such file or directory"}])
            # As on 0.32, what comes of the file has another digest.
            content = Content(weights=f"{file} written anew", template="chosen by the server").over("", body)
        else:
            digest = self.held[body["from"]]
            base = self.contents.setdefault(digest, Content(weights=digest))
            content = base.over(body["from"], body)
        self.contents[content.digest] = content
        self.held[body["model"]] = content.digest
        return Reply(lines=[{"status": "writing manifest"}, {"status": "success"}])

    def _blob(self, body: Any) -> Reply:
        if "sha256" in body:
            self.blobs.add(body["sha256"])
            return Reply(201) if body["blob"] == body["sha256"] else Reply(400, {"error": "digest mismatch, expected"})
        return Reply(200 if body["blob"] in self.blobs else 404)

    def _show(self, body: Any) -> Any:
        content = self.contents.get(self.held.get(body["model"], ""))
        return content.show() if content else {"details": {}, "system": f"system of {body['model']}"}

    def _generate(self, body: Any) -> dict[str, Any]:
        assert body["keep_alive"] == 0
        self.loaded.discard(body["model"])
        return {"model": body["model"], "done": True, "done_reason": "unload"}


def without(mapping: dict[str, Any], keys: list[str]) -> dict[str, Any]:
    """Return a dict without some keys."""
    return {key: value for key, value in mapping.items() if key not in keys}


def brief(result: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return kind and digests of a result's actions."""
    return [(action["action"], action["digest_before"], action["digest_after"]) for action in result["actions"]]
