# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observations of an Ollama server -> checks -> one verdict. No I/O: `_probe.py` asks, this file judges.

What a model's run tells is judged in `_inference.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Union

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import (
    ModelName,
    parse_digest,
    parse_listed,
    parse_name,
)

OK, FAILED, SKIPPED, WARNING = "ok", "failed", "skipped", "warning"
HEALTHY = "healthy"
Number = Union[int, float]

# What time alone does not cure: `wait_timeout` ends at once.
FINAL_VERDICTS = ("tls_failure", "refused", "old_version", "cloud_on", "low_space", "not_loaded", "on_cpu")


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `verdict` is the word for its failure; `value` and `threshold` are in `unit`."""

    name: str
    status: str
    reason: str
    target: str | None = None
    verdict: str | None = None
    value: Number | str | bool | None = None
    threshold: Number | str | bool | None = None
    unit: str | None = None
    remedy: str | None = None


@dataclass(frozen=True)
class Wanted:
    """A declared model and, optionally, the digest (`sha256:<hex>`) that it must have."""

    name: ModelName
    digest: str | None = None


# --- live ------------------------------------------------------------------------------------------------------------

# Exception -> verdict, the most special first; what is not listed is a `bad_answer`.
_VERDICTS: tuple[tuple[type[errors.OllamaError], str], ...] = (
    (errors.TLSFailure, "tls_failure"),
    (errors.NotOllama, "not_ollama"),
    (errors.AccessRefused, "refused"),
    (errors.ServerBusy, "busy"),
    (errors.ModelNotFound, "model_missing"),
    (errors.ServerUnreachable, "unreachable"),
    (errors.StreamBroken, "unreachable"),
)


def verdict_of_error(error: errors.OllamaError) -> str:
    """Return the verdict that fits an exception of the client."""
    return next((verdict for kind, verdict in _VERDICTS if isinstance(error, kind)), "bad_answer")


def failed_request(name: str, error: errors.OllamaError, target: str | None = None) -> Check:
    """Return the check of a request that failed; the exceptions' messages end with their remedy after a semicolon."""
    reason, _semicolon, remedy = error.message.rpartition("; ")
    return Check(
        name, FAILED, reason or error.message, target, verdict_of_error(error), remedy=remedy if reason else None
    )


def version_key(text: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: `0.32.15-rc1` -> (0, 32, 15); () if there are none."""
    match = re.match(r"v?(\d+(?:\.\d+)*)", text.strip())
    return tuple(int(part) for part in match.group(1).split(".")) if match else ()


def check_version(version: str, floor: str) -> Check:
    if version_key(version) < version_key(floor):
        return Check(
            "version",
            FAILED,
            f"Ollama {version} is older than {floor}",
            verdict="old_version",
            value=version,
            threshold=floor,
            remedy="upgrade the server, or lower min_version if its known holes are acceptable here",
        )
    return Check("version", OK, f"Ollama {version}", value=version, threshold=floor)


# --- ready -----------------------------------------------------------------------------------------------------------


def same_model(name: ModelName, listed: dict[str, Any]) -> bool:
    """Whether an entry of tags or ps is this model, compared as the server does."""
    try:
        return parse_listed(str(listed.get("name") or listed.get("model") or "")).key == name.key
    except errors.InvalidName:
        return False


def find_model(name: ModelName, models: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the entry of this model in tags or ps."""
    return next((entry for entry in models if same_model(name, entry)), None)


def wanted_models(declared: list[Any]) -> list[Wanted]:
    """Read the option `models`: names, or dictionaries as ollama_model takes them; those to be absent are left out.

    :raises InvalidInput: for anything else, an invalid name or an invalid digest
    """
    wanted = []
    for entry in declared:
        item = {"name": entry} if isinstance(entry, str) else entry
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            raise errors.InvalidInput(f"models contains {entry!r}; wanted a name, or a dictionary with name and digest")
        if item.get("state") == "absent":
            continue
        digest = item.get("digest")
        wanted.append(Wanted(parse_name(item["name"]), parse_digest(str(digest)) if digest else None))
    return wanted


def check_model(wanted: Wanted, listed: dict[str, Any] | None, show_error: errors.OllamaError | None = None) -> Check:
    """Judge one declared model by its entry in tags and by what show said (None: it answered)."""
    target = wanted.name.short
    if listed is None:
        return Check(
            "model",
            FAILED,
            f"model {target} is not on the server",
            target,
            "model_missing",
            remedy="pull it with ollama_model",
        )
    digest = str(listed.get("digest", ""))
    if wanted.digest and digest != wanted.digest:
        return Check(
            "model",
            FAILED,
            f"model {target} has another digest than declared",
            target,
            "wrong_digest",
            digest,
            wanted.digest,
            remedy="run ollama_model with this digest, or update the declared digest",
        )
    if isinstance(show_error, (errors.ModelNotFound, errors.BadAnswer)):
        return Check(
            "model",
            FAILED,
            f"model {target} is listed, but its files are missing or damaged: {show_error.error or show_error.message}",
            target,
            "model_broken",
            digest,
            wanted.digest,
            remedy="pull it again",
        )
    if show_error is not None:
        return failed_request("model", show_error, target)
    return Check("model", OK, f"model {target} is there and whole", target, None, digest, wanted.digest)


def check_space(path: str, free: int | None, floor: int) -> Check:
    """Judge the free bytes below the store; `free` is None if the path does not exist."""
    if free is None:
        return Check(
            "space",
            FAILED,
            f"store_path {path} does not exist on the host where the module runs",
            path,
            "low_space",
            threshold=floor,
            unit="bytes",
            remedy="give the server's model directory as this host sees it",
        )
    enough = free >= floor
    return Check(
        "space",
        OK if enough else FAILED,
        f"{free / 1e9:.1f} GB are free in {path}" + ("" if enough else f", {floor / 1e9:.1f} GB are wanted"),
        path,
        None if enough else "low_space",
        free,
        floor,
        "bytes",
        None if enough else "remove models, or enlarge the file system",
    )


def check_cloud(status: dict[str, Any]) -> Check:
    """Judge the server's cloud switch, as /api/status tells it."""
    if status.get("disabled") is True:
        return Check(
            "cloud", OK, f"cloud models are disabled ({status.get('source', 'unknown')})", value=True, threshold=True
        )
    return Check(
        "cloud",
        FAILED,
        "cloud models are enabled: prompts to them leave this host",
        verdict="cloud_on",
        value=False,
        threshold=True,
        remedy="start the server with OLLAMA_NO_CLOUD=1",
    )


# --- together ---------------------------------------------------------------------------------------------------------


def verdict(checks: list[Check]) -> str:
    """Return the word of the first failed check, `healthy` if none failed."""
    return next((check.verdict or "bad_answer" for check in checks if check.status == FAILED), HEALTHY)


def sentence(url: str, version: str | None, checks: list[Check], wait_timeout: float, attempts: int) -> str:
    """Return the outcome in one sentence: every complaint with its remedy, or what was proven."""
    complaints = [
        f"{check.reason}; {check.remedy}" if check.remedy else check.reason
        for check in checks
        if check.status == FAILED
    ]
    if complaints:
        waited = f" after {attempts} attempts in {wait_timeout:g} s" if attempts > 1 else ""
        return f"{url} is not healthy{waited} ({verdict(checks)}): " + ". ".join(complaints)
    parts = [f"Ollama {version}"]
    models = sum(1 for check in checks if check.name == "model")
    if models:
        parts.append(f"{models} model{'' if models == 1 else 's'} ready")
    parts += [f"{check.target} answered in {check.value:.2f} s" for check in checks if check.name == "seconds"]
    return f"{url} is healthy: " + ", ".join(parts)
