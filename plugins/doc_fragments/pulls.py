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
      - A source that answers this module with C(429) and the time to wait is asked again so often, and waited for as long as it asks, within
        O(pull_timeout) and at most 5 minutes for all models of a run together, and a warning says so. If it asks for more, the model fails at once with
        V(SourceBusy), also in check mode, and the time is named. Where only the server asks the source, the server does not tell that
        time, and the pull is tried again as any other.
    type: int
    default: 5
  parallel:
    description:
      - How many models are fetched at the same time. Never two at a time that share a blob which the server lacks, nor one that replaces
        an older model together with one that builds upon blobs that are there. A model whose blobs are not known is fetched alone.
      - With more than V(1), and where more than one model is to be fetched, the sources of all of them are asked for their manifests first,
        one request for each. A model that its source does not have is refused then, before anything is fetched.
    type: int
    default: 2
  lock_timeout:
    description:
      - Seconds to wait for another run that changes the models of the same server. Then the server is looked at again, since that run may
        have done the work already.
      - Only one run at a time changes a server, as far as they run on the same machine and name the server with the same host, where all
        names and addresses of the loopback are one. Runs on other machines and pulls that somebody starts otherwise cannot be seen.
      - A run with nothing to change, and check mode, do not wait.
    type: float
    default: 3600.0
"""
