# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what becomes of an engine's packages."""

from __future__ import annotations

DOCUMENTATION = r"""
name: engine_packages
author: Alchemorsel contributors (@alchemorsel)
version_added: 0.1.0
short_description: Decide which packages of a container engine are installed, upgraded, held and removed
description:
  - Takes what a host said about its packages and what is wanted, and returns what is to be done, what waits and what cannot be, without touching any host.
  - The role P(alchemorsel.ollama.docker#role) looks at the host and carries the result out.
options:
  _input:
    description:
      - Lines about the host. C(package NAME VERSION) is installed, C(hold NAME) is held, C(broken NAME STATE) was left half done by the package manager,
        C(candidate NAME VERSION) would be installed by it, C(offer NAME VERSION) is in a repository and C(gone NAME VERSION) in none any more,
        both newest first, and C(stale PROGRAM) is a running program that was replaced on disk. Other lines are left alone.
    type: list
    elements: str
    required: true
  engine:
    description: Name of the engine's package, empty where it did not come as a known one.
    type: str
    required: true
  present:
    description: Whether there is an engine.
    type: bool
    required: true
  install:
    description: Names of the packages that make a fresh engine.
    type: list
    elements: str
    default: []
  families:
    description:
      - For each name of an engine's package, C(same), the packages that have its version, C(with), those that go with them, and C(floors), whether floors act.
    type: dict
    default: {}
  pin:
    description: The version that is wanted, its beginning, or a pattern; empty for the newest.
    type: str
    default: ""
  upgrade:
    description: Whether an engine may be upgraded and restarted.
    type: bool
    default: false
  hold:
    description: Whether the packages are to be held.
    type: bool
    default: false
  conflicts:
    description: Names of packages that are in the engine's way.
    type: list
    elements: str
    default: []
  remove_conflicts:
    description: Whether those may be removed.
    type: bool
    default: false
  shared:
    description: Whether others use the host, so that nothing is restarted or removed there.
    type: bool
    default: false
  running:
    description: Version that the running engine says it is.
    type: str
    default: ""
  live_restore:
    description: Whether containers go on while the engine restarts.
    type: bool
    default: false
  containers:
    description: Number of running containers.
    type: int
    default: 0
  floors:
    description: Known holes, as C(version) that closed it, C(why), and C(refused), whether an older engine is refused.
    type: list
    elements: dict
    default: []
  allow_vulnerable:
    description: Whether an engine below a floor is accepted.
    type: bool
    default: false
  final:
    description: Whether a version that nobody offers will not be offered later in the run either.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Say what an upgrade would do
  ansible.builtin.debug:
    msg: >-
      {{ ['package docker-ce 5:29.3.1-1', 'candidate docker-ce 5:29.4.0-1']
         | alchemorsel.ollama.engine_packages(engine='docker-ce', present=true, upgrade=true, families={'docker-ce': {'same': ['docker-ce']}}) }}
  # moves: ["docker-ce 5:29.3.1-1 -> 5:29.4.0-1"], upgrade: ["docker-ce=5:29.4.0-1"]
"""

RETURN = r"""
_value:
  description:
    - C(install), C(upgrade), C(back), lists of text, what the package manager is to install for a fresh engine, for an upgrade, and to undo that.
    - C(remove), C(hold), C(keep_held), lists of names, what is to be removed, to be held, and to stay held after an upgrade.
    - C(restart), boolean, whether the running engine is to be restarted because its program was replaced.
    - C(moves), list of text, one line for each package of an upgrade, and C(fate), text, what that means for the containers.
    - C(version), text, and C(major), number, of the engine as it will be.
    - C(pending), C(notes), C(problems), lists of text, what waits, what is to be known, and what is refused.
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.alchemorsel.ollama.plugins.module_utils._engine_packages import Wish, plan

DEFAULTS: dict[str, Any] = {
    "install": [],
    "families": {},
    "pin": "",
    "upgrade": False,
    "hold": False,
    "conflicts": [],
    "remove_conflicts": False,
    "shared": False,
    "running": "",
    "live_restore": False,
    "containers": 0,
    "floors": [],
    "allow_vulnerable": False,
    "final": True,
}


def engine_packages(lines: list[str], **options: Any) -> dict[str, Any]:
    """See DOCUMENTATION; raises AnsibleFilterError when an option is missing, unknown or of a wrong type."""
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise AnsibleFilterError(f"engine_packages wants a list of lines, found {type(lines).__name__}")
    wish = {**DEFAULTS, **options}
    if odd := set(wish) ^ set(Wish._fields):
        raise AnsibleFilterError(f"engine_packages: missing or unknown options {', '.join(sorted(odd))}")
    for name, default in DEFAULTS.items():
        if not isinstance(wish[name], type(default)):
            raise AnsibleFilterError(
                f"engine_packages: {name} is to be of type {type(default).__name__}, found {type(wish[name]).__name__}"
            )
    return plan(lines, Wish(**wish))


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Names and functions."""
        return {"engine_packages": engine_packages}
