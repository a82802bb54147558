# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several tests of the logic below the modules need."""

from __future__ import annotations

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _lock


@pytest.fixture
def locked(monkeypatch, tmp_path):
    """Have the lock in a folder of the test."""
    monkeypatch.setattr(_lock, "DIRECTORIES", (str(tmp_path),))
