# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names and digests of models: ``[scheme://][host/][namespace/]model[:tag]``, normalised and compared as the server does."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidDigest, InvalidName

DEFAULT_HOST = "registry.ollama.ai"
DEFAULT_NAMESPACE = "library"
DEFAULT_TAG = "latest"

#: Namespace of names that this collection makes for itself while it works; nobody may declare it.
RESERVED_NAMESPACE = "alchemorsel-tmp"

_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}")
_NAMESPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class ModelName:
    """A complete model name; the spelling is kept, :attr:`key` is what is compared."""

    host: str
    namespace: str
    model: str
    tag: str

    @property
    def key(self) -> str:
        """Lower-case ``host/namespace/model:tag``: equal for all spellings of one model."""
        return f"{self.host}/{self.namespace}/{self.model}:{self.tag}".lower()

    @property
    def short(self) -> str:
        """The name as the server lists it: defaults of host and namespace hidden, the tag always shown."""
        return f"{self.family}:{self.tag}"

    @property
    def family(self) -> str:
        """:attr:`short` without the tag."""
        if self.host.lower() != DEFAULT_HOST:
            return f"{self.host}/{self.namespace}/{self.model}"
        if self.namespace.lower() != DEFAULT_NAMESPACE:
            return f"{self.namespace}/{self.model}"
        return self.model

    @property
    def reserved_tag(self) -> bool:
        """True for tags to which the API gives another meaning, so that they cannot be addressed safely."""
        tag = self.tag.lower()
        return tag in ("cloud", "local") or tag.endswith("-cloud")

    @property
    def internal(self) -> bool:
        """True for names that this collection makes for itself while it works."""
        return self.host.lower() == DEFAULT_HOST and self.namespace.lower() == RESERVED_NAMESPACE

    def __str__(self) -> str:
        return self.short


def parse_name(text: str) -> ModelName:
    """Parse a name that somebody declares.

    :raises InvalidName: for what Ollama refuses, and for cloud models, reserved tags, digests in names and
        the namespace ``alchemorsel-tmp``
    """
    name = text.strip()
    if not name:
        raise InvalidName("a model name is empty; write a name such as llama3.2:3b")
    if "@" in name:
        raise InvalidName(
            f"model name '{text}' carries a digest, which Ollama does not take; "
            "write the name with its tag, and the digest in the option digest"
        )
    # The server looks at this suffix before it parses the name: x:local means x:latest, x:8b:cloud means x:8b-cloud.
    suffix = re.search(r":(cloud|local|[^/:]*-cloud)$", name, re.IGNORECASE)
    if suffix:
        raise InvalidName(
            f"model name '{text}' has the tag '{suffix.group(1)}', which Ollama reserves: it stands for a model that runs "
            "at ollama.com, or addresses another model than the one named; declare a model with a tag of its own"
        )
    parsed = _parse(name, text)
    if parsed.internal:
        raise InvalidName(
            f"model name '{text}' is in the namespace '{RESERVED_NAMESPACE}', which this collection uses for itself; use another one"
        )
    return parsed


def parse_listed(text: str) -> ModelName:
    """Parse a name as a server lists it: as :func:`parse_name`, but without the refusals of reserved names.

    :raises InvalidName: if it is no model name at all
    """
    return _parse(text.strip(), text)


def name_of(entry: Mapping[str, Any]) -> ModelName | None:
    """Return the name of a model in a server's lists, ``None`` for what is no model name at all."""
    try:
        return parse_listed(str(entry.get("name", "")))
    except InvalidName:
        return None


def _parse(name: str, shown: str) -> ModelName:
    """Split from the right, as the server does, and check each part."""
    rest, tag = name, DEFAULT_TAG
    if rest.rfind(":") > rest.rfind("/"):
        rest, tag = rest.rsplit(":", 1)
    host, namespace = DEFAULT_HOST, DEFAULT_NAMESPACE
    model = rest
    if "/" in rest:
        rest, model = rest.rsplit("/", 1)
        namespace = rest
        if "/" in rest:
            rest, namespace = rest.rsplit("/", 1)
            # The scheme has no effect in the server: it asks by https unless told otherwise (insecure_registries).
            host = re.sub(r"^https?://", "", rest)
    for what, value, pattern, wanted in (
        ("tag", tag, _PART, "1 to 80 of A-Z a-z 0-9 _ . - and not . or - in front"),
        ("model", model, _PART, "1 to 80 of A-Z a-z 0-9 _ . - and not . or - in front"),
        (
            "namespace",
            namespace,
            _NAMESPACE,
            "1 to 80 of A-Z a-z 0-9 _ - and not - in front; a registry needs host/namespace/model",
        ),
        ("host", host, _HOST, "1 to 350 of A-Z a-z 0-9 _ . : - ; IPv6 addresses are not possible in model names"),
    ):
        if not pattern.fullmatch(value):
            raise InvalidName(
                f"model name '{shown}' is invalid: its {what} is '{value}', wanted {wanted}; "
                "the form is [host[:port]/][namespace/]model[:tag]"
            )
    return ModelName(host=host, namespace=namespace, model=model, tag=tag)


def parse_digest(text: str) -> str:
    """Return a digest as ``sha256:`` and 64 lower-case hexadecimal digits; the prefix may be left out.

    :raises InvalidDigest: for anything else
    """
    digest = text.strip().lower()
    if not digest.startswith("sha256:"):
        digest = f"sha256:{digest}"
    if not _DIGEST.fullmatch(digest):
        raise InvalidDigest(
            f"digest '{text}' is invalid: wanted sha256: and 64 hexadecimal digits, "
            "as results of ollama_model and ollama_model_info show it (the short ID of 'ollama list' is not enough)"
        )
    return digest


def is_digest(value: object) -> bool:
    """Tell whether something is a digest in the form of :func:`parse_digest`."""
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def is_registry(text: str) -> bool:
    """Tell whether a text can be HOST:PORT as it stands in the names of models."""
    return bool(text.strip()) and "/" not in text


def matches(name: ModelName, patterns: Iterable[str]) -> bool:
    """Tell whether a shell pattern covers the name: with or without tag, with or without default host and namespace.

    Each pattern is compared with the whole name, never with a part: ``gemma3`` covers every tag of gemma3, not gemma3n.
    """
    full = name.key
    short = name.short.lower()
    forms = (full, full.rsplit(":", 1)[0], short, name.family.lower())
    return any(fnmatch.fnmatchcase(form, pattern.strip().lower()) for pattern in patterns for form in forms)
