# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what becomes of an engine's daemon.json."""

from __future__ import annotations

DOCUMENTATION = r"""
name: daemon_config
author: Alchemorsel contributors (@alchemorsel)
version_added: 0.1.0
short_description: Merge settings into an engine's daemon.json and say what the engine has to do about it
description:
  - Takes the text of a C(daemon.json) and returns what the file should become, without touching any host.
  - Defaults only fill keys that the file does not have; what was asked for overrides the file; keys that nobody mentions stay, in their order.
  - A value of V(null) in O(config) removes a key. Lists are replaced as a whole.
  - The role P(alchemorsel.ollama.docker#role) carries the result out.
positional: config
options:
  _input:
    description: Text of the present C(daemon.json), empty where there is none.
    type: str
    required: true
  config:
    description: Settings that the operator asks for.
    type: dict
    required: true
  defaults:
    description: Settings that fill keys which the file does not have.
    type: dict
    default: {}
  running_text:
    description: Text of the C(daemon.json) that the running engine was started with, where an earlier run was interrupted.
    type: str
  shared:
    description:
      - Why others depend on the engine, in words. Then only what was asked for and a reload suffices for is applied; the rest is pending.
    type: list
    elements: str
    default: []
  unread:
    description: Why the engine does not read the file, in words. Then everything is pending.
    type: str
    default: ""
  swarm:
    description: Whether the engine is a member of a swarm, which does not start with C(live-restore).
    type: bool
    default: false
  command:
    description: The command line of the running C(dockerd). What its options set must not stand in the file, too.
    type: str
    default: ""
  recommended:
    description: Values that a differing one of the file is compared with, without setting them.
    type: dict
    default: {}
  unit:
    description: What is to change in the engine's unit, for which it has to be restarted. Each with C(key), C(now) and C(wanted).
    type: list
    elements: dict
    default: []
  unit_waits:
    description: Why the unit is not to be changed now, in words.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Say what would be done
  ansible.builtin.debug:
    msg: "{{ '{\"debug\": true}' | alchemorsel.ollama.daemon_config({'icc': false}) }}"
  # changes: ["icc: (none) -> false (restart)"], action: restart, write: true
"""

RETURN = r"""
_value:
  description:
    - C(error), text, says why the present file cannot be read. Nothing else counts then.
    - C(problems), list of text, what is wrong with the settings asked for.
    - C(write), boolean, and C(text), whether the file has to be written, and its new content.
    - C(secret), boolean, whether an address in the file names a user or a password. They are left out of all that follows.
    - C(unit), boolean, whether the unit is to be changed.
    - C(action), one of V(none), V(reload), V(restart).
    - C(reload_first), boolean, whether a reload before the restart lets the containers survive it.
    - C(changes) and C(kept), lists of text, one line for each key that changes and whose found value differs from the default.
    - C(pending), list of mappings with C(key), C(now), C(wanted), C(reason) and C(remedy), one for each change that is not applied.
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.alchemorsel.ollama.plugins.module_utils._daemon_config import plan


def daemon_config(
    text: str,
    config: dict[str, Any],
    defaults: dict[str, Any] | None = None,
    recommended: dict[str, Any] | None = None,
    shared: list[str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """See DOCUMENTATION; raises AnsibleFilterError when an argument has the wrong type."""
    if not isinstance(text, str):
        raise AnsibleFilterError(f"daemon_config wants the text of a daemon.json, found {type(text).__name__}")
    for name, value in (("config", config), ("defaults", defaults or {}), ("recommended", recommended or {})):
        if not isinstance(value, dict):
            raise AnsibleFilterError(f"daemon_config: {name} is to be a mapping, found {type(value).__name__}")
    if not isinstance(shared or [], list):
        raise AnsibleFilterError(f"daemon_config: shared is to be a list of reasons, found {type(shared).__name__}")
    return plan(text, defaults or {}, config, recommended=recommended, shared=shared or [], **more)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Names and functions."""
        return {"daemon_config": daemon_config}
