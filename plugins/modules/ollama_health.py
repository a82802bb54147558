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
  - alchemorsel.ollama.attributes
  - alchemorsel.ollama.attributes.info_module
  - alchemorsel.ollama.attributes.actiongroup_ollama
options:
  level:
    description:
      - V(live) asks for the version, which is one request. The server must be Ollama, and no older than O(min_version).
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
  inference_models:
    description:
      - The models that must answer at O(level=inference).
      - If empty, one is chosen, a declared one that is loaded, else any that is loaded, else the smallest declared one,
        else the smallest there is; those that only embed come last.
    type: list
    elements: str
    default: []
  allow_load:
    description:
      - Whether a model may be loaded for the check while others are loaded, which can evict one of them.
      - Where no model is loaded, one is loaded in any case.
    type: bool
    default: false
  load_timeout:
    description:
      - Time limit for loading a model, in seconds. Large models from slow disks need minutes.
      - The server gives up a load whose client leaves, so a limit that is too short makes the load fail.
    type: float
    default: 300.0
  max_seconds:
    description: Time limit for the answer of a loaded model to a short prompt, in seconds.
    type: float
    default: 30.0
  min_tokens_per_second:
    description: Rate that a model must reach by the server's own counters, in tokens per second. Not judged if not given.
    type: float
  gpu:
    description:
      - V(required) fails where a model runs on the CPU, and warns where a part of it does, by the server's own account.
      - V(any) only tells.
    type: str
    choices: [any, required]
    default: any
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
    min_tokens_per_second: 20

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
    - not_ollama
    - refused
    - old_version
    - low_space
    - cloud_on
    - model_missing
    - wrong_digest
    - model_broken
    - busy
    - not_loaded
    - loading
    - runner_failed
    - hung
    - slow
    - empty_answer
    - on_cpu
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
      choices: [api, version, space, cloud, model, load, answer, seconds, first_token, tokens_per_second, gpu]
    target:
      description: The model or path that was checked, or V(null).
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
  description: The models that answered, with their figures. Times in seconds, sizes in bytes.
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
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _health, _probe
from ansible_collections.alchemorsel.ollama.plugins.module_utils._argspec import (
    client_from_params,
    fail,
    server_argument_spec,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidInput, OllamaError
from ansible_collections.alchemorsel.ollama.plugins.module_utils._inference import Limits
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_name


def argument_spec() -> dict[str, Any]:
    return {
        **server_argument_spec(),
        "level": {"type": "str", "choices": list(_probe.LEVELS), "default": "ready"},
        "min_version": {"type": "str", "default": "0.17.1"},
        "models": {"type": "list", "elements": "raw", "default": []},
        "require_cloud_disabled": {"type": "bool", "default": False},
        "store_path": {"type": "path"},
        "min_free": {"type": "bytes", "default": "1G"},
        "inference_models": {"type": "list", "elements": "str", "default": []},
        "allow_load": {"type": "bool", "default": False},
        "load_timeout": {"type": "float", "default": 300.0},
        "max_seconds": {"type": "float", "default": 30.0},
        "min_tokens_per_second": {"type": "float", "no_log": False},
        "gpu": {"type": "str", "choices": ["any", "required"], "default": "any"},
        "wait_timeout": {"type": "float", "default": 0.0},
        "wait_sleep": {"type": "float", "default": 2.0},
    }


def question_from_params(params: dict[str, Any]) -> _probe.Question:
    """Return the question; raises InvalidInput for options that cannot work."""
    for option in ("load_timeout", "max_seconds", "wait_sleep"):
        if params[option] <= 0:
            raise InvalidInput(f"{option} is {params[option]:g}; wanted a number of seconds above 0")
    if params["wait_timeout"] < 0:
        raise InvalidInput(f"wait_timeout is {params['wait_timeout']:g}; wanted 0 or a number of seconds")
    if not _health.version_key(params["min_version"]):
        raise InvalidInput(f"min_version is '{params['min_version']}'; wanted a version such as 0.17.1")
    return _probe.Question(
        level=params["level"],
        min_version=params["min_version"],
        models=tuple(_health.wanted_models(params["models"])),
        require_cloud_disabled=params["require_cloud_disabled"],
        store_path=params["store_path"],
        min_free=params["min_free"],
        inference_models=tuple(parse_name(name) for name in params["inference_models"]),
        allow_load=params["allow_load"],
        limits=Limits(
            load_timeout=params["load_timeout"],
            max_seconds=params["max_seconds"],
            min_tokens_per_second=params["min_tokens_per_second"],
            gpu_required=params["gpu"] == "required",
        ),
    )


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    params = module.params
    try:
        question = question_from_params(params)
        client = client_from_params(params)
    except OllamaError as error:
        fail(module, error)

    def ask(request_timeout: float) -> _probe.Report:
        client.timeout = request_timeout
        return _probe.probe(client, question)

    waits = (params["timeout"], params["wait_timeout"], params["wait_sleep"])
    report, attempts, waited = _probe.wait_until_healthy(ask, *waits)
    healthy = report.verdict == _health.HEALTHY
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
        if check.status == _health.WARNING:
            module.warn(f"{client.url}: {check.reason}; {check.remedy}")
    if healthy:
        module.exit_json(**result)
    module.fail_json(**result)


if __name__ == "__main__":
    main()
