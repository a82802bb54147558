# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of the modules and of the logic below them need."""

from __future__ import annotations

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _lock


@pytest.fixture
def lock_folder(monkeypatch, tmp_path_factory):
    """Where locks of servers lie in a test."""
    folder = tmp_path_factory.mktemp("locks")
    monkeypatch.setattr(_lock, "DIRECTORIES", (str(folder),))
    return folder
