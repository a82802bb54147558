# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors that a handler answers with, and the words of the network below it."""

from __future__ import annotations

import errno
import os
from pathlib import Path


class ApiError(Exception):
    """An answer `{"error": text}` with its status."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status = status
        self.text = text


class Fatal(Exception):
    """What makes the real server end with a panic: the process ends with exit code 2."""


class HandlerDied(Exception):
    """What makes one handler of the real server panic: status 500 with an empty body."""


def model_not_found(given: str) -> ApiError:
    return ApiError(404, f"model '{given}' not found")


def os_error_text(error: OSError, operation: str, path: Path | str) -> str:
    """An OSError in Go's words: `open /x: no such file or directory`."""
    reason = os.strerror(error.errno or errno.EIO)
    return f"{operation} {path}: {reason[:1].lower()}{reason[1:]}"
