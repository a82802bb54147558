# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of ``ollama_model`` as they are given: the declared entries, and the values that cannot be. Pure."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils._answers import wrong_seconds

#: Options in seconds, and those that may be 0.
_TIMES = ("pull_timeout", "stall_timeout", "progress_interval", "load_timeout")
_TIMES_FROM_0 = ("lock_timeout",)
#: Options that count something, with the least they may be.
_COUNTS = (("retries", 0), ("parallel", 1), ("max_delete", 0))


def entries(params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the declared models, those of the short form ``name``, too."""
    given: list[dict[str, Any]] | None = params["models"]
    return [{"name": name} for name in params["name"] or []] if given is None else given


def complaints(params: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each option that cannot be."""
    wanted = [(option, wrong_seconds(params[option])) for option in _TIMES]
    wanted += [(option, wrong_seconds(params[option], zero=True)) for option in _TIMES_FROM_0]
    wanted += [(option, "" if params[option] >= least else f"{least} or more") for option, least in _COUNTS]
    found = [f"{option} is {params[option]}; wanted {text}" for option, text in wanted if text]
    if params["state_dir"] and not os.path.isabs(params["state_dir"]):
        found.append(f"state_dir is '{params['state_dir']}'; wanted an absolute path")
    return found
