# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Attributes of the modules; each module states its support itself."""

    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Can run in C(check_mode) and return the changed status that a run would have, without changing anything.
  diff_mode:
    description: Returns what changes, or would change in C(check_mode), when in diff mode.
  idempotent:
    description: When run twice in a row outside check mode with the same arguments, the second run changes nothing.
  platform:
    description: Operating systems of the host where the module runs.
    support: full
    platforms: posix
"""

    # Modules that only read.
    INFO_MODULE = r"""
attributes:
  check_mode:
    support: full
    details:
      - This module does not modify state.
  diff_mode:
    support: N/A
    details:
      - This module does not modify state.
  idempotent:
    support: full
    details:
      - This module does not modify state.
"""

    # For the modules of the action group.
    ACTIONGROUP_OLLAMA = r"""
attributes:
  action_group:
    description: Use C(group/alchemorsel.ollama.ollama) in C(module_defaults) to set the connection options once.
    support: full
    membership:
      - alchemorsel.ollama.ollama
"""
