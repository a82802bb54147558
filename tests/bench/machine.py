# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine that the figures come from, without its name."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

from lab.standin.versions import DEFAULT_VERSION


def describe() -> dict[str, str]:
    """Return what a reader needs to judge the figures."""
    return {
        "Date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "Processor": f"{len(os.sched_getaffinity(0))} cores, {processor()}",
        "Memory": f"{memory()} GiB",
        "Kernel": platform.release(),
        "Versions": f"Python {platform.python_version()}, ansible-core {version('ansible-core')}, requests {version('requests')}",
        "Servers": f"stand-ins that play Ollama {DEFAULT_VERSION}",
    }


def processor() -> str:
    """Return the processor's model as the kernel names it."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def memory() -> int:
    """Return the memory in GiB, rounded."""
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def load() -> str:
    """Return the load averages over 1, 5 and 15 minutes."""
    return " ".join(f"{value:.1f}" for value in os.getloadavg())
