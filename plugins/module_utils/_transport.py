# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests to one Ollama server and its answers, over HTTP: connections, limits in time and size, and what goes wrong."""

from __future__ import annotations

import json
import os
import time
import traceback
from collections.abc import Iterable
from typing import Any, Callable
from urllib.parse import urlsplit

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._answers import (
    MAX_BODY,
    can_be_sent,
    cause,
    check_url,
    decoded,
    is_loopback,
    never_connected,
    no_answer,
    not_ollama,
    status_error,
    tls_remedy,
    wrong_seconds,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._sockets import Patience, Watch, tap
from ansible_collections.alchemorsel.ollama.plugins.module_utils._stream import JsonStream

_CHUNK = 64 * 1024


def import_requests() -> Any:
    """Return the module ``requests``; imported late because it costs 18 MB and 0.2 s.

    :raises LibraryMissing: if it is not installed
    """
    try:
        import requests
    except ImportError as exc:
        raise errors.LibraryMissing("requests", traceback.format_exc()) from exc
    return requests


class _Bearer:
    """Sets the key on each request; also keeps requests from taking a password out of ~/.netrc instead."""

    def __init__(self, api_key: str | None) -> None:
        self._api_key = api_key

    def __call__(self, request: Any) -> Any:
        if self._api_key:
            request.headers["Authorization"] = f"Bearer {self._api_key}"
        return request


class Transport:
    """HTTP with one Ollama server.

    :param url: ``http(s)://host[:port][/path]``
    :param api_key: Bearer key for a gateway in front of the server
    :param ca_path: PEM file with the CA certificates to trust instead of the system's
    :param client_cert: PEM file with the client certificate (and its key, if ``client_key`` is not given)
    :param client_key: PEM file with the key of ``client_cert``
    :param validate_certs: verify the server's certificate
    :param timeout: seconds to wait for a connection and for each answer
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        ca_path: str | None = None,
        client_cert: str | None = None,
        client_key: str | None = None,
        validate_certs: bool = True,
        timeout: float = 30.0,
    ) -> None:
        self.url = check_url(url)
        wanted = wrong_seconds(timeout)
        if wanted:
            raise errors.InvalidInput(f"timeout is {timeout}; wanted {wanted}")
        if not can_be_sent(api_key):
            raise errors.InvalidInput(
                "api_key has a line break, a blank at its end or another character that a header cannot carry; give the key "
                "alone, with the filter trim where it comes from a file"
            )
        for option, path in (("ca_path", ca_path), ("client_cert", client_cert), ("client_key", client_key)):
            if path and not os.access(path, os.R_OK):
                raise errors.InvalidInput(
                    f"{option} is '{path}', which does not exist or cannot be read on the host where the module runs"
                )
        if client_key and not client_cert:
            raise errors.InvalidInput(
                "client_key is given without client_cert; give both, or a client_cert that contains its key"
            )
        self.timeout = timeout
        self._options: dict[str, Any] = {
            "api_key": api_key,
            "ca_path": ca_path,
            "client_cert": client_cert,
            "client_key": client_key,
            "validate_certs": validate_certs,
        }
        #: value of the header Server of the last answer; a stand-in names itself there
        self.server_header: str | None = None
        #: what the server said of its version last
        self.said_version: str | None = None
        self._requests = import_requests()
        self._session = self._requests.Session()
        self._line = tap(self._session)
        # The environment's proxy is for other machines; a loopback address never goes through one.
        self._session.trust_env = not is_loopback(urlsplit(self.url).hostname)
        self._session.auth = _Bearer(api_key)
        self._session.headers["Accept-Encoding"] = "identity"
        # verify is given with each request: a session's own value loses against REQUESTS_CA_BUNDLE.
        self._verify: bool | str = (ca_path or True) if validate_certs else False
        self._session.cert = (client_cert, client_key) if client_cert and client_key else client_cert

    @property
    def certificate(self) -> bytes | None:
        """The certificate that the server showed last, in DER form, verified or not; ``None`` without TLS."""
        return self._line.certificate

    # --- plain requests -------------------------------------------------------------------------------------------

    def json(self, method: str, path: str, body: Any = None, timeout: float | None = None) -> Any:
        """Send one request and return the decoded JSON of its answer, ``None`` for an empty body.

        :param path: such as ``/api/tags``
        :param timeout: seconds for this request instead of the client's
        :raises OllamaError: for every failure and every status from 300 on
        """
        limit = timeout or self.timeout
        deadline = time.monotonic() + limit
        with self._send(method, path, body, limit) as response:
            text = self._read(response, path, deadline)
            self._check_status(response, path, text)
            if not text.strip():
                return None
            try:
                return decoded(text)
            except ValueError as exc:
                raise not_ollama(self.url, path, response.status_code, text) from exc

    def stream(
        self,
        path: str,
        body: Any,
        *,
        done: Callable[[dict[str, Any]], bool],
        timeout: float | None = None,
        patience: Patience | None = None,
    ) -> JsonStream:
        """POST and return the lines of the answer as they arrive.

        :param done: tells whether a line is the final one; an end without it raises ``StreamBroken``
        :param timeout: seconds for the whole stream; :meth:`JsonStream.limit` can shorten or lengthen it while it runs
        :param patience: how long to wait for the first line, instead of ``timeout``
        """
        limit = timeout or self.timeout
        response = self._send_patiently(path, body, patience) if patience else self._send("POST", path, body, limit)
        if response.status_code >= 300:
            with response:
                self._check_status(response, path, self._read(response, path, time.monotonic() + self.timeout))
        return JsonStream(response, url=self.url + path, done=done, limit=timeout)

    def _send_patiently(self, path: str, body: Any, patience: Patience) -> Any:
        with Watch(self._line, patience) as watch:
            try:
                return self._send("POST", path, body, patience.longest)
            except errors.ServerUnreachable as exc:
                if not watch.gave_up:
                    raise
                url = self.url + path
                raise errors.ServerTimeout(f"{url} was given up, no answer had begun; see the server's log") from exc

    def _send(self, method: str, path: str, body: Any, timeout: float, content: Iterable[bytes] | None = None) -> Any:
        failures = self._requests.exceptions
        url = self.url + path
        try:
            response = self._session.request(
                method,
                url,
                json=body,
                data=content,
                timeout=(min(timeout, self.timeout), timeout),
                stream=True,
                allow_redirects=False,
                verify=self._verify,
            )
        except failures.SSLError as exc:
            said = cause(exc)
            raise errors.TLSFailure(f"TLS with {self.url} failed: {said}; {tls_remedy(said)}", url=url) from exc
        except failures.ProxyError as exc:
            raise errors.ServerUnreachable(
                f"the proxy on the way to {self.url} does not answer: {cause(exc)}; add the server to no_proxy",
                url=url,
                connected=False,
            ) from exc
        except failures.ConnectTimeout as exc:
            raise errors.ServerTimeout(
                f"no connection to {self.url} within {timeout:g} s; check address, firewall and that the server runs",
                url=url,
                connected=False,
            ) from exc
        except failures.Timeout as exc:
            raise no_answer(self.url, method, path, timeout) from exc
        except failures.ConnectionError as exc:
            raise errors.ServerUnreachable(
                f"no answer from {self.url}: {cause(exc)}; check that the Ollama server runs and that url names its address",
                url=url,
                connected=not never_connected(exc),
            ) from exc
        except (failures.RequestException, OSError, ValueError) as exc:
            raise errors.ServerUnreachable(
                f"request to {self.url} failed: {cause(exc)}; check url and certificate files", url=url
            ) from exc
        self.server_header = response.headers.get("Server")
        return response

    def _read(self, response: Any, path: str, deadline: float) -> str:
        parts, size = [], 0
        failures = self._requests.exceptions
        late = errors.ServerTimeout(
            f"{self.url}{path} did not finish its answer in time; raise timeout", url=self.url + path
        )
        try:
            with self._line.cut_after(deadline - time.monotonic()):
                for chunk in response.iter_content(_CHUNK):
                    size += len(chunk)
                    if size > MAX_BODY:
                        raise not_ollama(self.url, path, response.status_code, "more than 32 MiB")
                    parts.append(chunk)
        # urllib3 has let others than its own through when a connection is shut down under it.
        except (failures.RequestException, OSError, AttributeError, ValueError) as exc:
            if time.monotonic() >= deadline:
                raise late from exc
            raise errors.ServerUnreachable(
                f"the connection to {self.url} broke in the answer to {path}: {cause(exc)}; check the server's log",
                url=self.url + path,
                http_status=response.status_code,
            ) from exc
        if time.monotonic() >= deadline:
            # Some versions of urllib3 take an answer that was cut for a complete one.
            raise late
        return b"".join(parts).decode("utf-8", "replace")

    def _check_status(self, response: Any, path: str, text: str) -> None:
        problem = status_error(self.url, path, response.status_code, text, response.headers.get("Location"))
        if problem:
            raise problem

    def _object(
        self, method: str, path: str, body: Any = None, *, key: str, kind: type, timeout: float | None = None
    ) -> dict[str, Any]:
        """Request an object that must hold ``key`` of type ``kind``; else it is no Ollama server."""
        answer = self.json(method, path, body, timeout)
        if not isinstance(answer, dict) or not isinstance(answer.get(key), kind):
            raise not_ollama(self.url, path, 200, json.dumps(answer))
        return answer
