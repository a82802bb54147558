# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Limits of pulls; kept in step with _argspec.pulls_argument_spec by a test."""

    DOCUMENTATION = r"""
options:
  pull_timeout:
    description:
      - Seconds that the pull of one model may take, all retries included.
    type: float
    default: 7200.0
  stall_timeout:
    description:
      - Seconds without a byte after which a download is cut and resumed. Counts only while a blob is downloaded, not while the server
        asks for the manifest or verifies.
      - The server gives up a stalled part after 30 seconds and throws its bytes away, so this should be less.
    type: float
    default: 20.0
  retries:
    description:
      - How often in a row a pull that failed without getting any further is tried again, with growing pauses.
    type: int
    default: 5
"""
