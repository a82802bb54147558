# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options of the display of progress; kept in step with _argspec.progress_argument_spec by a test."""

    DOCUMENTATION = r"""
options:
  progress:
    description:
      - Whether long work is done in the background of the host, while each pull's percentage, bytes, rate and time left are shown.
        Uploads of files are shown like pulls.
      - Work in the background goes on if the connection to the host is lost; the task picks it up again when the host can be
        reached within five minutes.
      - Where nothing is to be pulled, hashed or uploaded, in check mode, and where the task has C(async), the module runs as any other.
      - With C(no_log), nothing is shown.
    type: bool
    default: true
  progress_interval:
    description:
      - Seconds between two lines for a pull. With more than four hosts at a time it grows, so that all hosts together show
        about as many lines as four would.
    type: float
    default: 5.0
  _defer:
    description: Set by the action plugin only. Answers that long work is due instead of beginning it.
    type: bool
    default: false
  _offers:
    description: Set by the action plugin only. What the sources said when the work was put off.
    type: dict
  _progress_file:
    description: Set by the action plugin only. Where the progress is written.
    type: path
attributes:
  action:
    description: Has a corresponding action plugin, so that parts of it run on the controller.
    support: full
  async:
    description: Supports C(async).
    support: full
"""
