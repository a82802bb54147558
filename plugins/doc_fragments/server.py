# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options that say how an Ollama server is reached; kept in step with _argspec.server_argument_spec by a test."""

    DOCUMENTATION = r"""
options:
  url:
    description:
      - Address of the Ollama server, V(http://HOST:PORT) or V(https://HOST:PORT), with a path if a gateway wants one.
      - If not given, the environment variable E(ALCHEMORSEL_OLLAMA_URL) of the host where the module runs is used.
      - A loopback address is never reached through the proxy of the environment.
      - A server that listens on loopback answers only to host names it knows; use V(127.0.0.1) or V(localhost) for it.
    type: str
    default: http://127.0.0.1:11434
  api_key:
    description:
      - Key for a gateway in front of the server, sent as C(Authorization) header of type C(Bearer). Ollama itself has no authentication.
      - If not given, the environment variable E(ALCHEMORSEL_OLLAMA_API_KEY) of the host where the module runs is used.
    type: str
  ca_path:
    description:
      - PEM file on the host where the module runs, with the CA certificates that are trusted for O(url) instead of the system's.
    type: path
  client_cert:
    description:
      - PEM file on the host where the module runs, with the certificate shown to a gateway. It may contain its key.
    type: path
  client_key:
    description:
      - PEM file on the host where the module runs, with the key of O(client_cert).
    type: path
  validate_certs:
    description:
      - Whether the certificate of O(url) is verified. V(false) makes the connection open to interception.
    type: bool
    default: true
  timeout:
    description:
      - Seconds to wait for a connection and for the answer to one request. Pulls have limits of their own.
    type: float
    default: 30.0
requirements:
  - Python 3.9 or newer
  - requests
"""
