# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The limit of loads; kept in step with _argspec.memory_argument_spec by a test."""

    DOCUMENTATION = r"""
options:
  load_timeout:
    description:
      - Seconds that bringing one model into memory may take, for O(models[].loaded). When they have passed, the load is given up, which aborts it.
      - If not given, it is 300 seconds, or the time in which the model's size comes in at 50 MB/s where that is longer. That is 800 seconds for 40 GB.
      - Independent of that, the server gives up a load that makes no progress for C(OLLAMA_LOAD_TIMEOUT).
    type: float
"""
