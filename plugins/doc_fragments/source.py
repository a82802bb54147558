# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options that say how the sources of models are read; kept in step with _argspec.source_argument_spec by a test."""

    DOCUMENTATION = r"""
options:
  registry_mirror:
    description:
      - V(HOST) or V(HOST:PORT) of a mirror of C(registry.ollama.ai). Models whose names do not begin with a registry are fetched from it
        and from nowhere else, and it is asked for their manifests. Other models are fetched as their names say.
      - The server has them under their own names, with the digest that they have at the mirror, which is that of C(registry.ollama.ai)
        if the mirror keeps manifests as they are.
      - While such a model is fetched, the server has it under a name that begins with the mirror, too. A later run removes what an interrupted one
        left of that. A model with such a name is left alone if it is declared itself or none is declared that would be fetched under that
        name.
      - A mirror that speaks plain HTTP belongs into O(insecure_registries), too. The CA of one with a private certificate belongs into
        O(registry_ca_path) and into the trust store of the Ollama server.
    type: str
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
