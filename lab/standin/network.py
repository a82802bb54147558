# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Outgoing HTTP as Go's default client does it: trust store, proxy, and the words of its errors."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

#: what Go looks at when SSL_CERT_FILE and SSL_CERT_DIR say nothing
_SYSTEM_FILES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
_SYSTEM_DIRS = ("/etc/ssl/certs", "/etc/pki/tls/certs")
#: a TLS greeting, to see what a server that speaks no TLS answers to it
_TLS_GREETING = bytes((0x16, 0x03, 0x01, 0x00, 0x05, 0x01, 0x00, 0x00, 0x01, 0x00)) + b"\r\n\r\n"


class RequestError(Exception):
    """A request that got no usable answer; the message is Go's."""


def trust_store(environ: Mapping[str, str]) -> ssl.SSLContext:
    """The certificates Go trusts: one bundle file, and every file of the directories (`:` between them)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bundle = environ.get("SSL_CERT_FILE", "")
    for file in (bundle,) if bundle else _SYSTEM_FILES:
        if _load(context, Path(file)):
            break
    directories = environ.get("SSL_CERT_DIR", "")
    for directory in directories.split(":") if directories else _SYSTEM_DIRS:
        if not directories and context.cert_store_stats()["x509_ca"]:
            break
        if Path(directory).is_dir():
            for path in sorted(Path(directory).iterdir()):
                if path.is_file():
                    _load(context, path)
    return context


def _load(context: ssl.SSLContext, path: Path) -> bool:
    try:
        context.load_verify_locations(cafile=str(path))
    except (OSError, ssl.SSLError):
        return False  # not there or not a PEM file: Go passes it over, too
    return True


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy for a URL by HTTPS_PROXY, HTTP_PROXY and NO_PROXY; none for this machine itself."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host == "localhost" or is_loopback(host):
        return None
    key = f"{parts.scheme}_proxy"
    proxy = environ.get(key.upper()) or environ.get(key)
    no_proxy = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    if not proxy or any(_bypasses(entry.strip(), host, parts.port) for entry in no_proxy.split(",")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _bypasses(entry: str, host: str, port: int | None) -> bool:
    """Whether an entry of NO_PROXY (`*`, a domain, a host with or without port, a network) covers a host."""
    if entry == "*":
        return True
    name, _, entry_port = entry.partition(":") if entry.count(":") == 1 else (entry, "", "")
    if not name or (entry_port and entry_port != str(port)):
        return False
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False)
    except ValueError:
        return host.lower() == name.lower().lstrip(".") or host.lower().endswith("." + name.lower().lstrip("."))


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Client:
    """One HTTP session with Go's rules."""

    def __init__(self, environ: Mapping[str, str], user_agent: str):
        self._environ = environ
        self._context = trust_store(environ)
        self._agent = user_agent
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, idle: float | None = None
    ) -> aiohttp.ClientResponse:
        """Sends a request, follows nothing, and gives the open response.

        `idle` is the number of seconds without a byte after which reading raises asyncio.TimeoutError.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
            )
        # Kept for another request, a connection with such a limit would end of the silence until then.
        own = {} if idle is None else {"Connection": "close"}
        try:
            return await self._session.request(
                method,
                url,
                headers={"User-Agent": self._agent, **own, **(headers or {})},
                allow_redirects=False,
                ssl=self._context,
                proxy=proxy_for(url, self._environ),
                timeout=aiohttp.ClientTimeout(total=None, sock_read=idle),
            )
        except aiohttp.ClientError as error:
            text = await error_text(error, url)
            raise RequestError(f'{method.title()} "{url}": {text}') from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def resolver() -> str:
    """The name server that Go names in its lookup errors."""
    try:
        lines = Path("/etc/resolv.conf").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    server = next(
        (line.split()[1] for line in lines if line.startswith("nameserver") and len(line.split()) > 1), "127.0.0.1"
    )
    return f"[{server}]:53" if ":" in server else f"{server}:53"


async def error_text(error: Exception, url: str) -> str:
    """A client error in Go's words."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    cause: BaseException | None = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    if isinstance(cause, socket.gaierror):
        return f"dial tcp: lookup {host} on {resolver()}: no such host"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"tls: failed to verify certificate: {_certificate_text(cause, host)}"
    if isinstance(cause, ssl.SSLError):
        if await _speaks_http(host, port):
            return "http: server gave HTTP response to HTTPS client"
        return "tls: first record does not look like a TLS handshake"
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(cause, OSError) and cause.errno:
        reason = os.strerror(cause.errno).lower()
        return f"dial tcp {host}:{port}: connect: {reason}"
    if isinstance(cause, OSError) and cause.errno == errno.ECONNRESET:
        return "read: connection reset by peer"
    return "EOF"


def _certificate_text(error: ssl.SSLCertVerificationError, host: str) -> str:
    if error.verify_code == 10:  # X509_V_ERR_CERT_HAS_EXPIRED
        return "x509: certificate has expired or is not yet valid"
    if error.verify_code in (62, 64):  # hostname or address mismatch
        return f"x509: certificate is not valid for {host}"
    return "x509: certificate signed by unknown authority"


async def _speaks_http(host: str, port: int) -> bool:
    """Whether a server answers a TLS greeting with an HTTP status line."""
    writer = None
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 2)
        writer.write(_TLS_GREETING)
        return (await asyncio.wait_for(reader.read(5), 2)) == b"HTTP/"
    except (OSError, asyncio.TimeoutError):
        return False
    finally:
        if writer is not None:
            writer.close()
