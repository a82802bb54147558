# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command and write what it took: `python -IS meter.py RESULT COMMAND...`.

A process of its own, and a small one: the peak of memory that the kernel reports for a process begins with its parent's.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time


def main(result: str, command: list[str]) -> None:
    """Run the command with our own streams; write seconds, processor seconds, peak memory and status as JSON."""
    began = time.monotonic()
    status = subprocess.call(command)
    seconds = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    figures = {
        "status": status,
        "seconds": seconds,
        "processor": used.ru_utime + used.ru_stime,
        "megabytes": used.ru_maxrss / 1000,
    }
    with open(result, "w", encoding="utf-8") as out:
        json.dump(figures, out)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
