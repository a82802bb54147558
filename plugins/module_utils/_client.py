# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


"""One Ollama server: what its API can be asked. Raises the exceptions of ``_errors`` only, and knows nothing of Ansible."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils._answers import listed, not_ollama, readable
from ansible_collections.alchemorsel.ollama.plugins.module_utils._stream import JsonStream
from ansible_collections.alchemorsel.ollama.plugins.module_utils._transport import Transport


class OllamaClient(Transport):
    """One Ollama server; the parameters are those of :class:`Transport`."""

    def twin(self, timeout: float | None = None) -> OllamaClient:
        """Return another client of the same server, for requests beside one that runs: one is not made for several threads.

        :param timeout: another one than this client's
        """
        return OllamaClient(self.url, timeout=timeout or self.timeout, **self._options)

    def version(self) -> str:
        """Return the server's version, such as ``0.32.15``."""
        self.said_version = str(self._object("GET", "/api/version", key="version", kind=str)["version"])
        return self.said_version

    def tags(self) -> list[dict[str, Any]]:
        """Return the server's models as it lists them, ``digest`` always as ``sha256:<hex>``."""
        return self._list("/api/tags", self.timeout)

    def ps(self, timeout: float | None = None) -> list[dict[str, Any]]:
        """Return the loaded models, ``digest`` always as ``sha256:<hex>``; blocks up to 30 s while a runner hangs (0.32)."""
        return self._list("/api/ps", timeout or self.timeout)

    def _list(self, path: str, timeout: float) -> list[dict[str, Any]]:
        models = self._object("GET", path, key="models", kind=list, timeout=timeout)["models"]
        try:
            return listed(models)
        except ValueError as exc:
            raise not_ollama(self.url, path, 200, json.dumps(models)) from exc

    def show(self, model: str, *, fresh: bool = False) -> dict[str, Any]:
        """Return what the server knows about one model.

        :param fresh: as it is now. The server repeats its answer to a plain show even after the model's files are gone, but
            not to one with a system text, which changes nothing but the same field of the answer
        :raises ModelNotFound: also for a listed model whose blobs are missing
        """
        body = {"model": model, "system": "-"} if fresh else {"model": model}
        return readable(self._object("POST", "/api/show", body, key="details", kind=dict))

    def has_blob(self, digest: str) -> bool:
        """Tell whether the server has a blob, ``sha256:<hex>``; whether it is whole is not verified."""
        path = f"/api/blobs/{digest}"
        with self._send("HEAD", path, None, self.timeout) as response:
            if response.status_code == 404:
                return False
            self._check_status(response, path, "")
            return True

    def cloud_status(self) -> dict[str, Any]:
        """Return ``{disabled: bool, source: none|env|config|both}``."""
        return dict(self._object("GET", "/api/status", key="cloud", kind=dict)["cloud"])

    def pull(self, model: str, insecure: bool = False, timeout: float | None = None) -> JsonStream:
        """Start a pull and return its status lines; iteration ends normally only after ``success``."""
        body: dict[str, Any] = {"model": model, "stream": True}
        if insecure:
            body["insecure"] = True
        return self.stream("/api/pull", body, done=lambda line: line.get("status") == "success", timeout=timeout)

    def create(self, model: str, base: str, *, timeout: float, **fields: Any) -> JsonStream:
        """Start to create a model from another one and return the status lines; iteration ends normally only after ``success``.

        :param base: exactly as the server lists it; in another spelling the server tries to pull it
        :param fields: ``system``, ``template``, ``parameters``
        """
        body = {"model": model, "from": base, "stream": True, **fields}
        return self.stream("/api/create", body, done=lambda line: line.get("status") == "success", timeout=timeout)

    def create_from_file(self, model: str, digest: str, *, timeout: float, **fields: Any) -> JsonStream:
        """Start to create a model from a GGUF file that was uploaded and return the status lines, as :meth:`create` does.

        The server is told the same name for every file, so that equal files give equal models.
        """
        body = {"model": model, "files": {"model.gguf": digest}, "stream": True, **fields}
        return self.stream("/api/create", body, done=lambda line: line.get("status") == "success", timeout=timeout)

    def upload_blob(self, digest: str, content: Iterable[bytes], *, timeout: float) -> None:
        """Give the server a file, piece by piece; it compares the digest at the end.

        :param timeout: seconds for the answer after the last piece
        """
        path = f"/api/blobs/{digest}"
        with self._send("POST", path, None, timeout, content) as response:
            self._check_status(response, path, self._read(response, path, time.monotonic() + timeout))

    def delete(self, model: str) -> None:
        """Delete a model; it should be unloaded before.

        :raises ModelNotFound: if it is not there
        """
        self.json("DELETE", "/api/delete", {"model": model})

    def copy(self, source: str, destination: str) -> None:
        """Give a model a second name; an existing destination is overwritten without a word."""
        self.json("POST", "/api/copy", {"source": source, "destination": destination})

    def generate(self, model: str, *, timeout: float, **fields: Any) -> dict[str, Any]:
        """Run ``/api/generate`` without streaming; a client that gives up while the model loads aborts the load."""
        return self._object(
            "POST", "/api/generate", {"model": model, "stream": False, **fields}, key="model", kind=str, timeout=timeout
        )

    def embed(self, model: str, *, timeout: float, **fields: Any) -> dict[str, Any]:
        """Run ``/api/embed``; without ``input`` it only loads the model."""
        return self._object("POST", "/api/embed", {"model": model, **fields}, key="model", kind=str, timeout=timeout)

    def unload(self, model: str) -> None:
        """Ask for a model's memory back, embedding models too; it goes when running requests have ended."""
        self.generate(model, timeout=self.timeout, keep_alive=0)
