# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options that say how the sources of models are read; kept in step with _argspec.source_argument_spec by a test."""

    DOCUMENTATION = r"""
options:
  insecure_registries:
    description:
      - V(HOST:PORT) of registries that speak plain HTTP, as in the names of their models. HTTP is used for models of these, and
        HTTPS for all others, by the server when it pulls and by this module when it reads a manifest.
    type: list
    elements: str
    default: []
  registry_ca_path:
    description:
      - PEM file on the host where the module runs, with the CA certificates that are trusted for the sources of models instead
        of the system's, when this module reads a manifest.
      - For pulls, the CA must be in the trust store of the Ollama server.
    type: path
"""
