#!/usr/bin/python
# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ollama_model
short_description: The set of models of an Ollama server
version_added: 0.1.0
description:
  - Makes an Ollama server have the declared models, by pulling what is missing or outdated, creating models from files and from others,
    switching aliases, and removing what is not wanted.
  - Whether something changed is decided by the digests of the models before and after, and by what is in memory.
  - Models are fetched first, in the order of their declaration, then created from files. Then others are created from them and aliases are
    switched, each after what it needs. Then models are unloaded and loaded. Models are removed last. All that comes after fetches and
    files is done only if nothing has failed before.
    A model is unloaded before it is removed.
  - What an interrupted run left on the server is removed, and a model that it had replaced without coming to its end gets back what
    it had, also for models that are no longer declared.
  - Where nothing is to be done, the server gets one single request, one more if O(models[].loaded) or O(models[].keep_alive) is used, and one
    for each created model and each base of such models.
  - Models with broken files are repaired where they are seen, which needs O(store_path) or O(verify). What cannot fit on the disk or into
    the memory is not begun, see O(min_free) and O(memory_limit).
  - This module is not aware of loops. Declare all models in one task, above all with O(exclusive).
author:
  - Alchemorsel contributors (@alchemorsel)
extends_documentation_fragment:
  - alchemorsel.ollama.server
  - alchemorsel.ollama.source
  - alchemorsel.ollama.progress
  - alchemorsel.ollama.models
  - alchemorsel.ollama.removal
  - alchemorsel.ollama.pulls
  - alchemorsel.ollama.store
  - alchemorsel.ollama.memory
  - alchemorsel.ollama.state
  - alchemorsel.ollama.attributes
  - alchemorsel.ollama.attributes.actiongroup_ollama
attributes:
  check_mode:
    support: full
    details:
      - The sources of missing and outdated models are asked for their manifests; nothing is pulled.
      - A digest that only the run can tell is returned as V(unknown) and counts as a change.
      - Files of models are hashed, nothing is uploaded and nothing recorded.
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - With O(models[].state=latest) and a source that the host cannot read, each run pulls, which renews the modification time of
        a model that is current already. C(changed) stays V(false) then, and a warning says so.
  platform:
    platforms: posix
options:
  allow_vulnerable_version:
    description:
      - Whether a server below version 0.17.1, which is open to CVE-2026-7482, is worked with. It is checked when there is something to do.
    type: bool
    default: false
notes:
  - Only one run at a time changes a server, see O(lock_timeout). Runs on other machines, and pulls that somebody starts otherwise, cannot
    be seen; let all runs for a server work on one and the same machine.
seealso:
  - module: alchemorsel.ollama.ollama_model_info
  - module: alchemorsel.ollama.ollama_health
"""

EXAMPLES = r"""
- name: Two models
  alchemorsel.ollama.ollama_model:
    url: http://127.0.0.1:11435
    name: [llama3.2:3b, nomic-embed-text]
    state: present

- name: Exactly these models and nothing else
  alchemorsel.ollama.ollama_model:
    url: http://127.0.0.1:11435
    models:
      - name: llama3.2:3b
      - {name: mistral:7b, state: latest}
      - name: codellama:7b
        digest: sha256:8fdf8f752f6e80de33e82f381aba784c025982752cd1ae9377add66449d2225f
      - name: assistant
        from: llama3.2:3b
        system: You answer in one sentence.
        parameters: {temperature: 0.2, num_ctx: 8192, stop: ["###"]}
      - name: chat
        copy_of: assistant
      - {name: phi3, state: absent}
    exclusive: true
    protect: [experiments/*]
    max_delete: 2

- name: Which models are in memory, so that no request waits for a load
  alchemorsel.ollama.ollama_model:
    url: http://127.0.0.1:11435
    models:
      - {name: llama3.2:3b, loaded: true}
      - name: coder
        from: codellama:7b
        parameters: {num_ctx: 16384}
        keep_alive: -1
      - {name: mistral:7b, loaded: false}
    load_timeout: 900

- name: A model from a file of the host
  alchemorsel.ollama.ollama_model:
    url: http://127.0.0.1:11435
    models:
      - name: team/assistant:q4
        gguf: /srv/ollama/preload/assistant-q4_k_m.gguf
        system: You answer in one sentence.
        parameters: {num_ctx: 8192}
    state_dir: /var/lib/alchemorsel-ollama

- name: No model at all
  alchemorsel.ollama.ollama_model:
    models: []
    exclusive: true
    allow_empty: true
    max_delete: 100
    prune_local: true

- name: A model from a registry that speaks plain HTTP, over a slow line
  alchemorsel.ollama.ollama_model:
    name: registry.example:5000/team/assistant:v2
    insecure_registries: [registry.example:5000]
    pull_timeout: 28800
    stall_timeout: 25
    progress_interval: 30
    retries: 10

- name: Many models from a mirror, known under their own names, while another play may be at work on the server
  alchemorsel.ollama.ollama_model:
    name: "{{ small_models }}"
    state: latest
    registry_mirror: mirror.example:5000
    insecure_registries: [mirror.example:5000]
    parallel: 6
    lock_timeout: 7200

- name: What would an update bring, through a gateway with TLS and a key, from a registry with a private CA?
  alchemorsel.ollama.ollama_model:
    url: https://ollama.example.com
    api_key: "{{ vault_ollama_key }}"
    ca_path: /etc/ssl/company-ca.pem
    client_cert: /etc/ssl/host.pem
    client_key: /etc/ssl/private/host.key
    validate_certs: true
    timeout: 60
    name: models.example.com/team/assistant:v2
    state: latest
    registry_ca_path: /etc/ssl/company-ca.pem
  check_mode: true
  diff: true

- name: Broken models are repaired, and nothing is begun that does not fit on the disk or into the container's memory
  alchemorsel.ollama.ollama_model:
    url: http://127.0.0.1:11435
    name: llama3.2:3b
    store_path: /var/lib/ollama/models
    verify: true
    min_free: 20G
    memory_limit: 8G
    allow_vulnerable_version: true  # a server that cannot be updated yet
    progress: false
  become: true
"""

RETURN = r"""
models:
  description: The server's models afterwards, sorted by name. In check mode as they would be.
  returned: success, and failures after the first action
  type: list
  elements: dict
  sample:
    - {name: llama3.2:3b, digest: sha256:a80c4f17acd55265feec403c7aef86be0c25983ab279d83f3bcd3abbcb5b8b72, size: 2019393189}
actions:
  description: What was done, in order. In check mode what would be done.
  returned: success, and failures after the first action
  type: list
  elements: dict
  contains:
    name:
      description: Name of the model as the server lists it.
      type: str
      returned: success
    action:
      description: V(pull) of a missing model, V(update) of one that is there, V(repair) of one with broken files, V(create) of one
        from a file or from another, V(copy) to an alias, V(load) into memory for good, V(unload) out of it, V(delete), V(restore) of
        a model that nobody declares and that an interrupted run had replaced, or V(cleanup) of what such a run left behind.
      type: str
      returned: success
    reason:
      description: Why.
      type: str
      returned: success
    digest_before:
      description: Digest before, V(null) if the model was not there.
      type: str
      returned: success
    digest_after:
      description: Digest afterwards, V(null) if the model is gone, V(unknown) in check mode if only a run can tell.
      type: str
      returned: success
    bytes:
      description: Size of the model in bytes, as the server lists it, before a creation from a file that of the file. Layers and
        files that were there already were not transferred.
      type: int
      returned: success
    seconds:
      description: Seconds it took, V(0) in check mode.
      type: float
      returned: success
    changed:
      description: Whether the digest changed, or broken files were made whole. For V(load) and V(unload), whether there was something
        to be done.
      type: bool
      returned: success
kept:
  description: Undeclared models that O(exclusive) did not remove because they could not be had again.
  returned: success
  type: list
  elements: dict
  sample: [{name: experiment:latest, reason: its source no longer has it}]
error_kind:
  description: Kind of the failure, such as V(ServerUnreachable), V(NotOllama), V(InvalidInput), V(SourceNotFound) or V(DiskFull).
    A load fails with V(LoadTimeout), V(NotEnoughMemory), V(RunnerDied), V(Evicted) (it was loaded, but another declared one left for it), V(ServerBusy),
    or else V(LoadFailed).
  returned: failure
  type: str
  sample: SourceNotFound
url:
  description: Address that was asked when it failed.
  returned: failure, where there was a request
  type: str
  sample: http://127.0.0.1:11435/api/pull
http_status:
  description: Status of the answer.
  returned: failure, where there was an answer
  type: int
  sample: 404
error:
  description: The server's own words.
  returned: failure, where there were any
  type: str
  sample: "pull model manifest: file does not exist"
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemorsel.ollama.plugins.module_utils._argspec import (
    client_from_params,
    fail,
    memory_argument_spec,
    models_argument_spec,
    progress_argument_spec,
    pulls_argument_spec,
    registry_from_params,
    removal_argument_spec,
    server_argument_spec,
    source_argument_spec,
    state_argument_spec,
    store_argument_spec,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import OllamaError
from ansible_collections.alchemorsel.ollama.plugins.module_utils._quick import Look, look


def argument_spec() -> dict[str, Any]:
    """Return the module's options."""
    return {
        **server_argument_spec(),
        **source_argument_spec(),
        **progress_argument_spec(),
        **models_argument_spec(),
        **removal_argument_spec(),
        **pulls_argument_spec(),
        **store_argument_spec(),
        **memory_argument_spec(),
        **state_argument_spec(),
        "allow_vulnerable_version": {"type": "bool", "default": False},
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=argument_spec(),
        mutually_exclusive=[("models", "name")],
        required_one_of=[("models", "name")],
        supports_check_mode=True,
    )
    try:
        seen = look(module.params, diff=module._diff)
    except OllamaError as exc:
        fail(module, exc, changed=False)
    if seen.result is not None:
        module.exit_json(**seen.result)
    work(module, seen)


def work(module: AnsibleModule, seen: Look) -> None:
    """Find out what is to be done, and do it.

    :param seen: what the server said just now
    """
    # Late: most runs find nothing to do, and the host compiles every file anew for each of them.
    from ansible_collections.alchemorsel.ollama.plugins.module_utils._converge import converge
    from ansible_collections.alchemorsel.ollama.plugins.module_utils._progress import ProgressFile
    from ansible_collections.alchemorsel.ollama.plugins.module_utils._set import Result, wanted_from_params

    result = Result()
    try:
        wanted = wanted_from_params(module.params)
        registry = registry_from_params(module.params)
        client = client_from_params(module.params)
        with ProgressFile(module.params["_progress_file"]) as progress:
            way = {"check_mode": module.check_mode, "defer": module.params["_defer"], "known": module.params["_offers"]}
            converge(client, registry, wanted, result, progress=progress, first=seen, **way)
    except OllamaError as exc:
        for text in result.warnings:
            module.warn(text)
        fail(module, exc, **result.as_result(diff=module._diff))
    for text in result.warnings:
        module.warn(text)
    module.exit_json(**result.as_result(diff=module._diff))


if __name__ == "__main__":
    main()
