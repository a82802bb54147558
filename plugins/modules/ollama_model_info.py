#!/usr/bin/python
# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ollama_model_info
short_description: The models of an Ollama server, loaded ones and outdated ones
version_added: 0.1.0
description:
  - Returns the version of an Ollama server, its models, which of them are loaded, and, if asked, which are outdated.
  - Only reads. Whether a model is outdated is told by the manifest at its source, without pulling anything.
author:
  - Alchemorsel contributors (@alchemorsel)
extends_documentation_fragment:
  - alchemorsel.ollama.server
  - alchemorsel.ollama.source
  - alchemorsel.ollama.attributes
  - alchemorsel.ollama.attributes.info_module
  - alchemorsel.ollama.attributes.actiongroup_ollama
attributes:
  platform:
    platforms: posix
options:
  name:
    description:
      - Names of the models to return, in any form that Ollama takes. Without a tag, V(latest) is meant.
      - If not given, all models are returned.
    type: list
    elements: str
  details:
    description:
      - Whether the server is asked for the details of each model, one request each.
    type: bool
    default: false
  check_updates:
    description:
      - Whether the source of each model is asked for its manifest, one request each, up to 8 at a time.
      - The host where the module runs asks, with the proxies of its environment.
    type: bool
    default: false
seealso:
  - module: alchemorsel.ollama.ollama_model
  - module: alchemorsel.ollama.ollama_health
"""

EXAMPLES = r"""
- name: All models
  alchemorsel.ollama.ollama_model_info:
    url: http://127.0.0.1:11435
  register: ollama

- name: One model with template, system prompt and parameters
  alchemorsel.ollama.ollama_model_info:
    url: http://127.0.0.1:11435
    name: llama3.2:3b
    details: true

- name: Look for updates
  alchemorsel.ollama.ollama_model_info:
    url: http://127.0.0.1:11435
    check_updates: true
    insecure_registries:
      - registry.example:5000
    registry_ca_path: /etc/ssl/company-ca.pem
  register: ollama

- name: Look for updates at the mirror that models are fetched from
  alchemorsel.ollama.ollama_model_info:
    url: http://127.0.0.1:11435
    check_updates: true
    registry_mirror: mirror.example:5000

- name: Show outdated models
  ansible.builtin.debug:
    msg: "{{ ollama.outdated }}"
"""

RETURN = r"""
version:
  description: Version of the server.
  returned: success
  type: str
  sample: 0.32.15
models:
  description: Models of the server, sorted by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name as the server lists it.
      type: str
      returned: success
    digest:
      description: Digest of the manifest.
      type: str
      returned: success
    size:
      description: Bytes of all layers, shared ones counted in every model.
      type: int
      returned: success
    modified_at:
      description: When the manifest was written. A pull renews it even if nothing changed.
      type: str
      returned: success
    remote:
      description: Whether it is a cloud model, which runs at ollama.com.
      type: bool
      returned: success
    format:
      description: Format of the weights, such as V(gguf).
      type: str
      returned: success
    family:
      description: Architecture.
      type: str
      returned: success
    parameter_size:
      description: Number of parameters.
      type: str
      returned: success
    quantization:
      description: Quantization of the weights.
      type: str
      returned: success
    parent:
      description: What the model was made from, where the server tells.
      type: str
      returned: success
    capabilities:
      description: What the model can do. Servers below version 0.30.0 tell it only with O(details=true), else it is V(null).
      type: list
      elements: str
      returned: success
    show:
      description: Template, system prompt, parameters, license, Modelfile, capabilities and metadata; V(null) if the model is broken.
      type: dict
      returned: O(details=true)
    outdated:
      description: Whether the source serves another digest, V(null) if the source cannot tell.
      type: bool
      returned: O(check_updates=true)
    source_digest:
      description: Digest that the source serves.
      type: str
      returned: O(check_updates=true)
    source_problem:
      description: Why the source cannot tell.
      type: str
      returned: O(check_updates=true)
  sample:
    - name: llama3.2:3b
      digest: sha256:a80c4f17acd55265feec403c7aef86be0c25983ab279d83f3bcd3abbcb5b8b72
      size: 2019393189
      family: llama
running:
  description: Loaded models, sorted by name; V(null) if the server does not tell, because a runner hangs.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name under which the model was loaded. Models that share their weights share one runner.
      type: str
      returned: success
    digest:
      description: Digest of the manifest.
      type: str
      returned: success
    size:
      description: Bytes of memory.
      type: int
      returned: success
    size_vram:
      description: Bytes of it on GPUs.
      type: int
      returned: success
    context_length:
      description: Context in tokens.
      type: int
      returned: success
    expires_at:
      description: When it is unloaded, centuries ahead for a pinned model.
      type: str
      returned: success
    pinned:
      description: Whether it stays until it is unloaded by a request.
      type: bool
      returned: success
  sample:
    - name: llama3.2:3b
      digest: sha256:a80c4f17acd55265feec403c7aef86be0c25983ab279d83f3bcd3abbcb5b8b72
      size: 3367856128
      size_vram: 3367856128
      context_length: 4096
      expires_at: "2318-12-31T23:47:16.854775807Z"
      pinned: true
outdated:
  description: Names of the models whose source serves another digest.
  returned: O(check_updates=true)
  type: list
  elements: str
  sample: []
missing:
  description: Models in O(name) that the server does not have.
  returned: success
  type: list
  elements: str
  sample: []
error_kind:
  description: Kind of the failure, such as V(ServerUnreachable), V(NotOllama) or V(InvalidInput).
  returned: failure
  type: str
  sample: ServerUnreachable
url:
  description: Address that was asked when it failed.
  returned: failure, where there was a request
  type: str
  sample: http://127.0.0.1:11435/api/version
http_status:
  description: Status of the answer.
  returned: failure, where there was an answer
  type: int
  sample: 403
error:
  description: The server's own words.
  returned: failure, where there were any
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemorsel.ollama.plugins.module_utils._argspec import (
    client_from_params,
    fail,
    registry_from_params,
    server_argument_spec,
    source_argument_spec,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import OllamaError
from ansible_collections.alchemorsel.ollama.plugins.module_utils._info import gather


def argument_spec() -> dict[str, Any]:
    """Return the module's options."""
    return {
        **server_argument_spec(),
        **source_argument_spec(),
        "name": {"type": "list", "elements": "str"},
        "details": {"type": "bool", "default": False},
        "check_updates": {"type": "bool", "default": False},
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    params = module.params
    try:
        result, warnings = gather(
            client_from_params(params),
            registry_from_params(params),
            names=params["name"],
            details=params["details"],
            check_updates=params["check_updates"],
        )
    except OllamaError as exc:
        fail(module, exc)
    for text in warnings:
        module.warn(text)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
