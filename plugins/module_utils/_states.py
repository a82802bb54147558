# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The states that a model can be declared to have."""

from __future__ import annotations

PRESENT, LATEST, ABSENT = "present", "latest", "absent"
STATES = (PRESENT, LATEST, ABSENT)
