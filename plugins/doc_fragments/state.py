# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Where a host keeps what no server tells; kept in step with _argspec.state_argument_spec by a test."""

    DOCUMENTATION = r"""
options:
  state_dir:
    description:
      - Directory of the host where the module runs, in which it records hashes of files and which models it created. It is created
        when it is first needed, and only its user can read it. A run that changes nothing writes nothing.
      - A record that is lost or was written by another user is done without. It costs that files are hashed again and that models are
        created again from O(models[].gguf), and that O(exclusive) keeps undeclared models that were created here.
      - If not given, it is C(/var/lib/alchemorsel-ollama) for root and C(~/.local/state/alchemorsel-ollama) for others.
    type: path
"""
