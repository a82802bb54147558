# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One rung of the ladder to a GPU, and the names of all."""

from __future__ import annotations

from dataclasses import dataclass

OK = "ok"
FAILED = "failed"
NOT_APPLICABLE = "not_applicable"

# In the order in which they are climbed
RUNGS = (
    "pci",
    "driver",
    "library",
    "device_nodes",
    "fabric_manager",
    "nvidia_smi",
    "compute_capability",
    "toolkit",
    "cdi",
    "engine",
)


@dataclass(frozen=True)
class Check:
    """One rung of the ladder; `reason` always says what was found, `remedy` is None unless the rung failed."""

    name: str
    status: str
    reason: str
    remedy: str | None = None


def failed(name: str, reason: str, remedy: str) -> Check:
    return Check(name, FAILED, reason, remedy)


def skipped(name: str, reason: str) -> Check:
    return Check(name, NOT_APPLICABLE, reason)


def waits(name: str, other: str) -> Check:
    return skipped(name, f"waits for the rung {other}")
