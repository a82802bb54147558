# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An Ollama-compatible test server and the model registry it pulls from.

It keeps the real store layout, speaks the same HTTP and pulls for real; its inference is canned and says so. It is
held to recorded answers of Ollama 0.24.0 and 0.32.15 (`tests/contract/`), and offers nothing that no recording covers.
"""
