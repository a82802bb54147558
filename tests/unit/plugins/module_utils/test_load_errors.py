# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a failed load means."""

from __future__ import annotations

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._load_errors import load_error


@pytest.mark.parametrize(
    ("exc", "kind", "words"),
    [
        (errors.ServerTimeout("t"), "LoadTimeout", "m was not loaded within 300 s, so the load was given up; raise load_timeout"),
        (errors.ServerBusy("b", error="server busy"), "ServerBusy", "raise OLLAMA_MAX_QUEUE"),
        (errors.ModelNotFound("n", error="model 'm' not found"), "LoadFailed", "or files of it (model 'm' not found)"),
        (errors.ServerUnreachable("u"), "ServerUnreachable", "u"),
        (errors.BadAnswer("x", error="llama runner process has terminated: signal: killed"), "RunnerDied", "out-of-memory kill"),
        (errors.BadAnswer("x", error="llama-server process has terminated: signal: killed"), "RunnerDied", "memory.events"),
        (errors.BadAnswer("x", error="timed out waiting for llama-server to start - "), "LoadTimeout", "OLLAMA_LOAD_TIMEOUT"),
        (errors.BadAnswer("x", error="timed out waiting for llama runner to start - "), "LoadTimeout", "OLLAMA_LOAD_TIMEOUT"),
        (
            errors.BadAnswer("x", error="model requires more system memory (9.0 GiB) than is available (1.0 GiB)"),
            "NotEnoughMemory",
            "(9.0 GiB) than is available",
        ),
        (errors.BadAnswer("x", error='option "num_ctx" must be of type integer'), "LoadFailed", "create it again"),
        (errors.BadAnswer("x", error="something new"), "LoadFailed", "see the server's log"),
    ],
)  # fmt: skip
def test_failures_of_a_load(exc, kind, words):
    found = load_error(exc, "m", 300.0)
    assert found.kind == kind and words in found.message
    assert found.error == exc.error
