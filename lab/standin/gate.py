# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may speak to the server: the checks of Host and Origin."""

from __future__ import annotations

import fnmatch
import ipaddress
import socket
from urllib.parse import urlsplit

_ORIGIN_HOSTS = ("localhost", "127.0.0.1", "0.0.0.0")
_ORIGIN_SCHEMES = ("app", "file", "tauri", "vscode-webview", "vscode-file")


def _host_only(value: str) -> str:
    if value.startswith("["):
        return value[1:].partition("]")[0]
    return value.partition(":")[0] if value.count(":") == 1 else value


def host_allowed(header: str, bind: str) -> bool:
    """Whether a request with this Host header is served by a server that listens on `bind`."""
    if not _is_loopback_bind(bind):
        return True
    host = _host_only(header).lower()
    if not host or host == "localhost" or host == socket.gethostname().lower():
        return True
    if host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_private or address.is_unspecified


def _is_loopback_bind(bind: str) -> bool:
    try:
        return ipaddress.ip_address(bind).is_loopback
    except ValueError:
        return bind == "localhost"


def origin_allowed(origin: str, host: str, extra: tuple[str, ...]) -> bool:
    """Whether a request with this Origin header (empty: none) is served."""
    if not origin or "*" in extra:
        return True
    parts = urlsplit(origin)
    if parts.netloc and parts.netloc == host:
        return True
    if parts.scheme in ("http", "https") and parts.hostname in _ORIGIN_HOSTS:
        return True
    if parts.scheme in _ORIGIN_SCHEMES:
        return True
    return any(fnmatch.fnmatchcase(origin, pattern) for pattern in extra)
