# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Model names: `[scheme://][host/][namespace/]model[:tag]`."""

from __future__ import annotations

import re
from dataclasses import dataclass

DEFAULT_HOST = "registry.ollama.ai"
DEFAULT_NAMESPACE = "library"
DEFAULT_TAG = "latest"

_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}\Z")
_NAMESPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}\Z")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}\Z")


@dataclass(frozen=True)
class Name:
    """A full model name. Compare with `same`: letters' case does not matter."""

    host: str
    namespace: str
    model: str
    tag: str

    @property
    def full(self) -> str:
        return f"{self.host}/{self.namespace}/{self.model}:{self.tag}"

    @property
    def short(self) -> str:
        """The name as `tags` shows it: without the default host and namespace, always with the tag."""
        text = f"{self.model}:{self.tag}"
        if self.host == DEFAULT_HOST:
            return text if self.namespace == DEFAULT_NAMESPACE else f"{self.namespace}/{text}"
        return f"{self.host}/{self.namespace}/{text}"

    def same(self, other: Name) -> bool:
        return self.full.lower() == other.full.lower()


def parse(text: str) -> Name | None:
    """The full name, or None where the text is no model name."""
    text = text.split("://", 1)[1] if "://" in text else text
    head, slash, last = text.rpartition("/")
    model, colon, tag = last.partition(":")
    parts = head.split("/") if slash else []
    if len(parts) > 2 or (colon and not tag):
        return None
    namespace = parts[-1] if parts else DEFAULT_NAMESPACE
    host = parts[0] if len(parts) == 2 else DEFAULT_HOST
    tag = tag if colon else DEFAULT_TAG
    if not (_HOST.match(host) and _NAMESPACE.match(namespace) and _PART.match(model) and _PART.match(tag)):
        return None
    return Name(host, namespace, model, tag)


@dataclass(frozen=True)
class Request:
    """A name as an endpoint receives it: the suffix that says where the model runs is taken off first."""

    given: str
    name: Name | None
    source: str  # "", "cloud" or "local"


def parse_request(text: str) -> Request:
    """Reads `x:cloud`, `x:8b-cloud`, `x:8b:cloud` and `x:local` the way pull, show and the others do."""
    base = text.strip()
    source = ""
    lowered = base.lower()
    if lowered.endswith(":local"):
        base, source = base[: -len(":local")], "local"
    elif lowered.endswith(":cloud"):
        stem = base[: -len(":cloud")]
        source = "cloud"
        base = f"{stem}-cloud" if ":" in stem.rpartition("/")[2] else base
    elif lowered.endswith("-cloud") and ":" in base.rpartition("/")[2]:
        source = "cloud"
    return Request(text, parse(base), source)
