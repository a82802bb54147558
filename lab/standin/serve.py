# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`serve`: start-up, listening, and the end by a signal."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import struct
import sys

from aiohttp import web

from .app import Server
from .errors import Fatal, os_error_text
from .settings import Settings


class StartError(Exception):
    """The server cannot start; the message is the real server's."""


def prepare(settings: Settings) -> None:
    """The key directory and the store's housekeeping; raises StartError."""
    directory = settings.home / ".ollama"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        key = directory / "id_ed25519"
        if not key.exists():
            descriptor = os.open(key, os.O_WRONLY | os.O_CREAT, 0o600)
            os.write(descriptor, b"placeholder of the stand-in: it signs nothing\n")
            os.close(descriptor)
            key.with_suffix(".pub").write_text(f"{_public_key()}\n", encoding="ascii")
    except OSError as error:
        raise StartError(f"could not create directory {os_error_text(error, 'mkdir', directory)}") from error
    try:
        settings.blobs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        hint = "ensure path elements are traversable"
        raise StartError(f"{os_error_text(error, 'mkdir', settings.models)}: {hint}") from error


def _public_key() -> str:
    """A line with the face of a public key, another one each time."""
    kind = b"ssh-ed25519"
    parts = (kind, os.urandom(32))
    return (
        f"{kind.decode()} {base64.b64encode(b''.join(struct.pack('>I', len(part)) + part for part in parts)).decode()}"
    )


def _start_lines(settings: Settings, address: str) -> tuple[str, str]:
    """What the real server logs of its start: where it listens, and what it computes with."""
    library, device = ("CUDA", "GPU-0") if settings.gpu_share else ("cpu", "cpu")
    return (
        f'level=INFO source=standin msg="Listening on {address} (version {settings.profile.version})"',
        f'level=INFO source=standin msg="inference compute" id={device} library={library}',
    )


async def _serve(settings: Settings) -> int:
    server = Server(settings)
    if not settings.noprune and (warning := server.store.prune()):
        print(warning, file=sys.stderr, flush=True)
    server.read_all()
    runner = web.AppRunner(server.application(), access_log=None, handle_signals=False)
    await runner.setup()
    site = web.TCPSite(runner, settings.host, settings.port)
    try:
        await site.start()
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise StartError(f"listen tcp {settings.host}:{settings.port}: bind: {reason}") from error
    address = runner.addresses[0]
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    about = {"url": f"http://{host}:{address[1]}", "version": settings.profile.version, "server": "stand-in"}
    print(json.dumps(about), flush=True)
    for line in _start_lines(settings, f"{host}:{address[1]}"):
        print(line, file=sys.stderr, flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await server.stop()
    return 0


def main(settings: Settings) -> int:
    """Serves until SIGTERM or SIGINT; the exit status."""
    os.umask(os.umask(0) | 0o022)
    try:
        prepare(settings)
        status = asyncio.run(_until_stopped(settings))
    except StartError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except Fatal as error:
        print(error, file=sys.stderr)
        return 2
    return status


async def _until_stopped(settings: Settings) -> int:
    status = await _serve(settings)
    # as the real server: connections are not ended in good order
    sys.stdout.flush()
    os._exit(status)
