# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of the lab for all tests of this folder; LAB_ID says whose, `make lab-up` makes it."""

from __future__ import annotations

import os

import pytest

from tests.abuse.lab import Host


@pytest.fixture(scope="session")
def host():
    """The host, with the collection's lab around it."""
    if "LAB_ID" not in os.environ:
        raise pytest.UsageError("LAB_ID is not set: make fuzz-hosts does it, and starts the lab")
    made = Host()
    assert made.sh("systemctl is-system-running --wait || true").strip() in ("running", "degraded")
    return made
