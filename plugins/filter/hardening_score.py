# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare what C(docker inspect) says of a container with a table of hardening rules."""

from __future__ import annotations

DOCUMENTATION = r"""
name: hardening_score
author: Alchemorsel contributors (@alchemorsel)
version_added: 0.1.0
short_description: Score a container's inspect data against hardening rules
description:
  - Evaluates each rule's JMESPath expression on the data that C(docker inspect) returns for one container and compares the result with the rule's wanted value.
  - The rules are data. The table of this collection is C(roles/ollama/vars/hardening.yml), variable C(ollama_hardening_rules).
  - A rule whose expression cannot be evaluated on the given data does not pass.
requirements:
  - jmespath on the controller
positional: rules
options:
  _input:
    description: The inspect data of one container, such as RV(community.docker.docker_container_info#module:container).
    type: dict
    required: true
  rules:
    description: The rules.
    type: list
    elements: dict
    required: true
    suboptions:
      id:
        description: Number of the point.
        type: int
        required: true
      title:
        description: What the point asks for, in a few words.
        type: str
        required: true
      cis:
        description: Section of the CIS Docker benchmark, empty where there is none.
        type: str
        required: true
      expression:
        description: JMESPath expression over the inspect data.
        type: str
        required: true
      wanted:
        description:
          - The point passes when the expression's value equals this one.
          - Required for a rule that counts.
        type: raw
      remedy:
        description: What to do when the point does not pass.
        type: str
        required: true
      counted:
        description:
          - Set V(false) for a fact that is shown and never counted, such as whether the host's kernel enforces a profile.
        type: bool
        default: true
"""

EXAMPLES = r"""
- name: Look at the container
  community.docker.docker_container_info:
    name: ollama
  register: container

- name: Print the score
  ansible.builtin.debug:
    msg: "{{ score.passed }} of {{ score.total }}; to mend: {{ score.failed | map(attribute='title') | join(', ') }}"
  vars:
    score: "{{ container.container | alchemorsel.ollama.hardening_score(ollama_hardening_rules) }}"
"""

RETURN = r"""
_value:
  description: The score and its points.
  type: dict
  contains:
    passed:
      description: How many counted points pass.
      type: int
      sample: 33
    total:
      description: How many points are counted.
      type: int
      sample: 33
    points:
      description: The counted points in the order of the rules, each the rule's fields with C(found) and C(passed).
      type: list
      elements: dict
      sample: [{id: 4, title: Not privileged, cis: "5.5", passed: true, found: false, wanted: false, remedy: "Do not set privileged."}]
    failed:
      description: Those of the points that do not pass.
      type: list
      elements: dict
      sample: []
    notes:
      description: What the rules with O(rules[].counted=false) found.
      type: list
      elements: dict
      sample: [{id: 1, title: AppArmor profile in force, found: docker-default}]
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

try:
    import jmespath
    from jmespath.exceptions import JMESPathError
except ImportError:
    HAS_JMESPATH = False
else:
    HAS_JMESPATH = True

RULE_KEYS = ("id", "title", "cis", "expression", "remedy")


def hardening_score(container: Any, rules: Any) -> dict[str, Any]:
    """Score one container.

    :param container: the dictionary that C(docker inspect) gives for it
    :param rules: the rules, see DOCUMENTATION
    :returns: dictionary with passed, total, points, failed, notes
    :raises AnsibleFilterError: when an input is not what it should be or jmespath is missing
    """
    if not HAS_JMESPATH:
        raise AnsibleFilterError(
            "hardening_score needs the Python library jmespath on the controller: install it beside ansible."
        )
    container, rules = _plain(container), _plain(rules)
    _check_container(container)
    _check_rules(rules)
    notes = [
        {"id": rule["id"], "title": rule["title"], "found": _found(container, rule)}
        for rule in rules
        if not rule.get("counted", True)
    ]
    points = [_point(container, rule) for rule in rules if rule.get("counted", True)]
    failed = [point for point in points if not point["passed"]]
    return {
        "passed": len(points) - len(failed),
        "total": len(points),
        "points": points,
        "failed": failed,
        "notes": notes,
    }


def _point(container: Mapping[str, Any], rule: Mapping[str, Any]) -> dict[str, Any]:
    found = _found(container, rule)
    # Python holds true and 1 for equal: a count would pass for a yes.
    passed = found == rule["wanted"] and isinstance(found, bool) == isinstance(rule["wanted"], bool)
    return {
        **{key: rule[key] for key in ("id", "title", "cis", "wanted", "remedy")},
        "found": found,
        "passed": passed,
    }


def _found(container: Mapping[str, Any], rule: Mapping[str, Any]) -> Any:
    """The value of the rule's expression; a sentence instead where the data do not let it be evaluated."""
    try:
        return jmespath.compile(rule["expression"]).search(container)
    except JMESPathError as error:
        return f"cannot be told from the inspect data ({str(error).splitlines()[0]})"


def _plain(value: Any) -> Any:
    """The value in Python's own types: jmespath goes by the names of types, and Ansible hands over subclasses."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    for kind in (str, bool, int, float):
        if isinstance(value, kind):
            return kind(value)
    return value


def _check_container(container: Any) -> None:
    if isinstance(container, Mapping) and all(
        isinstance(container.get(key), Mapping) for key in ("Config", "HostConfig")
    ):
        return
    shown = sorted(map(str, container)) if isinstance(container, Mapping) else type(container).__name__
    raise AnsibleFilterError(
        f"hardening_score wants the inspect data of one container (a dictionary with Config and HostConfig), found {shown}: "
        "give it the 'container' that community.docker.docker_container_info returns, and check that the container exists."
    )


def _check_rules(rules: Any) -> None:
    if not isinstance(rules, list) or not rules:
        raise AnsibleFilterError(
            f"hardening_score wants a list of at least one rule, found {type(rules).__name__}: see roles/ollama/vars/hardening.yml."
        )
    for number, rule in enumerate(rules, start=1):
        if not isinstance(rule, Mapping):
            raise AnsibleFilterError(f"hardening rule {number} wants to be a dictionary, found {type(rule).__name__}.")
        needed = RULE_KEYS + (("wanted",) if rule.get("counted", True) else ())
        missing = [key for key in needed if key not in rule]
        if missing:
            raise AnsibleFilterError(f"hardening rule {rule.get('id', number)} lacks {', '.join(missing)}.")
        try:
            jmespath.compile(rule["expression"])
        except JMESPathError as error:
            raise AnsibleFilterError(
                f"hardening rule {rule['id']} has the expression {rule['expression']!r}, which is not JMESPath: "
                f"{str(error).splitlines()[0]}"
            ) from error


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names and functions, as Ansible asks for them."""
        return {"hardening_score": hardening_score}
