# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Failures of a load, from the server's answer to an error that says what to do: pure functions."""

from __future__ import annotations

import re
from re import Pattern

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors

#: What the server writes when a load fails -> exception and remedy. The first match wins; seen on 0.24.0 and 0.32.15, or in their source.
LOAD_ERRORS: tuple[tuple[Pattern[str], type[errors.LoadFailed], str], ...] = (
    (
        re.compile(r"requires more system memory|unable to load full model|out of memory|unable to allocate", re.I),
        errors.NotEnoughMemory,
        "it does not fit into the memory that is left; give the server more, unload others, or declare a smaller model, "
        "quantization or num_ctx",
    ),
    (
        re.compile(r"timed out waiting for"),
        errors.LoadTimeout,
        "the server itself gave up, after its OLLAMA_LOAD_TIMEOUT without progress; see whether the disk is slow or the load hangs",
    ),
    (
        re.compile(r"terminated|unexpectedly stopped|unexpected EOF|signal: |resource limitations"),
        errors.RunnerDied,
        "its process died while it was loaded; look for an out-of-memory kill (kernel log, memory.events of the container) "
        "and at the server's log",
    ),
    (
        re.compile(r"incompatible with your version|unsupported|unknown model architecture", re.I),
        errors.LoadFailed,
        "this server cannot run it; update the server, or declare another model",
    ),
    (
        re.compile(r"must be of type"),
        errors.LoadFailed,
        "the model has a parameter of the wrong type; create it again with the right one",
    ),
)


def load_error(exc: errors.OllamaError, model: str, limit: float) -> errors.OllamaError:
    """Return what a failed load means; an error that is not about the load stays what it is.

    :param model: name of the model as shown to people
    :param limit: seconds that the load was given
    """

    def become(kind: type[errors.OllamaError], message: str) -> errors.OllamaError:
        return kind(message, url=exc.url, http_status=exc.http_status, error=exc.error)

    if isinstance(exc, errors.ServerTimeout):
        return become(
            errors.LoadTimeout,
            f"{model} was not loaded within {limit:g} s, so the load was given up; raise load_timeout, or see whether the load "
            "of another model hangs, which this one waits for",
        )
    if isinstance(exc, errors.ServerBusy):
        return become(
            errors.ServerBusy,
            f"{model} was not loaded, since more requests wait for the server than it takes: {exc.error}; run again later, or "
            "raise OLLAMA_MAX_QUEUE of the server",
        )
    if isinstance(exc, errors.ModelNotFound):
        return become(
            errors.LoadFailed,
            f"{model} cannot be loaded: the server does not find it, or files of it ({exc.error}); run again, and where that does not "
            "help, remove it and have it pulled anew",
        )
    if not isinstance(exc, errors.BadAnswer):
        return exc
    text = exc.error or exc.message
    fitting = ((kind, remedy) for pattern, kind, remedy in LOAD_ERRORS if pattern.search(text))
    kind, remedy = next(fitting, (errors.LoadFailed, "see the server's log"))
    return become(kind, f"{model} was not loaded: {text} ({remedy})")


def cannot_generate(exc: errors.BadAnswer) -> bool:
    """Tell whether a model that only embeds was asked for text."""
    return exc.http_status == 400 and "does not support generate" in (exc.error or "")
