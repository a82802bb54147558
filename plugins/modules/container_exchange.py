#!/usr/bin/python
# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: container_exchange
short_description: Put one container of an Ollama server in the place of another, and back
version_added: 0.1.0
author: Alchemorsel contributors (@alchemorsel)
description:
  - Exchanges the container that serves for one that was created beforehand, with as little time without a server as the engine needs.
  - The old container is renamed and kept, stopped. If the new server does not answer, the old container is put back at once and the module fails.
  - Containers are known by their names, by which a run that was killed at any point can be made good with O(state=restored).
  - The role P(alchemorsel.ollama.ollama#role) uses it for upgrades.
extends_documentation_fragment:
  - alchemorsel.ollama.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  name:
    description: Name of the container that serves.
    type: str
    required: true
  state:
    description:
      - V(started) starts the container unless it runs, and waits for its server. It fails as soon as the container has ended.
      - V(exchanged) waits for those who wait for an answer, stops the container, renames it to O(aside), gives its name to O(replacement), starts that and
        waits for its server. Where O(replacement) is not there, and O(name) and O(aside) are, this is done already.
      - V(restored) removes the container if O(aside) is there, and gives that its name back. Without O(aside) it starts the container unless it runs.
    type: str
    choices: [started, exchanged, restored]
    default: started
  replacement:
    description: Name of the created container that takes the place. Required for O(state=exchanged).
    type: str
  aside:
    description: Name under which the old container is kept. Required for O(state=exchanged) and O(state=restored).
    type: str
  port:
    description: The server's port in the container. It is asked at the address where the engine publishes it.
    type: int
    default: 11434
  drain_timeout:
    description:
      - Seconds to wait, before the container is stopped, until no client waits for an answer.
      - A connection that is open and idle does not count. Connections are looked at in the container's network, with C(nsenter) and C(ss).
    type: float
    default: 0.0
  stop_timeout:
    description: Seconds that a server has to end before it is killed.
    type: int
    default: 30
  timeout:
    description: Seconds that a server has to give its first answer.
    type: float
    default: 120.0
  steady:
    description: Seconds that the container has to go on running after the first answer, for O(state=started).
    type: float
    default: 0.0
  log_lines:
    description: How many of the last lines of a failed container's log are returned.
    type: int
    default: 20
  docker_socket:
    description: Socket of the Docker Engine.
    type: path
    default: /var/run/docker.sock
seealso:
  - module: community.docker.docker_container
  - module: alchemorsel.ollama.ollama_health
"""

EXAMPLES = r"""
- name: Create the new container beside the old one
  community.docker.docker_container:
    name: ollama-next
    image: ollama/ollama:0.32.15
    state: present
    published_ports: ["127.0.0.1:11435:11434"]

- name: Put it in the place of the old one
  alchemorsel.ollama.container_exchange:
    name: ollama
    state: exchanged
    replacement: ollama-next
    aside: ollama-old
    drain_timeout: 60
  register: exchange

- name: Go back after all
  alchemorsel.ollama.container_exchange:
    name: ollama
    state: restored
    aside: ollama-old
"""

RETURN = r"""
url:
  description: Where the server answers on the host; V(null) in check mode.
  returned: success
  type: str
  sample: http://127.0.0.1:11435
steps:
  description: What the engine was asked to do, in order, or would be in check mode.
  returned: if the containers could be looked at
  type: list
  elements: str
  sample: [stop ollama, rename ollama to ollama-old, rename ollama-next to ollama, start ollama]
downtime_seconds:
  description: Seconds from the stop of the old server to the first answer of the new one, or of the old one that was put back; V(null) if none was stopped.
  returned: if the containers could be looked at
  type: float
  sample: 1.31
drain:
  description: How O(drain_timeout) was used; V(null) if no server was stopped.
  returned: if the containers could be looked at
  type: dict
  contains:
    seconds:
      description: How long it was waited.
      type: float
    busy:
      description: Addresses of the clients that still waited for an answer then.
      type: list
      elements: str
    problem:
      description: Why the connections could not be seen; empty if they were.
      type: str
log:
  description: The last lines of the log of the container that failed or was taken away.
  returned: if the containers could be looked at
  type: list
  elements: str
restored:
  description: Whether the old container serves again.
  returned: if the containers could be looked at
  type: bool
error_kind:
  description: Kind of the failure, such as V(NotServing), V(EngineFailed) or V(InvalidInput).
  returned: failure
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _drain, _engine, _exchange
from ansible_collections.alchemorsel.ollama.plugins.module_utils._argspec import fail
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import OllamaError


def argument_spec() -> dict[str, Any]:
    """Return the module's options."""
    return {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["started", "exchanged", "restored"], "default": "started"},
        "replacement": {"type": "str"},
        "aside": {"type": "str"},
        "port": {"type": "int", "default": 11434},
        "drain_timeout": {"type": "float", "default": 0.0},
        "stop_timeout": {"type": "int", "default": 30},
        "timeout": {"type": "float", "default": 120.0},
        "steady": {"type": "float", "default": 0.0},
        "log_lines": {"type": "int", "default": 20},
        "docker_socket": {"type": "path", "default": _engine.SOCKET},
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=argument_spec(),
        required_if=[("state", "exchanged", ("replacement", "aside")), ("state", "restored", ("aside",))],
        supports_check_mode=True,
    )
    params = module.params
    names = _exchange.Names(params["name"], params["replacement"] or "", params["aside"] or "")
    patience = _exchange.Patience(params["stop_timeout"], params["timeout"], params["steady"])
    work = _exchange.Exchange(
        _engine.Engine(params["docker_socket"]), names, params["port"], patience, params["log_lines"]
    )
    try:
        states = work.states()
        steps = _steps(params["state"], names, states)
        report = _exchange.Report(steps) if module.check_mode else _carry_out(work, params, steps)
    except OllamaError as error:
        fail(module, error)
    if report.failure:
        fail(module, report.failure, changed=not report.restored, **_result(report))
    module.exit_json(changed=bool(steps), **_result(report))


def _steps(state: str, names: _exchange.Names, states: dict[str, str]) -> list[_exchange.Step]:
    if state == "exchanged":
        return _exchange.steps_to_exchange(names, states)
    if state == "restored":
        return _exchange.steps_to_restore(names, states)
    return _exchange.steps_to_start(names, states)


def _carry_out(work: _exchange.Exchange, params: dict[str, Any], steps: list[_exchange.Step]) -> _exchange.Report:
    if params["state"] == "exchanged" and steps:
        seconds, port = params["drain_timeout"], params["port"]
        return work.exchange(steps, lambda pid: _drain.drain(lambda: _drain.look_into(pid, port), seconds))
    if params["state"] == "restored":
        return work.restore(steps)
    return work.start(steps)


def _result(report: _exchange.Report) -> dict[str, Any]:
    drained = report.drained
    return {
        "url": report.url,
        "steps": [f"{step.kind} {step.name}" + (f" to {step.new}" if step.new else "") for step in report.steps],
        "downtime_seconds": None if report.downtime is None else round(report.downtime, 3),
        "drain": drained and {"seconds": round(drained.seconds, 3), "busy": drained.busy, "problem": drained.problem},
        "log": report.log,
        "restored": report.restored,
    }


if __name__ == "__main__":
    main()
