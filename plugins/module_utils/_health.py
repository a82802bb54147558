# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observations of an Ollama server -> checks -> one verdict. No I/O: `_probe.py` asks, this file judges.

What a model's run tells is judged in `_run.py`, what the host tells in `_witness.py`, `_cgroup.py` and `_certificate.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils import _errors as errors
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import (
    ModelName,
    parse_digest,
    parse_listed,
    parse_name,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._verdicts import (
    FAILED,
    HEALTHY,
    OK,
    Check,
    failed,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._versions import parse_version, version_numbers


@dataclass(frozen=True)
class WantedModel:
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
    (errors.ServerUnreachable, "no_answer"),
    (errors.StreamBroken, "no_answer"),
)


def verdict_of_error(error: errors.OllamaError) -> str:
    """Return the verdict that fits an exception of the client."""
    if isinstance(error, errors.ServerUnreachable) and not error.connected:
        return "unreachable"
    return next((verdict for kind, verdict in _VERDICTS if isinstance(error, kind)), "bad_answer")


def failed_request(name: str, error: errors.OllamaError, target: str | None = None) -> Check:
    """Return the check of a request that failed; the exceptions' messages end with their remedy after a semicolon."""
    reason, _semicolon, remedy = error.message.rpartition("; ")
    return failed(name, verdict_of_error(error), reason or error.message, target, remedy=remedy if reason else None)


# How far a first request came by its verdict: the check that failed; those before it in `_STEPS` held.
_STEPS = ("tcp", "tls", "http", "api")
_FAILED_STEP = {"unreachable": "tcp", "tls_failure": "tls", "no_answer": "http"}


def check_first_request(url: str, seconds: float, limit: float, error: errors.OllamaError | None = None) -> list[Check]:
    """Judge the first request step by step: connection, TLS, HTTP, and whether it is Ollama that answers.

    :param seconds: how long the answer took
    :param limit: how long it could have taken
    """
    tls = url.startswith("https:")
    held = {
        "tcp": Check("tcp", OK, f"{url} takes connections"),
        "tls": Check("tls", OK, f"{url} speaks TLS"),
        "http": Check("http", OK, f"{url} answers HTTP", value=round(seconds, 3), threshold=limit, unit="s"),
        "api": Check("api", OK, f"an Ollama server answers at {url}"),
    }
    steps = [step for step in _STEPS if tls or step != "tls"]
    if error is None:
        return [held[step] for step in steps]
    step = _FAILED_STEP.get(verdict_of_error(error), "api")
    before = steps[: steps.index(step)] if step in steps else ["tcp"]
    return [*(held[name] for name in before), failed_request(step, error)]


def check_version(version: str, floor: str) -> Check:
    """Judge the version that the server says; one that says none has not shown that it is new enough."""
    numbers, least = parse_version(version), version_numbers(floor)
    if (numbers or ()) < least and any(least):
        unknown = f"the server says version '{version}', so it is unknown whether it is at least {floor}"
        reason = f"Ollama {version} is older than {floor}" if numbers else unknown
        return failed("version", "old_version", reason, value=version, threshold=floor)
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


def wanted_models(declared: list[Any]) -> list[WantedModel]:
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
        wanted.append(WantedModel(parse_name(item["name"]), parse_digest(str(digest)) if digest else None))
    return wanted


def check_model(
    wanted: WantedModel, listed: dict[str, Any] | None, show_error: errors.OllamaError | None = None
) -> Check:
    """Judge one declared model by its entry in tags and by what show said (None: it answered)."""
    target = wanted.name.short
    if listed is None:
        return failed("model", "model_missing", f"model {target} is not on the server", target)
    digest = str(listed.get("digest", ""))
    if wanted.digest and digest != wanted.digest:
        reason = f"model {target} has another digest than declared"
        return failed("model", "wrong_digest", reason, target, digest, wanted.digest)
    if isinstance(show_error, (errors.ModelNotFound, errors.BadAnswer)):
        said = show_error.error or show_error.message
        reason = f"model {target} is listed, but its files are missing or damaged: {said}"
        return failed("model", "model_broken", reason, target, digest, wanted.digest)
    if show_error is not None:
        return failed_request("model", show_error, target)
    return Check("model", OK, f"model {target} is there and whole", target, None, digest, wanted.digest)


def check_space(path: str, free: int | None, floor: int) -> Check:
    """Judge the free bytes below the store; `free` is None if the path does not exist."""
    if free is None:
        return failed(
            "space",
            "low_space",
            f"store_path {path} does not exist on the host where the module runs",
            path,
            threshold=floor,
            unit="bytes",
            remedy="give the server's model directory as this host sees it",
        )
    reason = f"{free / 1e9:.1f} GB are free in {path}"
    if free >= floor:
        return Check("space", OK, reason, path, None, free, floor, "bytes")
    return failed("space", "low_space", f"{reason}, {floor / 1e9:.1f} GB are wanted", path, free, floor, "bytes")


def check_cloud(status: dict[str, Any]) -> Check:
    """Judge the server's cloud switch, as /api/status tells it."""
    if status.get("disabled") is True:
        return Check(
            "cloud", OK, f"cloud models are disabled ({status.get('source', 'unknown')})", value=True, threshold=True
        )
    reason = "cloud models are enabled: prompts to them leave this host"
    return failed("cloud", "cloud_on", reason, value=False, threshold=True)


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
        return f"{url} is not healthy{waited} ({verdict(checks)}): " + "; also: ".join(complaints)
    parts = [f"Ollama {version}"]
    models = sum(1 for check in checks if check.name == "model")
    if models:
        parts.append(f"{models} model{'' if models == 1 else 's'} ready")
    parts += [f"{check.target} answered in {check.value:.2f} s" for check in checks if check.name == "seconds"]
    return f"{url} is healthy: " + ", ".join(parts)
