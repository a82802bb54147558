# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a server every 200 ms, and tell how often and for how long there was no answer.

python3 probe.py ask URL FILE     until it is ended
python3 probe.py tell FILE        {"requests", "failed", "downtime"}: seconds from the last answer before a failure to the next one
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request

EVERY = 0.2


def ask(url: str, path: str) -> None:
    """Write a line for each request: when it began, when it ended, and whether there was an answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with open(path, "w", encoding="utf-8") as log:
        while True:
            began = time.monotonic()
            try:
                with opener.open(f"{url}/api/version", timeout=5) as answer:
                    good = "version" in json.load(answer)
            except (OSError, ValueError):
                good = False
            ended = time.monotonic()
            print(began, ended, int(good), file=log, flush=True)
            time.sleep(max(0.0, began + EVERY - ended))


def tell(path: str) -> dict[str, float]:
    """Add up what was written."""
    with open(path, encoding="utf-8") as log:
        lines = [line.split() for line in log]
    failed, downtime, last_good, down = 0, 0.0, None, False
    for _began, ended, good in lines:
        if good == "0":
            failed, down = failed + 1, True
            continue
        if down and last_good is not None:
            downtime += float(ended) - last_good
        last_good, down = float(ended), False
    return {"requests": len(lines), "failed": failed, "downtime": round(downtime, 2)}


if __name__ == "__main__":
    if sys.argv[1] == "ask":
        ask(sys.argv[2], sys.argv[3])
    else:
        print(json.dumps(tell(sys.argv[2])))
