#!/usr/bin/python
# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ollama_health
short_description: Prove that an Ollama server answers, has its models, and infers
version_added: 0.1.0
author: Alchemorsel contributors (@alchemorsel)
description:
  - Checks a server up to a level, waits for it with a deadline if wanted, and fails with one sentence if it is not healthy.
  - Each check comes with its value, threshold, reason and remedy.
  - Runs in check mode as it does otherwise. It leaves the server as it was, a model that was not loaded is unloaded again
    after it was tried, and one that was loaded leaves memory when it would have done anyway.
  - To get the result of an unhealthy server without a failed task, use C(failed_when) as the examples show.
extends_documentation_fragment:
  - alchemorsel.ollama.server
  - alchemorsel.ollama.inference
  - alchemorsel.ollama.outside
  - alchemorsel.ollama.attributes
  - alchemorsel.ollama.attributes.info_module
  - alchemorsel.ollama.attributes.actiongroup_ollama
options:
  level:
    description:
      - V(live) asks for the version, which is one request. The server must be Ollama, and no older than O(min_version), and
        with https its certificate must last.
      - V(ready) also looks for the declared O(models), each by one request of its own, and at free space and the cloud
        switch if so wanted.
      - V(inference) also lets a model answer, by which a hung or killed runner shows, which no other request notices.
    type: str
    choices: [live, ready, inference]
    default: ready
  min_version:
    description: The oldest server that is accepted. Those below the default can be made to disclose memory (CVE-2026-7482).
    type: str
    default: 0.17.1
  min_certificate_days:
    description:
      - Days that the certificate of an https O(url) must last. It is read from the connection, also if O(validate_certs=false).
      - One that has ended is a failed connection, unless O(validate_certs=false).
    type: int
    default: 14
  models:
    description:
      - The models that must be there. Each is a name, or a dictionary with C(name) and, optionally, C(digest).
      - Other keys of O(alchemorsel.ollama.ollama_model#module:models) are ignored, and so are entries with C(state=absent),
        so that the list of that module can be given as it is.
    type: list
    elements: raw
    default: []
  require_cloud_disabled:
    description: Whether the server must have its cloud models switched off.
    type: bool
    default: false
  store_path:
    description: The server's model directory as the host where the module runs sees it. If given, its free space is checked.
    type: path
  min_free:
    description: Free space that O(store_path) must have, in bytes or with a unit, such as V(20G).
    type: bytes
    default: 1G
  wait_timeout:
    description:
      - Time to wait for a healthy server, in seconds. V(0) asks once.
      - What time does not cure, such as an old version, ends the wait at once.
    type: float
    default: 0.0
  wait_sleep:
    description: Pause between two attempts, in seconds.
    type: float
    default: 2.0
seealso:
  - module: alchemorsel.ollama.ollama_model
  - module: alchemorsel.ollama.gpu_info
"""

EXAMPLES = r"""
- name: Wait until the server answers
  alchemorsel.ollama.ollama_health:
    url: http://127.0.0.1:11435
    level: live
    wait_timeout: 60

- name: Prove that the declared models are there, and one by its digest
  alchemorsel.ollama.ollama_health:
    url: http://127.0.0.1:11435
    models:
      - llama3.2:3b
      - name: mistral:7b
        digest: sha256:f974a74358d62a017b37c6f424fcdf2744ca02926c4f952513ddf474b2fa5091

- name: Prove that a model answers on the GPU
  alchemorsel.ollama.ollama_health:
    url: http://127.0.0.1:11435
    level: inference
    inference_models: [llama3.2:3b]
    gpu: required
    container: ollama
    min_tokens_per_second: 20
    max_first_token_seconds: 2
    min_context_length: 8192

- name: Prove that a model gives a sensible answer
  alchemorsel.ollama.ollama_health:
    url: http://127.0.0.1:11435
    level: inference
    prompt: "What is two plus two? Answer with the number alone."
    expect: "\\b(4|four)\\b"
    max_tokens: 32

- name: Prove that a server without a container is on the GPU, and tell kills for memory
  alchemorsel.ollama.ollama_health:
    level: inference
    gpu: required
    gpu_witness: log
    log_path: /var/log/ollama.log
    cgroup_path: /sys/fs/cgroup/system.slice/ollama.service

- name: Have a certificate renewed a month before it ends
  alchemorsel.ollama.ollama_health:
    url: https://ollama.example.com
    level: live
    min_certificate_days: 30

- name: Look at the health without failing for an unhealthy server
  alchemorsel.ollama.ollama_health:
    url: http://127.0.0.1:11435
  register: health
  failed_when: health.healthy is not defined
"""

RETURN = r"""
msg:
  description: The outcome in one sentence.
  returned: always
  type: str
  sample: "http://127.0.0.1:11435 is healthy: Ollama 0.32.15, 2 models ready, llama3.2:3b answered in 0.21 s"
healthy:
  description: Whether no check failed. Not there if the check could not be made, as with a wrong option.
  returned: if the server was asked
  type: bool
verdict:
  description: The word for the first failed check, or V(healthy).
  returned: if the server was asked
  type: str
  choices:
    - healthy
    - unreachable
    - tls_failure
    - no_answer
    - not_ollama
    - refused
    - old_version
    - gpu_not_found
    - certificate_expiring
    - low_space
    - cloud_on
    - model_missing
    - wrong_digest
    - model_broken
    - busy
    - not_loaded
    - loading
    - out_of_memory
    - runner_failed
    - hung
    - slow
    - empty_answer
    - unexpected_answer
    - short_context
    - on_cpu
    - gpu_lost
    - gpu_unproven
    - bad_answer
checks:
  description: Everything that was looked at, in order.
  returned: if the server was asked
  type: list
  elements: dict
  contains:
    name:
      description: What was checked.
      type: str
      choices:
        - tcp
        - tls
        - http
        - api
        - version
        - certificate
        - gpus
        - memory
        - space
        - cloud
        - model
        - load
        - answer
        - expect
        - seconds
        - first_token
        - tokens_per_second
        - context_length
        - gpu
        - gpu_witness
    target:
      description: The model, path or cgroup that was checked, or V(null).
      type: str
    status:
      description: Outcome.
      type: str
      choices: [ok, failed, warning, skipped]
    verdict:
      description: The word for the failure, or V(null).
      type: str
    value:
      description: What was found.
      type: raw
    threshold:
      description: What was wanted.
      type: raw
    unit:
      description: Unit of RV(checks[].value) and RV(checks[].threshold), or V(null).
      type: str
    reason:
      description: What was found, in words.
      type: str
    remedy:
      description: What to do about it, or V(null).
      type: str
version:
  description: The server's version, or V(null).
  returned: if the server was asked
  type: str
  sample: 0.32.15
server:
  description: The header C(Server) of the last answer, or V(null). Ollama sends none, a test server or proxy names itself.
  returned: if the server was asked
  type: str
models:
  description: The models on the server, with C(name), C(digest) and C(size) (bytes). Empty at O(level=live).
  returned: if the server was asked
  type: list
  elements: dict
runs:
  description:
    - The models that answered, with their figures. Times in seconds, sizes in bytes.
    - C(durations) are the server's own, in nanoseconds; C(tokens_per_second) is C(tokens) by C(durations.eval).
  returned: if the server was asked
  type: list
  elements: dict
  sample:
    - model: llama3.2:3b
      kind: generate
      was_loaded: true
      load_seconds: null
      seconds: 0.21
      seconds_to_first_token: 0.05
      tokens: 16
      tokens_per_second: 98.4
      prompt_tokens: 31
      answer_length: 42
      durations: {total: 208112077, load: 1802333, prompt_eval: 41200110, eval: 162601625}
      size: 3367856128
      size_vram: 3367856128
      context_length: 4096
attempts:
  description: How often the server was asked.
  returned: if the server was asked
  type: int
waited_seconds:
  description: How long it took altogether, in seconds.
  returned: if the server was asked
  type: float
"""

from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _health, _health_options, _probe
from ansible_collections.alchemorsel.ollama.plugins.module_utils._argspec import (
    client_from_params,
    fail,
    server_argument_spec,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import OllamaError
from ansible_collections.alchemorsel.ollama.plugins.module_utils._verdicts import HEALTHY, WARNING


def argument_spec() -> dict[str, Any]:
    return {
        **server_argument_spec(),
        **_health_options.health_argument_spec(),
        **_health_options.inference_argument_spec(),
        **_health_options.outside_argument_spec(),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    params = module.params
    try:
        question = _health_options.question_from_params(params)
        client = client_from_params(params)
    except OllamaError as error:
        fail(module, error)

    def ask(request_timeout: float) -> _probe.Report:
        client.timeout = request_timeout
        return _probe.probe(client, question)

    waits = (params["timeout"], params["wait_timeout"], params["wait_sleep"])
    report, attempts, waited = _probe.wait_until_healthy(ask, *waits)
    healthy = report.verdict == HEALTHY
    result: dict[str, Any] = {
        "changed": False,
        "msg": _health.sentence(client.url, report.version, report.checks, params["wait_timeout"], attempts),
        "healthy": healthy,
        "verdict": report.verdict,
        "checks": [asdict(check) for check in report.checks],
        "version": report.version,
        "server": client.server_header,
        "models": [{key: model.get(key) for key in ("name", "digest", "size")} for model in report.models],
        "runs": [asdict(run) for run in report.runs],
        "attempts": attempts,
        "waited_seconds": round(waited, 3),
    }
    for check in report.checks:
        if check.status == WARNING:
            module.warn(f"{client.url}: {check.reason}; {check.remedy}")
    if healthy:
        module.exit_json(**result)
    module.fail_json(**result)


if __name__ == "__main__":
    main()
