# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Manifests and digests at the source of a model, over HTTP. Reads only, and never a blob."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._answers import cause, excerpt, is_loopback
from ansible_collections.alchemorsel.ollama.plugins.module_utils._client import import_requests
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName

ACCEPT = "application/vnd.docker.distribution.manifest.v2+json"
MAX_MANIFEST = 4 * 1024 * 1024
#: Manifests asked for at the same time.
THREADS = 8

# Fill levels of the server's JSON decoder: white space after the JSON text is hashed only up to one of them.
_DECODER_STEPS = (512, 1536, 3584, 7680)


@dataclass(frozen=True)
class Manifest:
    """What the source serves for one name.

    :param digest: sha256 of the body, as a server lists it after a pull
    :param digests: the same, and what a server may show instead when white space ends the body
    :param size: bytes of all layers and the config, as a server lists it
    """

    digest: str
    digests: frozenset[str]
    size: int


def read_manifest(body: bytes) -> Manifest:
    """Return the manifest in a registry's answer.

    :raises ValueError: if it is not one
    """
    content = json.loads(body)
    if not isinstance(content, dict) or not isinstance(content.get("layers"), list):
        raise ValueError("no object with layers")
    parts = [part for part in [content.get("config"), *content["layers"]] if isinstance(part, dict)]
    cuts = [body, body.rstrip()]
    cuts += [body[:step] for step in _DECODER_STEPS if len(body) > step and not body[step:].strip()]
    digests = [f"sha256:{hashlib.sha256(cut).hexdigest()}" for cut in cuts]
    return Manifest(digests[0], frozenset(digests), sum(int(part.get("size") or 0) for part in parts))


class Registry:
    """Reads manifests from wherever the names of the models point to.

    :param insecure: ``host:port`` of registries that speak plain http
    :param ca_path: PEM file with the CA certificates to trust instead of the system's
    :param timeout: seconds for one request
    """

    def __init__(self, insecure: Sequence[str] = (), ca_path: str | None = None, timeout: float = 30.0) -> None:
        for host in insecure:
            if "/" in host or not host.strip():
                raise errors.InvalidInput(
                    f"insecure_registries contains '{host}'; wanted HOST:PORT as it stands in model names, without http://"
                )
        if ca_path and not os.access(ca_path, os.R_OK):
            raise errors.InvalidInput(
                f"registry_ca_path is '{ca_path}', which does not exist or cannot be read on the host where the module runs"
            )
        self._insecure = {host.lower() for host in insecure}
        self._verify: bool | str = ca_path or True
        self._timeout = timeout

    def is_insecure(self, name: ModelName) -> bool:
        """Tell whether the model's registry is one that speaks plain http."""
        return name.host.lower() in self._insecure

    def manifests(self, names: Iterable[ModelName]) -> dict[str, Manifest | errors.PullFailed]:
        """Return manifest or failure for each name, by its key; asks up to 8 at a time."""
        wanted = {name.key: name for name in names}
        if not wanted:
            return {}
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(max_workers=min(THREADS, len(wanted))) as pool:
            return dict(zip(wanted, pool.map(self._try, wanted.values())))

    def _try(self, name: ModelName) -> Manifest | errors.PullFailed:
        try:
            return self.manifest(name)
        except errors.PullFailed as exc:
            return exc

    def manifest(self, name: ModelName) -> Manifest:
        """Return what the source serves for a name.

        :raises SourceNotFound: if the source does not have it; everything else that is raised says that it could not be read
        """
        scheme = "http" if self.is_insecure(name) else "https"
        url = f"{scheme}://{name.host}/v2/{name.namespace}/{name.model}/manifests/{name.tag}"
        status, body = self._get(name, url)
        if status == 200:
            try:
                return read_manifest(body)
            except ValueError as exc:
                raise errors.SourceUnusable(
                    f"the source of {name} answered {url} with something that is no manifest: {excerpt(_text(body))}",
                    url=url,
                    http_status=status,
                ) from exc
        kind: type[errors.PullFailed] = errors.SourceFailed
        if status == 404:
            kind, said = errors.SourceNotFound, "does not have it; check name and tag"
        elif status in (400, 401, 403):
            kind, said = errors.SourceRefused, f"refuses to show it ({status})"
        elif status == 412:
            kind, said = errors.NewerServerWanted, "gives it to newer versions of Ollama only (412)"
        elif status == 429:
            kind, said = errors.SourceBusy, "limits the rate (429); try again later or use a mirror"
        else:
            said = f"answered {status} {excerpt(_text(body))}"
        raise kind(f"the source of {name}, {url}, {said}", url=url, http_status=status, error=_text(body)[:500] or None)

    def _get(self, name: ModelName, url: str) -> tuple[int, bytes]:
        requests = import_requests()
        deadline = time.monotonic() + self._timeout
        body = b""
        # A session of its own for each request: they are not made for use by several threads.
        with requests.Session() as session:
            session.trust_env = not is_loopback(name.host.rsplit(":", 1)[0])
            try:
                response = session.get(
                    url,
                    headers={"Accept": ACCEPT},
                    auth=_no_auth,
                    timeout=self._timeout,
                    stream=True,
                    verify=self._verify,
                )
                for chunk in response.iter_content(64 * 1024):
                    body += chunk
                    if len(body) > MAX_MANIFEST or time.monotonic() > deadline:
                        raise errors.SourceUnreachable(
                            f"the source of {name}, {url}, sends without end or too slowly", url=url
                        )
            except requests.exceptions.SSLError as exc:
                raise errors.SourceTLSFailure(
                    f"TLS with the source of {name} failed: {cause(exc)}; a private CA belongs into registry_ca_path, "
                    "a registry with plain http into insecure_registries",
                    url=url,
                ) from exc
            except (requests.exceptions.RequestException, OSError) as exc:
                raise errors.SourceUnreachable(
                    f"the source of {name}, {url}, cannot be reached from here: {cause(exc)}", url=url
                ) from exc
        return int(response.status_code), body


def _no_auth(request: Any) -> Any:
    """Keeps requests from sending a password out of ~/.netrc: Ollama itself would not either."""
    return request


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")
