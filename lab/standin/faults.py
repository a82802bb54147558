# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that the model registry can be told to show, and what it counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from typing import Any

#: what a fault can do to a request
KINDS = {
    "status": "answer with `status`, `body` and `headers`",
    "stall": "send `after` bytes of the body, then nothing (`after` -1: not even the head); hold the connection until this is removed, then cut it",
    "drip": "send `chunk` bytes of the body at a time, `rate` bytes a second",
    "truncate": "end the connection in good order after `after` bytes, as if that were all",
    "drop": "cut the connection after `after` bytes (-1: before the head)",
    "corrupt": "send the right number of wrong bytes",
    "delay": "wait `seconds`, then answer as usual, or with `status` if given",
    "meet": "wait until blobs of `models` models were asked for at the same time since the last reset, 20 s at most, and `seconds` more; then answer as usual",
    "no-location": "answer a plain blob GET without its Location header",
    "redirect": "answer a plain blob GET with `status` (default 307) and Location `location` + path",
}
#: kinds of requests, as they are counted and as a fault may name them
REQUESTS = ("manifest", "blob_head", "blob_get", "blob_range", "other")


class FaultError(ValueError):
    """A fault that is not described well."""


@dataclass
class Fault:
    """One rule: requests whose path matches `path` (regular expression) and whose kind is `request` (empty: any)."""

    kind: str
    path: str = ""
    request: str = ""
    times: int = -1
    status: int = 0
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    after: int = 0
    rate: int = 0
    chunk: int = 50_000
    seconds: float = 0.0
    models: int = 0
    location: str = ""

    def matches(self, kind: str, path: str) -> bool:
        return self.times != 0 and self.request in ("", kind) and re.search(self.path, path) is not None


def parse_fault(data: Any) -> Fault:
    """A fault from its JSON; raises FaultError."""
    known = {item.name for item in fields(Fault)}
    if not isinstance(data, dict) or data.get("kind") not in KINDS:
        raise FaultError(f"kind is none of {', '.join(KINDS)}")
    if unknown := sorted(set(data) - known):
        raise FaultError(f"unknown fields {', '.join(unknown)}: known are {', '.join(sorted(known))}")
    if data.get("request", "") not in ("", *REQUESTS):
        raise FaultError(f"request is none of {', '.join(REQUESTS)}")
    return Fault(**data)


class Control:
    """The faults in force and the counters."""

    def __init__(self, latency: float = 0.0):
        self.latency = latency
        self.reset()

    def reset(self) -> None:
        self.faults: list[Fault] = []
        self.requests: Counter[str] = Counter()
        self.bytes = 0
        self.log: list[str] = []
        self.models: Counter[str] = Counter()
        self.models_at_once = 0

    @contextmanager
    def serving(self, path: str) -> Iterator[None]:
        """Counts how many models have a request for a blob under way."""
        if "/blobs/" not in path:
            yield
            return
        models, model = self.models, path.partition("/blobs/")[0]
        models[model] += 1
        self.models_at_once = max(self.models_at_once, len(models))
        try:
            yield
        finally:
            models[model] -= 1
            # without an entry of 0, so that its length counts
            models += Counter()

    def take(self, kind: str, path: str) -> Fault | None:
        """The first fault for a request, counted as used."""
        for fault in self.faults:
            if fault.matches(kind, path):
                fault.times -= 1 if fault.times > 0 else 0
                return fault
        return None

    def counts(self) -> dict[str, Any]:
        """The counters: requests by kind, bytes of blobs, most models at a time, and each request in order."""
        return {
            "requests": {kind: self.requests[kind] for kind in REQUESTS},
            "bytes": self.bytes,
            "models_at_once": self.models_at_once,
            "log": list(self.log),
            "faults": [asdict(fault) for fault in self.faults],
        }
