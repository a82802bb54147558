# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options that name witnesses outside the server; kept in step with _health_options.outside_argument_spec by a test."""

    DOCUMENTATION = r"""
options:
  gpu:
    description:
      - V(required) fails where a model runs on the CPU, or where a witness outside the server contradicts the server's
        account of it, and warns where a part of the model is on the CPU.
      - V(any) only tells, and warns of a contradiction.
    type: str
    choices: [any, required]
    default: any
  gpu_witness:
    description:
      - Who tells besides the server whether a model is on a GPU. The server's own figure stays as it was at the load when the
        GPU vanishes from its container.
      - V(nvidia_smi) asks C(nvidia-smi --query-compute-apps) on the host where the module runs, for the processes of
        O(container), or else for those that Ollama's runners are called. If it tells memory, half of what the server claims
        for all loaded models must be in use.
      - V(log) reads the lines C(inference compute) that the server wrote at its last start, from O(log_path) or
        O(container). It knows AMD's GPUs and Vulkan, too, but not what happened since.
      - V(auto) takes the first of them that can tell, if O(url) is a loopback address or O(container) or O(log_path) is given.
        If none can, that is a warning for O(gpu=required), while it is a failure for a witness that is named here.
      - It is asked only if the server claims a GPU, or O(gpu=required). V(none) asks nobody.
    type: str
    choices: [auto, nvidia_smi, log, none]
    default: auto
  min_gpus:
    description:
      - How many GPUs the server must have found at its last start, by the lines C(inference compute) in its log, from O(container)
        or O(log_path). At every O(level). A server that finds none says nothing more and computes on the CPU.
      - While the server has not said what it found, it is waited for. A log that does not reach back to the start is no failure.
      - V(0) does not ask.
    type: int
    default: 0
  container:
    description:
      - Name of the Docker container in which the server runs on the host where the module runs. Its processes, log and cgroup
        are looked at, for which the module needs the right to ask Docker.
    type: str
  log_path:
    description: File with the server's log on the host where the module runs, if it has no O(container).
    type: path
  cgroup_path:
    description:
      - Directory of the server's cgroup on the host where the module runs, such as
        V(/sys/fs/cgroup/system.slice/ollama.service). That of O(container) is found without it.
      - If it is known, kills for memory are looked for, since the kernel kills the process of a model and not the server. One
        during the check is a failure, one before it a warning.
    type: path
"""
