# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Manifests and digests at the source of a model, over HTTP. Reads only, and never a blob."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._answers import (
    cause,
    decoded,
    excerpt,
    is_loopback,
    whole,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._mirror import at_mirror, parse_mirror
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName, is_registry
from ansible_collections.alchemorsel.ollama.plugins.module_utils._pull import Clock
from ansible_collections.alchemorsel.ollama.plugins.module_utils._sockets import tap
from ansible_collections.alchemorsel.ollama.plugins.module_utils._transport import import_requests

ACCEPT = "application/vnd.docker.distribution.manifest.v2+json"
MAX_MANIFEST = 4 * 1024 * 1024
#: Manifests asked for at the same time.
THREADS = 8
#: Seconds that sources are waited for at most, all models of a run together: nobody sees that wait before its end.
MAX_WAIT = 300.0

# Fill levels of the server's JSON decoder: white space after the JSON text is hashed only up to one of them.
_DECODER_STEPS = (512, 1536, 3584, 7680)
_BLOB = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Manifest:
    """What the source serves for one name.

    :param digest: sha256 of the body, as a server lists it after a pull
    :param digests: the same, and what a server may show instead when white space ends the body
    :param size: bytes of all layers and the config, as a server lists it
    :param blobs: size of each layer and of the config by digest; empty if one of them is not named as a blob is
    :param waited: seconds that the source wanted to have waited before
    """

    digest: str
    digests: frozenset[str]
    size: int
    blobs: Mapping[str, int] = field(default_factory=dict)
    waited: float = 0.0


def read_manifest(body: bytes) -> Manifest:
    """Return the manifest in a registry's answer.

    :raises ValueError: if it is not one
    """
    content = decoded(body)
    if not isinstance(content, dict) or not isinstance(content.get("layers"), list):
        raise ValueError("no object with layers")
    parts = [part for part in [content.get("config"), *content["layers"]] if isinstance(part, dict)]
    cuts = [body, body.rstrip()]
    cuts += [body[:step] for step in _DECODER_STEPS if len(body) > step and not body[step:].strip()]
    digests = [f"sha256:{hashlib.sha256(cut).hexdigest()}" for cut in cuts]
    sizes = [whole(part.get("size")) for part in parts]
    blobs = {str(part.get("digest")): size for part, size in zip(parts, sizes)}
    if not all(_BLOB.fullmatch(digest) for digest in blobs):
        blobs = {}
    return Manifest(digests[0], frozenset(digests), sum(sizes), blobs)


def read_retry_after(text: str | None, now: float) -> float | None:
    """Return the seconds that a source asks to wait, ``None`` if it does not say so in a way that HTTP knows.

    :param text: value of the header Retry-After: seconds, or a date
    :param now: seconds since 1970
    """
    said = (text or "").strip()
    if said.isdecimal():
        # More digits are centuries, and more than a float holds.
        return float(said[:12])
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - now)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


class Registry:
    """Reads manifests from wherever the names of the models point to, or from a mirror.

    :param insecure: ``host:port`` of registries that speak plain http
    :param ca_path: PEM file with the CA certificates to trust instead of the system's
    :param timeout: seconds for one request
    :param mirror: ``host:port`` from which models of the default registry are fetched
    :param retries: how often a source that asks to come back later is asked again
    :param patience: seconds that this may take in all, not more than MAX_WAIT; 0: never
    """

    def __init__(
        self,
        insecure: Sequence[str] = (),
        ca_path: str | None = None,
        timeout: float = 30.0,
        *,
        mirror: str | None = None,
        retries: int = 0,
        patience: float = 0.0,
        clock: Clock | None = None,
    ) -> None:
        for host in insecure:
            if not is_registry(host):
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
        self._mirror = parse_mirror(mirror)
        self._retries = retries
        self._patience = min(patience, MAX_WAIT)
        #: seconds of it that are left: a run asks more than once
        self._left = self._patience
        self._has_waited = False
        self._clock = clock or Clock()

    def is_insecure(self, name: ModelName) -> bool:
        """Tell whether the registry that a model is fetched from is one that speaks plain http."""
        return at_mirror(name, self._mirror).host.lower() in self._insecure

    def manifests(self, names: Iterable[ModelName]) -> dict[str, Manifest | errors.PullFailed]:
        """Return manifest or failure for each name, by its key; asks up to 8 at a time."""
        wanted = {name.key: name for name in names}
        if not wanted:
            return {}
        self._has_waited = False
        until = self._clock.now() + self._left
        with ThreadPoolExecutor(max_workers=min(THREADS, len(wanted))) as pool:
            answers = dict(zip(wanted, pool.map(lambda name: self._try(name, until), wanted.values())))
        if self._has_waited:
            self._left = max(0.0, until - self._clock.now())
        return answers

    def _try(self, name: ModelName, until: float) -> Manifest | errors.PullFailed:
        try:
            return self.manifest(name, until)
        except errors.PullFailed as exc:
            return exc

    def sizes(self, name: ModelName) -> Mapping[str, int]:
        """Return the size of each blob of a model by digest, nothing if the source does not say that at once."""
        try:
            return self._manifest(name).blobs
        except errors.PullFailed:
            # The pull itself tells what is the matter with the source.
            return {}

    def manifest(self, name: ModelName, until: float | None = None) -> Manifest:
        """Return what the source serves for a name; wait where the source asks for it.

        :param until: the clock's time at which waiting ends, where ``patience`` does not begin now
        :raises SourceNotFound: if the source does not have it; everything else that is raised says that it could not be read
        """
        end = self._clock.now() + self._patience if until is None else until
        left = self._retries
        waited = 0.0
        while True:
            try:
                return replace(self._manifest(name), waited=waited)
            except errors.SourceBusy as exc:
                if exc.retry_after is None or not self._patience:
                    raise
                pause = exc.retry_after + self._clock.random()
                if self._clock.now() + pause >= end:
                    raise self._too_long(exc) from exc
                if left <= 0:
                    raise
                left -= 1
                self._has_waited = True
                self._clock.sleep(pause)
                waited += pause

    def _too_long(self, busy: errors.SourceBusy) -> errors.SourceBusy:
        waited = self._patience - self._left
        so_far = f", of which it has waited {waited:.0f} s" if waited else ""
        failure = errors.SourceBusy(
            f"{busy.message}, and a run waits for sources {self._patience:g} s at most{so_far}",
            url=busy.url,
            http_status=busy.http_status,
            error=busy.error,
        )
        failure.retry_after, failure.too_long = busy.retry_after, True
        return failure

    def _manifest(self, name: ModelName) -> Manifest:
        place = at_mirror(name, self._mirror)
        who = f"the source of {name}" if place == name else f"the mirror of {name}"
        scheme = "http" if self.is_insecure(name) else "https"
        url = f"{scheme}://{place.host}/v2/{place.namespace}/{place.model}/manifests/{place.tag}"
        status, body, retry_after = self._get(place.host, who, url)
        if status == 200:
            try:
                return read_manifest(body)
            except ValueError as exc:
                raise errors.SourceUnusable(
                    f"{who} answered {url} with something that is no manifest: {excerpt(_text(body))}",
                    url=url,
                    http_status=status,
                ) from exc
        kind: type[errors.PullFailed] = errors.SourceFailed
        if status == 404:
            kind, said = errors.SourceNotFound, "does not have it; check name and tag"
            if place != name:
                said += ", and bring the model there if it is missing"
        elif status == 400 and re.search(errors.HTTP_TO_HTTPS, _text(body)):
            kind, said = errors.SourceTLSFailure, "wants TLS; take it out of insecure_registries"
        elif status in (400, 401, 403):
            kind, said = errors.SourceRefused, f"refuses to show it ({status})"
        elif status == 412:
            kind, said = errors.NewerServerWanted, "gives it to newer versions of Ollama only (412)"
        elif status == 429:
            kind, said = errors.SourceBusy, "limits the rate (429); try again later or use a mirror"
            if retry_after is not None:
                said += f"; it asks to wait {retry_after:.0f} s"
        else:
            said = f"answered {status} {excerpt(_text(body))}"
        failure = kind(f"{who}, {url}, {said}", url=url, http_status=status, error=_text(body)[:500] or None)
        if isinstance(failure, errors.SourceBusy):
            failure.retry_after = retry_after
        raise failure

    def _get(self, host: str, who: str, url: str) -> tuple[int, bytes, float | None]:
        """Return status and body of an answer, and the seconds that the source asks to wait."""
        requests = import_requests()
        deadline = time.monotonic() + self._timeout
        body, response = b"", None
        # A session of its own for each request: they are not made for use by several threads.
        late = errors.SourceUnreachable(f"{who}, {url}, sends without end or too slowly", url=url)
        with requests.Session() as session, tap(session).cut_after(self._timeout):
            session.trust_env = not is_loopback(host.rsplit(":", 1)[0])
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
                    if len(body) > MAX_MANIFEST:
                        raise late
            except requests.exceptions.SSLError as exc:
                raise errors.SourceTLSFailure(
                    f"TLS with {who}, {url}, failed: {cause(exc)}; a private CA belongs into registry_ca_path, "
                    "a registry with plain http into insecure_registries",
                    url=url,
                ) from exc
            # A host name that is none comes as a ValueError of urllib3, and others when a connection is cut under it.
            except (requests.exceptions.RequestException, OSError, AttributeError, ValueError) as exc:
                if response is not None and time.monotonic() >= deadline:
                    raise late from exc
                raise errors.SourceUnreachable(
                    f"{who}, {url}, cannot be reached from here: {cause(exc)}", url=url
                ) from exc
        if time.monotonic() >= deadline:
            # Some versions of urllib3 take an answer that was cut for a complete one.
            raise late
        return int(response.status_code), body, read_retry_after(response.headers.get("Retry-After"), time.time())


def _no_auth(request: Any) -> Any:
    """Keeps requests from sending a password out of ~/.netrc: Ollama itself would not either."""
    return request


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")
