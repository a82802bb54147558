# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A name server that answers every question with "no such name": nonames.py ADDRESS."""

from __future__ import annotations

import socket
import sys


def answer(query: bytes) -> bytes:
    """The query sent back as an answer with code 3 (NXDOMAIN)."""
    end = query.index(b"\0", 12) + 5
    return query[:2] + b"\x81\x83" + query[4:6] + b"\0" * 6 + query[12:end]


def main() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((sys.argv[1], 53))
        print("ready", flush=True)
        while True:
            query, client = server.recvfrom(4096)
            server.sendto(answer(query), client)


if __name__ == "__main__":
    main()
