# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What is removed that nobody declared; kept in step with _argspec.removal_argument_spec by a test."""

    DOCUMENTATION = r"""
options:
  exclusive:
    description:
      - Whether models that are not declared are removed.
      - A model that this collection created or copied on this host, as its record tells (O(state_dir)), is removed.
      - Another one whose source no longer serves the same digest, or cannot be read from the host, is kept and listed in RV(kept), unless O(prune_local=true).
    type: bool
    default: false
  protect:
    description:
      - Shell patterns of names that O(exclusive) never removes. A pattern is compared with the whole name, with and without its tag.
    type: list
    elements: str
    default: []
  max_delete:
    description:
      - How many undeclared models O(exclusive) may remove. If there are more, the module fails and changes nothing.
    type: int
    default: 5
  allow_empty:
    description:
      - Whether O(exclusive) may be used without a single model declared V(present) or V(latest).
    type: bool
    default: false
  prune_local:
    description:
      - Whether O(exclusive) also removes what could not be had again.
    type: bool
    default: false
"""
