# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass

MB, GB = 1000**2, 1000**3


@dataclass(frozen=True)
class Scale:
    """Numbers of a run; `make bench` takes these.

    :param runs: pairs of each comparison
    :param slow_runs: pairs of those whose other side takes minutes
    :param seconds: how long the pull over the slow line takes
    :param growth: numbers of models
    :param size_growth: bytes of a model
    """

    runs: int = 5
    slow_runs: int = 3
    hosts: int = 20
    forks: int = 10
    seconds: int = 60
    pull_bytes: int = 2 * GB
    memory_pull_bytes: int = 2 * GB
    upload_bytes: int = 10 * GB
    growth: tuple[int, ...] = (1, 20, 100, 200)
    host_growth: tuple[int, ...] = (1, 5, 10, 20, 40)
    size_growth: tuple[int, ...] = (MB, 10 * MB, 100 * MB, GB, 10 * GB)


FULL = Scale()
#: Shows that all parts work; its figures say little.
QUICK = Scale(
    runs=1,
    slow_runs=1,
    hosts=2,
    seconds=10,  # a line of progress comes after 5
    pull_bytes=20 * MB,
    memory_pull_bytes=20 * MB,
    upload_bytes=20 * MB,
    growth=(1, 5, 10),
    host_growth=(1, 2, 3),
    size_growth=(MB, 10 * MB, 30 * MB),
)
