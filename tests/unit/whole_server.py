# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server with its memory, the source of its models and its mirror, all without a network, and ollama_model run on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._converge import converge
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName, parse_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._registry import Manifest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._set import Result, wanted_from_params
from ansible_collections.alchemorsel.ollama.plugins.modules.ollama_model import argument_spec

from tests.unit.created_models import Content
from tests.unit.memory_server import MemoryServer

MIRROR = "mirror.example:5000"
#: bytes of any file of weights, and of any model
SIZE = 10**9


def full(name: str) -> str:
    """Return a name as the server lists it."""
    return parse_name(name).short


def blob(weights: str) -> str:
    """Return the digest of a file of weights."""
    return Content(weights=weights).digest


@dataclass
class Source:
    """Where models come from: what it has, and what of it cannot be read from the host where the module runs."""

    models: dict[str, Content] = field(default_factory=dict)
    unreadable: frozenset[str] = frozenset()
    #: what it tells this host to wait for, longer than anybody does; the server is not told so
    busy: frozenset[str] = frozenset()

    def content(self, name: ModelName) -> Content | None:
        if name.host == MIRROR:
            name = replace(name, host=parse_name("a").host)
        return self.models.get(name.short)

    # --- what the module asks of a registry -----------------------------------------------------------------------

    def is_insecure(self, name: ModelName) -> bool:
        return False

    def sizes(self, name: ModelName) -> dict[str, int]:
        return {}

    def manifests(self, names: Iterable[ModelName]) -> dict[str, Manifest | errors.PullFailed]:
        return {name.key: self._manifest(name) for name in names}

    def _manifest(self, name: ModelName) -> Manifest | errors.PullFailed:
        content = self.content(name)
        if name.short in self.unreadable:
            return errors.PullFailed(f"the source of {name} cannot be reached from here")
        if name.short in self.busy:
            failure = errors.SourceBusy(f"the source of {name} asks to wait 3600 s")
            failure.too_long = True
            return failure
        if content is None:
            return errors.SourceNotFound(f"the source of {name} does not have it")
        return Manifest(content.digest, frozenset([content.digest]), SIZE, {blob(content.weights): SIZE})


class Lines(list):
    """The lines of a streamed answer."""

    def limit(self, _seconds: float) -> None:
        """They are all there."""

    def close(self) -> None:
        """Nothing is open."""


class WholeServer(MemoryServer):
    """Answers as the client does. It minds the case of names only where a model is created from another one.

    `lacking` are the weights whose file is missing, `changes` is called after each request that changes something.
    """

    said_version = "0.32.15"

    def __init__(self, models: Mapping[str, Content], source: Source, room: int = 9) -> None:
        super().__init__(dict(models), room)
        self.source = source
        self.lacking: set[str] = set()
        self.uploaded: set[str] = set()
        self.changes: Callable[[], None] = lambda: None

    def twin(self) -> WholeServer:
        return self

    def version(self) -> str:
        return self.said_version

    def tags(self) -> list[dict[str, Any]]:
        return [{**item, "size": SIZE} for item in super().tags()]

    def show(self, model: str, *, fresh: bool = False) -> dict[str, Any]:
        content = self._content(model)
        if content.weights in self.lacking:
            raise errors.ModelNotFound(f"no {model}", url=self.url, http_status=404, error=f"model '{model}' not found")
        return content.show()

    def has_blob(self, digest: str) -> bool:
        there = {content.weights for content in self.models.values()} - self.lacking
        return digest in self.uploaded or digest in {blob(weights) for weights in there}

    def pull(self, model: str, insecure: bool = False, timeout: float | None = None) -> Lines:
        content = self.source.content(parse_name(model))
        if content is None:
            error = "pull model manifest: file does not exist"
            raise errors.BadAnswer(error, url=self.url, http_status=200, error=error)
        self.lacking.discard(content.weights)
        self._put(model, content)
        return Lines([{"status": "pulling manifest"}, {"status": "success"}])

    def copy(self, source: str, destination: str) -> None:
        self._put(destination, self._content(source))

    def create(self, model: str, base: str, *, timeout: float, **fields: Any) -> Lines:
        if base not in self.models:
            raise errors.BadAnswer(f"pulls {base}", url=self.url, http_status=200, error="another spelling")
        if self.models[base].weights in self.lacking:
            raise errors.BadAnswer(
                f"no weights of {base}", url=self.url, http_status=200, error="no such file or directory"
            )
        self._put(model, self.models[base].over(base, fields))
        return Lines([{"status": "success"}])

    def upload_blob(self, digest: str, content: Iterable[bytes], *, timeout: float) -> None:
        assert sum(len(piece) for piece in content)
        self.uploaded.add(digest)
        self.changes()

    def create_from_file(self, model: str, digest: str, *, timeout: float, **fields: Any) -> Lines:
        assert digest in self.uploaded
        # As on 0.32, what comes of the file has another digest.
        self._put(model, Content(f"{digest} written anew", template="chosen by the server").over("", fields))
        return Lines([{"status": "success"}])

    def delete(self, model: str) -> None:
        super().delete(self._spelled(model))
        self.changes()

    def generate(self, model: str, *, timeout: float, keep_alive: int) -> dict[str, Any]:
        self.show(model)
        answer = super().generate(self._spelled(model), timeout=timeout, keep_alive=keep_alive)
        self.changes()
        return answer

    def unload(self, model: str) -> None:
        super().unload(model)
        self.changes()

    def _put(self, model: str, content: Content) -> None:
        self.models[self._spelled(model)] = content
        self.changes()

    def _content(self, model: str) -> Content:
        return super()._content(self._spelled(model))

    def _spelled(self, model: str) -> str:
        """Return a name as it is spelled here already, or else as it is given."""
        return next((name for name in self.models if name.lower() == model.lower()), model)


def defaults() -> dict[str, Any]:
    """Return the module's options when none is given."""
    return {option: spec.get("default") for option, spec in argument_spec().items()} | {"min_free": 0}


@dataclass
class Told:
    """What a run tells, and the exception with which it failed, if it did."""

    result: dict[str, Any]
    failure: errors.OllamaError | None = None


def run(server: WholeServer, state_dir: Path, *, check_mode: bool = False, **options: Any) -> Told:
    """Run the module as its `main` does, without a second try of a pull."""
    params = {**defaults(), "state_dir": str(state_dir), "retries": 0, **options}
    result = Result()
    failure = None
    try:
        wanted = wanted_from_params(params)
        converge(server, server.source, wanted, result, check_mode=check_mode)
    except errors.OllamaError as exc:
        failure = exc
    return Told({**result.as_result(diff=True), "warnings": result.warnings}, failure)


def internal(names: Iterable[str]) -> Iterator[str]:
    """Yield those of some names that this collection makes for itself."""
    return (name for name in names if name.startswith("alchemorsel-tmp/"))
