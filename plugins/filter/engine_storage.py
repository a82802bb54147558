# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge the place of an engine's data."""

from __future__ import annotations

DOCUMENTATION = r"""
name: engine_storage
author: Alchemorsel contributors (@alchemorsel)
version_added: 0.1.0
short_description: Say what is wrong with the place of an engine's data
description:
  - Takes the lines in which the role P(alchemorsel.ollama.docker#role) describes a host's disks, and returns one sentence for each reason not to go on.
  - It touches no host.
positional: wanted
options:
  _input:
    description: Lines C(root PATH), C(disk WHICH FILESYSTEM FREE_KIB MOUNTPOINT), C(ftype WHICH 0|1) and C(held CONTAINERS IMAGES VOLUMES); others are skipped.
    type: list
    elements: str
    required: true
  wanted:
    description: The data-root that is asked for, empty where none is.
    type: str
    required: true
  mounted:
    description: Whether O(wanted) has to be a mount point.
    type: bool
    default: true
  abandon:
    description: Whether what lies in the present data-root may stay behind.
    type: bool
    default: false
  min_free:
    description: Bytes that have to be free.
    type: int
    default: 0
  containerd:
    description: Whether images lie, or may lie, in C(/var/lib/containerd).
    type: bool
    default: true
  file_systems:
    description: File systems that the storage driver is known to work on. Of C(xfs), one without d_type is told as well.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Say what is wrong
  ansible.builtin.debug:
    msg: "{{ ['disk wanted nfs4 900000 /srv'] | alchemorsel.ollama.engine_storage('/srv', file_systems=['ext4']) }}"
  # ["docker_data_root /srv lies on nfs4, wanted is one of ext4, ..."]
"""

RETURN = r"""
_value:
  description: Sentences with what was found, what is wanted and the remedy; none where all is well.
  type: list
  elements: str
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.alchemorsel.ollama.plugins.module_utils._engine_storage import storage_problems


def engine_storage(
    lines: list[str],
    wanted: str,
    mounted: bool = True,
    abandon: bool = False,
    min_free: int = 0,
    containerd: bool = True,
    file_systems: list[str] | None = None,
) -> list[str]:
    """See DOCUMENTATION; raises AnsibleFilterError when an argument has the wrong type."""
    if not isinstance(lines, list):
        raise AnsibleFilterError(f"engine_storage wants a list of lines, found {type(lines).__name__}")
    if not isinstance(file_systems, list):
        raise AnsibleFilterError(f"engine_storage: file_systems is to be a list, found {type(file_systems).__name__}")
    return storage_problems(
        lines,
        wanted=wanted,
        mounted=mounted,
        abandon=abandon,
        min_free=min_free,
        containerd=containerd,
        file_systems=file_systems,
    )


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Names and functions."""
        return {"engine_storage": engine_storage}
