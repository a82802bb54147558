# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`registry`: a model store served read-only as `/v2/...`, with faults on demand.

Control, on the same port: GET /_control shows the counters (`models_at_once`: of how many models blobs were asked for at
the same time, at most), POST /_control/faults adds a fault (or a list), DELETE /_control/faults removes all, POST
/_control/reset does that and zeroes the counters.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import ssl
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from . import names
from .faults import Control, Fault, FaultError, parse_fault
from .settings import parse_host
from .store import MANIFEST_TYPE, Store

_RANGE = re.compile(r"bytes=(\d+)-(\d*)\Z")
_CHUNK = 1 << 16
_MEETING_SECONDS = 20.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def request_kind(method: str, path: str, ranged: bool) -> str:
    """The kind of a request, as it is counted."""
    if "/manifests/" in path:
        return "manifest"
    if "/blobs/" not in path:
        return "other"
    if method == "HEAD":
        return "blob_head"
    return "blob_range" if ranged else "blob_get"


class Registry:
    """Handlers of one registry."""

    def __init__(self, store: Store, control: Control):
        self.store = store
        self.control = control

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._common])
        app.on_response_prepare.append(self._headers)
        app.router.add_get("/_control", self._counts)
        app.router.add_post("/_control/faults", self._add_faults)
        app.router.add_delete("/_control/faults", self._clear_faults)
        app.router.add_post("/_control/reset", self._reset)
        app.router.add_get("/v2/", self._ping)
        app.router.add_get("/v2/{namespace}/{model}/manifests/{tag}", self._manifest)
        app.router.add_get("/v2/{namespace}/{model}/blobs/{digest}", self._blob)
        return app

    async def _headers(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Server"] = "alchemorsel-standin-registry"

    @web.middleware
    async def _common(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Counts, and lets a fault have its way, for everything but the control endpoint."""
        if request.path.startswith("/_control"):
            return await handler(request)
        kind = request_kind(request.method, request.path, "Range" in request.headers)
        self.control.requests[kind] += 1
        self.control.log.append(f"{request.method} {request.path}{' ' + request.headers.get('Range', '')}".strip())
        with self.control.serving(request.path):
            return await self._serve(request, handler, kind)

    async def _serve(self, request: web.Request, handler: Handler, kind: str) -> web.StreamResponse:
        if self.control.latency:
            await asyncio.sleep(self.control.latency)
        fault = self.control.take(kind, request.path)
        if fault is not None:
            early = await self._before(request, fault)
            if early is not None:
                return early
        request["fault"] = fault
        return await handler(request)

    async def _before(self, request: web.Request, fault: Fault) -> web.StreamResponse | None:
        """What a fault does before the handler; None where the handler goes on."""
        if fault.kind == "meet":
            deadline = asyncio.get_running_loop().time() + _MEETING_SECONDS
            while self.control.models_at_once < fault.models and asyncio.get_running_loop().time() < deadline:
                await asyncio.sleep(0.02)
        if fault.kind in ("delay", "meet"):
            await asyncio.sleep(fault.seconds)
        if fault.kind == "status" or (fault.kind == "delay" and fault.status):
            headers = {"Content-Type": "application/json", **fault.headers}
            return web.Response(status=fault.status or 500, body=fault.body.encode(), headers=headers)
        if fault.kind == "redirect":
            location = fault.location + request.path
            return web.Response(status=fault.status or 307, headers={"Location": location})
        if fault.kind in ("stall", "drop") and fault.after < 0:
            if fault.kind == "stall":
                await self._hold(request, fault)
            return _cut(request)
        return None

    async def _ping(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({})

    async def _manifest(self, request: web.Request) -> web.StreamResponse:
        part = request.match_info
        name = names.parse(f"{part['namespace']}/{part['model']}:{part['tag']}")
        path = self.store.manifest_path(name) if name else None
        if path is None or not path.is_file():
            return web.json_response({"errors": [{"code": "MANIFEST_UNKNOWN"}]}, status=404)
        return await self._send(request, path.read_bytes(), {"Content-Type": MANIFEST_TYPE}, 200)

    async def _blob(self, request: web.Request) -> web.StreamResponse:
        digest = request.match_info["digest"]
        path = self.store.blobs / digest.replace(":", "-")
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest) or not path.is_file():
            return web.json_response({"errors": [{"code": "BLOB_UNKNOWN"}]}, status=404)
        size = path.stat().st_size
        headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
        if request.method == "HEAD":
            return web.Response(status=200, headers={**headers, "Content-Length": str(size)})
        asked = _RANGE.match(request.headers.get("Range", ""))
        if asked is None:
            fault = request["fault"]
            if fault is not None and fault.kind == "no-location":
                return await self._send(request, path, headers, 200, size=size)
            return web.Response(status=200, headers={**headers, "Location": request.path})
        start, end = int(asked[1]), min(int(asked[2] or size - 1), size - 1)
        if start >= size or end < start:
            return web.Response(status=416, headers={"Content-Range": f"bytes */{size}"})
        headers["Content-Range"] = f"bytes {start}-{end}/{size}"
        return await self._send(request, path, headers, 206, start, end - start + 1)

    async def _send(
        self,
        request: web.Request,
        source: bytes | Path,
        headers: dict[str, str],
        status: int,
        start: int = 0,
        size: int = -1,
    ) -> web.StreamResponse:
        """Sends `size` bytes from `start`, as the request's fault allows."""
        fault: Fault | None = request["fault"]
        total = len(source) if isinstance(source, bytes) else size
        if fault is not None and fault.kind == "truncate":
            total = min(total, fault.after)
        response = web.StreamResponse(status=status, headers={**headers, "Content-Length": str(total)})
        await response.prepare(request)
        chunk_size = fault.chunk if fault is not None and fault.kind == "drip" else _CHUNK
        sent = 0
        try:
            while sent < total:
                limit = min(chunk_size, total - sent)
                if fault is not None and fault.kind in ("stall", "drop"):
                    if sent >= fault.after:
                        if fault.kind == "stall":
                            await self._hold(request, fault)
                        return _cut(request)
                    limit = min(limit, fault.after - sent)
                data = _read(source, start + sent, limit)
                if fault is not None and fault.kind == "corrupt":
                    data = bytes(byte ^ 0xFF for byte in data)
                await response.write(data)
                sent += len(data)
                self.control.bytes += len(data) if isinstance(source, Path) else 0
                if fault is not None and fault.kind == "drip" and fault.rate:
                    await asyncio.sleep(len(data) / fault.rate)
            await response.write_eof()
        except ConnectionResetError:
            return response  # the puller had enough: it does not read what it does not need
        return response

    async def _hold(self, request: web.Request, fault: Fault) -> None:
        """Holds a connection until the client closes it or the fault is removed."""
        while request.transport is not None and not request.transport.is_closing() and fault in self.control.faults:
            await asyncio.sleep(0.05)

    async def _counts(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self.control.counts())

    async def _add_faults(self, request: web.Request) -> web.StreamResponse:
        data = await request.json()
        try:
            new = [parse_fault(item) for item in (data if isinstance(data, list) else [data])]
        except FaultError as error:
            return web.json_response({"error": str(error)}, status=400)
        self.control.faults += new
        return web.json_response({"faults": len(self.control.faults)})

    async def _clear_faults(self, request: web.Request) -> web.StreamResponse:
        self.control.faults.clear()
        return web.json_response({"faults": 0})

    async def _reset(self, request: web.Request) -> web.StreamResponse:
        self.control.reset()
        return web.json_response(self.control.counts())


def _read(source: bytes | Path, start: int, size: int) -> bytes:
    if isinstance(source, bytes):
        return source[start : start + size]
    with source.open("rb") as stream:
        stream.seek(start)
        return stream.read(size)


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", type=Path, required=True, help="directory of the model store to serve")
    parser.add_argument("--listen", default="127.0.0.1:5000", help="HOST:PORT; port 0 takes a free one")
    parser.add_argument("--cert", type=Path, help="PEM certificate: serve TLS")
    parser.add_argument("--key", type=Path, help="PEM key of the certificate")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds to wait before each answer")


async def _serve(arguments: argparse.Namespace, context: ssl.SSLContext | None) -> int:
    registry = Registry(Store(arguments.store), Control(arguments.latency))
    runner = web.AppRunner(registry.application(), access_log=None, handle_signals=False)
    await runner.setup()
    host, port = parse_host(arguments.listen)
    await web.TCPSite(runner, host, port, ssl_context=context).start()
    address = runner.addresses[0]
    print(json.dumps({"url": f"{'https' if context else 'http'}://{address[0]}:{address[1]}"}), flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    return 0


def main(arguments: argparse.Namespace) -> int:
    """Serves until SIGTERM or SIGINT; the exit status."""
    context = None
    if arguments.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(arguments.cert, arguments.key)
        except (OSError, ssl.SSLError) as error:
            print(f"Error: certificate {arguments.cert} with key {arguments.key}: {error}", file=sys.stderr)
            return 1
    try:
        return asyncio.run(_serve(arguments, context))
    except OSError as error:
        print(f"Error: cannot listen on {arguments.listen}: {error}", file=sys.stderr)
        return 1
