# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The least that a pull can cost: POST /api/pull with requests and read the lines. `python raw_pull.py URL MODEL`."""

from __future__ import annotations

import json
import sys
import time

import requests


def main(url: str, model: str) -> int:
    """Pull one model; print the seconds from the request to `success`."""
    began = time.monotonic()
    with requests.Session() as session:
        session.trust_env = False
        body = {"model": model, "insecure": True}
        with session.post(f"{url}/api/pull", json=body, stream=True) as response:
            said: dict[str, str] = {}
            for line in response.iter_lines():
                said = json.loads(line)
    seconds = time.monotonic() - began
    print(json.dumps({"seconds": seconds, "status": said}))
    return int(said != {"status": "success"})


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
