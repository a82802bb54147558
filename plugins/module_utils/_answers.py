# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses, statuses and error texts of an Ollama server, judged without I/O."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._numbers import is_whole

#: Seconds of the longest time that can be given; the longest that every system waits for a socket is twice that.
LONGEST = 1e6
#: Fields of models, as lists and show have them, and of what kind they are.
_KINDS: Mapping[str, type] = {
    "size": int,
    "size_vram": int,
    "context_length": int,
    "details": dict,
    "model_info": dict,
    "capabilities": list,
}

#: A half of a character as JSON can write it, and no program that knows Unicode does.
_HALF = re.compile(r"\\u[dD][89a-fA-F]")

#: No answer of the server that is read as a whole is larger; stops a module that was pointed at something else.
MAX_BODY = 32 * 1024 * 1024


def decoded(text: str | bytes) -> Any:
    """Return what a JSON text says.

    :raises ValueError: if it is none, nested deeper than anything that is asked for, or has texts that no terminal and no file takes
    """
    # json itself would let halves of characters in UTF-8 through
    content = text.decode("utf-8-sig") if isinstance(text, bytes) else text
    try:
        value = json.loads(content)
        if _HALF.search(content):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as exc:
        raise ValueError("it is nested too deeply") from exc
    return value


def whole(value: object) -> int:
    """Return a number of bytes as somebody tells it, 0 for anything else."""
    return value if isinstance(value, int) and is_whole(value) and value > 0 else 0


def wrong_seconds(value: float | None, *, zero: bool = False) -> str:
    """Return what is wanted instead of a number of seconds, an empty text where it is one that clocks and sockets take."""
    if value is None or 0 < value <= LONGEST or (zero and value == 0):
        return ""
    if value > LONGEST:
        return f"at most {LONGEST:.0f} seconds"
    return "0 or more seconds" if zero else "a number of seconds above 0"


def can_be_sent(api_key: str | None) -> bool:
    """Tell whether a header can carry a key; where it cannot, the libraries' own errors show it."""
    return not api_key or re.fullmatch(r"[!-~](?:[ -~]*[!-~])?", api_key) is not None


def readable(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a server tells of a model without the fields that are of another kind than they should be."""
    return {key: value for key, value in item.items() if key not in _KINDS or _is(value, _KINDS[key])}


def _is(value: object, kind: type) -> bool:
    return is_whole(value) if kind is int else isinstance(value, kind)


def listed(models: list[Any]) -> list[dict[str, Any]]:
    """Return a server's list of models, each with a ``name``, and ``digest`` as ``sha256:<hex>``.

    :raises ValueError: if it lists something else
    """
    if not all(isinstance(item, dict) for item in models):
        raise ValueError("its list holds something that is no model")
    return [
        {**readable(item), "name": str(item.get("name") or item.get("model") or ""), "digest": _digest(item)}
        for item in models
    ]


def _digest(item: Mapping[str, Any]) -> str:
    digest = str(item.get("digest") or "")
    return digest if not digest or digest.startswith("sha256:") else f"sha256:{digest}"


def is_loopback(host: str | None) -> bool:
    """Tell whether a host name or address stays on this machine."""
    name = (host or "").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def check_url(url: str) -> str:
    """Return the address of a server without a trailing slash.

    :raises InvalidInput: if it is not ``http(s)://host[:port][/path]``
    """
    text = url.strip().rstrip("/")
    # What follows '?' or '#' may be a key.
    shown = re.sub(r"([?#]).+", r"\1...", url, flags=re.DOTALL)
    wanted = "wanted http://HOST:PORT or https://HOST:PORT, for example http://127.0.0.1:11435"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as exc:
        raise (_with_password(text) or errors.InvalidInput(f"url '{shown}' is invalid: {exc}; {wanted}")) from exc
    password = _with_password(text)
    if password:
        raise password
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise errors.InvalidInput(f"url '{shown}' is invalid: it needs a scheme and a host; {wanted}")
    if port == 0 or parts.query or parts.fragment or any(c.isspace() for c in text):
        raise errors.InvalidInput(
            f"url '{shown}' is invalid: port 0, blanks, '?' and '#' cannot be part of it; {wanted}"
        )
    return text


def _with_password(text: str) -> errors.InvalidInput | None:
    """Return the refusal of an address that has, or seems to have, a user or password in it; it does not show them."""
    if "@" not in text:
        return None
    return errors.InvalidInput(
        f"the url of {text.rsplit('@', 1)[-1]} contains a user or password; leave them out and give the key in api_key"
    )


def error_text(text: str) -> str | None:
    """Return the text of ``{"error": ...}`` in the plain and in the OpenAI form, ``None`` if it is neither."""
    try:
        answer = decoded(text)
    except ValueError:
        return None
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, dict):
        error = error.get("message")
    return error if isinstance(error, str) else None


def not_ollama(server: str, path: str, status: int, text: str) -> errors.NotOllama:
    """Return the error for an answer that no Ollama server gives."""
    return errors.NotOllama(
        f"{server} is not an Ollama server: it answered {path} with status {status} and {excerpt(text)}; check url",
        url=server + path,
        http_status=status,
    )


def no_answer(server: str, method: str, path: str, seconds: float) -> errors.ServerTimeout:
    """Return the error for a server that takes a connection and says nothing."""
    return errors.ServerTimeout(
        f"{server} took the connection but did not answer {method} {path} within {seconds:g} s; "
        "it may be starting (it looks for GPUs first) or hang; wait, or raise timeout",
        url=server + path,
    )


def status_error(
    server: str, path: str, status: int, text: str, location: str | None = None
) -> errors.OllamaError | None:
    """Return what fits the status and body of an answer, ``None`` below 300.

    :param server: address of the server, without the path
    :param location: target of a redirect
    """
    if status < 300:
        return None
    error = error_text(text)
    said = error or excerpt(text)
    if status < 400:
        kind: type[errors.OllamaError] = errors.NotOllama
        message = f"{server} redirects {path} to {location or 'nowhere'}; set url to the address of the server itself"
    elif status == 403 and not text.strip():
        kind = errors.AccessRefused
        message = (
            f"{server} refused the request with 403 and an empty body: an Ollama server that listens on loopback does "
            "so for host names it does not know; use 127.0.0.1 or localhost in url, or let the proxy before it send "
            "'Host: localhost'"
        )
    elif status in (401, 403):
        kind = errors.AccessRefused
        message = f"{server} refused {path} with {status} and {said}; check api_key and client_cert"
    elif error is None and status in (404, 405):
        return not_ollama(server, path, status, text)
    elif status == 404:
        kind = errors.ModelNotFound
        message = f"{server} does not have it: {error}"
    elif status in (429, 503):
        kind = errors.ServerBusy
        message = f"{server} is busy: {said}; try again later"
    elif status in (502, 504):
        kind = errors.ServerUnreachable
        message = f"a gateway answers at {server} with {status}, the server behind it does not; check that one"
    else:
        kind = errors.HandlerDied if status == 500 and not text.strip() else errors.BadAnswer
        message = f"{server}{path} answered {status}: {said}"
    return kind(message, url=server + path, http_status=status, error=error)


def excerpt(text: str) -> str:
    flat = " ".join(text.split())
    if not flat:
        return "an empty body"
    return f"'{flat[:120]}{'...' if len(flat) > 120 else ''}'"


def cause(exc: BaseException) -> str:
    """Return the innermost reason of a nested exception of requests in one line."""
    inner: Any = exc
    for _depth in range(6):
        following = getattr(inner, "reason", None) or (inner.args[0] if getattr(inner, "args", None) else None)
        if not isinstance(following, BaseException):
            break
        inner = following
    text = str(getattr(inner, "strerror", None) or inner) or type(inner).__name__
    # urllib3 puts the connection object in front, in its own words for each release.
    return " ".join(re.sub(r"^<?[\w.<>]*Connection\w*(\(.*?\)| object at \w+>): ", "", text).split())


def tls_remedy(said: str) -> str:
    """Return what to do about a failed TLS handshake, by the words of its reason."""
    if "certificate has expired" in said or "certificate is not yet valid" in said:
        return "renew the certificate of the server, or of the gateway before it, and look at this host's clock"
    return "give the CA's certificate in ca_path, or check scheme and port of url"


def never_connected(exc: BaseException) -> bool:
    """Whether an exception of requests means that no connection was made, and not that one broke."""
    inner: Any = exc
    for _depth in range(6):
        if type(inner).__name__ in ("NewConnectionError", "NameResolutionError"):
            return True
        inner = getattr(inner, "reason", None) or (inner.args[0] if getattr(inner, "args", None) else None)
        if not isinstance(inner, BaseException):
            break
    return False
