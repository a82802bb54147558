# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what an audit found of one container."""

from __future__ import annotations

DOCUMENTATION = r"""
name: audit_report
author: Alchemorsel contributors (@alchemorsel)
version_added: 0.1.0
short_description: What an audit says of one container
description:
  - Takes what was seen of one container and returns its score, what does not hold beside the score, and the lines that say so with their remedies.
positional: score
options:
  _input:
    description: The inspect data of the container, as M(community.docker.docker_container_info) returns them.
    type: dict
    required: true
  score:
    description: What the filter P(alchemorsel.ollama.hardening_score#filter) says of it.
    type: dict
    required: true
  instance_name:
    description: Name of the instance; empty for a container that is none of this collection.
    type: str
    default: ""
  engine:
    description: Version of the engine.
    type: str
    default: ""
  guard:
    description: What the role P(alchemorsel.ollama.ollama#role) finds of the instance's guard, one line for each finding.
    type: list
    elements: str
    default: []
  health:
    description: The answer of M(alchemorsel.ollama.ollama_health); empty where the server was not asked.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Say what is to be mended
  ansible.builtin.debug:
    msg: "{{ (container | alchemorsel.ollama.audit_report(score, engine='26.1.5')).lines }}"
  vars:
    score: "{{ container | alchemorsel.ollama.hardening_score(ollama_hardening_rules) }}"
"""

RETURN = r"""
_value:
  description:
    - C(name), C(passed) and C(total), the container and its score.
    - C(broken), which of V(version), V(published) and V(guard) do not hold. What cannot be told is not among them.
    - C(lines), list of text, the score first, then one line for each finding.
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.alchemorsel.ollama.plugins.module_utils._audit import report


def audit_report(
    container: dict[str, Any],
    score: dict[str, Any],
    instance_name: str = "",
    engine: str = "",
    guard: list[str] | None = None,
    health: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """See DOCUMENTATION; raises AnsibleFilterError when an argument has the wrong type."""
    for name, value in (("the container", container), ("score", score), ("health", {} if health is None else health)):
        if not isinstance(value, dict):
            raise AnsibleFilterError(f"audit_report: {name} is to be a mapping, found {type(value).__name__}")
    missing = {"passed", "total", "failed", "notes"} - score.keys()
    if missing:
        raise AnsibleFilterError(
            f"audit_report: score lacks {', '.join(sorted(missing))}; give it what the filter hardening_score returns"
        )
    return report(
        container, score, instance=str(instance_name), engine=str(engine), guard=list(guard or []), health=health or {}
    )


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Names and functions."""
        return {"audit_report": audit_report}
