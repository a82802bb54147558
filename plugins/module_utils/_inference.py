# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which model proves that a server infers, and with which request. No I/O.

What its run tells is judged in `_run.py`.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils._health import find_model
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName, name_of
from ansible_collections.alchemorsel.ollama.plugins.module_utils._verdicts import Check, Number, failed
from ansible_collections.alchemorsel.ollama.plugins.module_utils._versions import parse_version

# An expiry this far away is a pin (keep_alive below 0 gives a date in about 292 years).
PINNED_SECONDS = 10 * 365 * 24 * 3600
# A loaded model that leaves within this time counts as not loaded: its load must not fall into the time of an answer.
LEAVING_SECONDS = 5.0

# --- which model, for how long ---------------------------------------------------------------------------------------


def seconds_left(entry: dict[str, Any], now: datetime) -> float | None:
    """Return the seconds until a loaded model leaves memory; None if ps does not tell it."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", str(entry.get("expires_at", "")))
    if not match:
        return None
    # The server writes nanoseconds, datetime takes microseconds.
    fraction = (match.group(2) or ".0")[:7].ljust(7, "0")
    zone = "+00:00" if match.group(3) == "Z" else match.group(3)
    try:
        return (datetime.fromisoformat(match.group(1) + fraction + zone) - now).total_seconds()
    except ValueError:
        return None


def is_staying(entry: dict[str, Any] | None, now: datetime) -> bool:
    """Whether a model is loaded and not about to leave."""
    if entry is None:
        return False
    left = seconds_left(entry, now)
    return left is None or left > LEAVING_SECONDS


def keep_alive(entry: dict[str, Any], now: datetime) -> Number | None:
    """Return the keep_alive (s) that leaves a loaded model's stay as it is; -1 for a pinned one, None for none to send."""
    left = seconds_left(entry, now)
    if left is None:
        return None
    return -1 if left > PINNED_SECONDS else max(1, int(left))


def choose_models(
    explicit: list[ModelName],
    declared: list[ModelName],
    tags: list[dict[str, Any]],
    loaded: list[dict[str, Any]],
    allow_load: bool,
) -> list[ModelName] | Check:
    """Return the models to prove inference with, or the failed check that says why there is none.

    Explicit ones if given; else one model: a declared one that is loaded, any loaded one, the smallest declared one, the
    smallest of the server; those that only embed last. A model that is not loaded is taken only where that evicts nobody, or with `allow_load`.
    """
    if explicit:
        if allow_load or not loaded:
            return explicit
        absent = [name.short for name in explicit if find_loaded(name, tags, loaded) is None]
        if not absent:
            return explicit
        return evicts(absent[0], loaded)
    in_memory = [name for name in declared if find_loaded(name, tags, loaded)]
    if in_memory:
        return in_memory[:1]
    running = [name for name in map(name_of, loaded) if name]
    if loaded and not allow_load:
        return running[:1] or evicts("a model of the server", loaded)
    wanted = {name.key for name in declared}
    named = [(name_of(entry), entry) for entry in tags if not entry.get("remote_host")]
    candidates = [(name, entry) for name, entry in named if name]
    preferred = [pair for pair in candidates if pair[0].key in wanted] or candidates
    if not preferred:
        return failed("load", "model_missing", "the server has no model to run")
    # One that writes tokens proves more than one that embeds.
    best = min(preferred, key=lambda pair: (_seems_to_embed(pair[1]), pair[1].get("size") or 0))
    return [best[0]]


def evicts(model: str, loaded: list[dict[str, Any]]) -> Check:
    """Return the failed check of a model that is not loaded because of those that are."""
    others = ", ".join(str(entry.get("name")) for entry in loaded)
    return failed("load", "not_loaded", f"{model} is not loaded, and loading it could evict what is: {others}", model)


def find_loaded(name: ModelName, tags: list[dict[str, Any]], loaded: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the line of ps under which a model is loaded: its own, or that of a copy of it.

    Models that share their weights share one runner, which ps shows under the name that loaded it. A copy has the same
    digest; a model derived from another one cannot be seen.
    """
    by_name = find_model(name, loaded)
    digest = (find_model(name, tags) or {}).get("digest")
    if by_name is not None or not digest:
        return by_name
    return next((entry for entry in loaded if entry.get("digest") == digest), None)


def _seems_to_embed(listed: dict[str, Any]) -> bool:
    """Whether a model of tags looks embedding-only; servers before 0.30 list no capabilities there, only the family."""
    if listed.get("capabilities"):
        return is_embedding_only(listed)
    return "bert" in str((listed.get("details") or {}).get("family") or "")


def is_embedding_only(shown: dict[str, Any]) -> bool:
    """Whether a model embeds and does not generate, by the capabilities that show tells."""
    capabilities = shown.get("capabilities") or []
    return "embedding" in capabilities and "completion" not in capabilities


def runner_options(entry: dict[str, Any] | None, shown: dict[str, Any], version: str) -> dict[str, int]:
    """Return the options under which the server uses a loaded runner as it is, instead of loading the model again.

    A runner is replaced if a request asks for another context, and its pin is lost then. ps shows the context clamped to
    what the model was trained for. Servers from 0.30 on compare clamped values when they generate; older ones, and all
    when they embed, compare what was asked for, which cannot be seen where the value was clamped: then nothing is sent, and
    the default is compared.
    """
    context = (entry or {}).get("context_length")
    if not isinstance(context, int) or context <= 0:
        return {}
    trained = next(
        (value for key, value in (shown.get("model_info") or {}).items() if key.endswith(".context_length")), None
    )
    if context == trained and ((parse_version(version) or ()) < (0, 30) or is_embedding_only(shown)):
        return {}
    return {"num_ctx": context}
