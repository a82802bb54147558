# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers as the real server writes them: JSON, errors, streams of JSON lines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from typing import Any, TypeVar

from aiohttp import web

from . import gotext
from .errors import ApiError, Fatal

JSON = "application/json; charset=utf-8"
JSON_BARE = "application/json"
NDJSON = "application/x-ndjson"
#: up to this many bytes Go sends a Content-Length, beyond it chunks
_UNCHUNKED = 2048
_POLL = 0.05

T = TypeVar("T")


class ClientGone(Exception):
    """The client closed the connection before its answer was complete."""


def json_answer(
    value: Any, status: int = 200, content_type: str = JSON, chunked: bool = False, newline: bool = False
) -> web.Response:
    """A JSON answer; `chunked` where the real server sends even a short one in chunks, `newline` where it ends so."""
    body = gotext.dump_json(value) + (b"\n" if newline else b"")
    response = web.Response(status=status, body=body, headers={"Content-Type": content_type})
    if chunked or len(body) > _UNCHUNKED:
        response.enable_chunked_encoding()
    return response


def error_answer(error: ApiError) -> web.Response:
    return json_answer({"error": error.text}, error.status)


def text_answer(
    status: int, text: str, content_type: str = "text/plain", extra: dict[str, str] | None = None
) -> web.Response:
    return web.Response(status=status, body=text.encode(), headers={"Content-Type": content_type, **(extra or {})})


def empty_answer(status: int = 200) -> web.Response:
    return web.Response(status=status)


async def read_json(request: web.Request, empty: str = "missing request body") -> dict[str, Any]:
    """The request's JSON object, whatever its Content-Type; raises ApiError 400."""
    body = await request.read()
    if not body:
        raise ApiError(400, empty)
    try:
        value = json.JSONDecoder().raw_decode(body.decode("utf-8", "replace").lstrip())[0]
    except ValueError as error:
        raise ApiError(400, _syntax_error(body.decode("utf-8", "replace").lstrip())) from error
    if not isinstance(value, dict):
        raise ApiError(400, f"json: cannot unmarshal {_kind(value)} into Go value of type api.Request")
    return value


def _syntax_error(text: str) -> str:
    if text[:1] in '{["' and text.count(text[0]):
        return "unexpected EOF"
    return f"invalid character '{text[:1]}' looking for beginning of value"


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    names = {str: "string", list: "array", dict: "object"}
    return next((name for kind, name in names.items() if isinstance(value, kind)), "number")


_GO_TYPES = {str: "string", bool: "bool", dict: "map[string]interface {}", list: "[]string"}


def field(body: dict[str, Any], key: str, kind: type[T], default: T, struct: str = "Request") -> T:
    """A typed field of a request; raises ApiError 400 with Go's words where it has another type."""
    value = body.get(key)
    if value is None:
        return default
    if not isinstance(value, kind):
        go_type = _GO_TYPES.get(kind, kind.__name__)
        raise ApiError(
            400, f"json: cannot unmarshal {_kind(value)} into Go struct field {struct}.{key} of type {go_type}"
        )
    return value


def model_field(body: dict[str, Any], struct: str) -> str:
    """`model`, or the older `name`."""
    return field(body, "model", str, "", struct) or field(body, "name", str, "", struct)


def connected(request: web.Request) -> bool:
    return request.transport is not None and not request.transport.is_closing()


async def while_connected(request: web.Request, work: Awaitable[T]) -> T:
    """The result of some work, which is cancelled when the client leaves; raises ClientGone then."""
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait([task], timeout=_POLL)
            if not task.done() and not connected(request):
                raise ClientGone
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
            error = None if task.cancelled() else task.exception()
            if isinstance(error, Fatal):
                raise error


async def stream_answer(
    request: web.Request,
    lines: AsyncGenerator[dict[str, Any], None],
    stream: bool,
    content_type: str = NDJSON,
    encode: Any = None,
) -> web.StreamResponse:
    """Sends lines as they come; an error before the first one is an ordinary answer, a later one is a line.

    With `stream` false only the last line is sent, or the error with its status.
    """
    response: web.StreamResponse | None = None
    last: dict[str, Any] = {}
    write = encode or (lambda line: gotext.dump_json(line) + b"\n")
    async with aclosing(lines) as source:
        try:
            while True:
                line = await while_connected(request, source.__anext__())
                last = line
                if stream:
                    if response is None:
                        response = await _open(request, content_type)
                    await response.write(write(line))
        except StopAsyncIteration:
            pass
        except ApiError as error:
            if response is None:
                return json_answer({"error": error.text}, error.status, JSON_BARE, chunked=stream)
            await response.write(write({"error": error.text}))
    if response is None:
        return json_answer(last, content_type=JSON_BARE)
    await response.write_eof()
    return response


async def _open(request: web.Request, content_type: str) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": content_type})
    response.enable_chunked_encoding()
    await response.prepare(request)
    return response
