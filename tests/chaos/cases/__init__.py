# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cases, a file for each kind of fault; the page has them in this order."""

from __future__ import annotations

from ..case import Case
from . import disks, hosts, odd_manifests, plays, registry, servers

GROUPS: dict[str, tuple[Case, ...]] = {
    "The registry": registry.CASES,
    "What a registry can say": odd_manifests.CASES,
    "Server, engine and host": servers.CASES,
    "Disks": disks.CASES,
    "The host": hosts.CASES,
    "Runs that are killed, cut or doubled": plays.CASES,
}
