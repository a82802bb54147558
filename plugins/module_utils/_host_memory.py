# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What may be in a server's memory at once, against its limit. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidName
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_name
from ansible_collections.alchemorsel.ollama.plugins.module_utils._numbers import counted

_MIB = 1 << 20
#: From this much GPU memory on, in MiB, the server takes this context where none is set.
_CONTEXTS = ((47 * 1024, 262144), (23 * 1024, 32768), (0, 4096))


@dataclass(frozen=True)
class Sized:
    """A model in the store.

    :param weights: digest of its weights, which models that share a process have in common
    """

    name: str
    bytes: int
    weights: str

    @property
    def figure(self) -> str:
        """Name and size, for people."""
        return f"{self.name} {gib(self.bytes)}"


def gib(number: float) -> str:
    """Return bytes as GiB, the unit of the limits."""
    return f"{number / (1 << 30):.1f} GiB"


def sized(lines: Iterable[str], declared: Iterable[Mapping[str, Any]]) -> list[Sized]:
    """Return the declared models that the store has, the largest first, each set of weights once.

    :param lines: ``BYTES WEIGHTS MANIFEST``, the last as a path below the store's manifests
    """
    stored: dict[str, tuple[int, str]] = {}
    for line in lines:
        number, _blank, rest = line.partition(" ")
        weights, _blank, path = rest.partition(" ")
        size = counted(number)
        # The path of a file may have a line's end in it, and its rest is no line of ours
        if size is not None and path:
            stored[path.lower()] = (size, weights)
    found: dict[str, Sized] = {}
    for entry in declared:
        if entry.get("state") == "absent":
            continue
        try:
            name = parse_name(str(entry.get("name", "")))
        except InvalidName:
            # ollama_model says what is wrong with it
            continue
        key = f"{name.host}/{name.namespace}/{name.model}/{name.tag}".lower()
        if key in stored:
            size, weights = stored[key]
            found.setdefault(weights if weights != "-" else key, Sized(name.short, size, weights))
    return sorted(found.values(), key=lambda model: (-model.bytes, model.name))


def judge(models: Sequence[Sized], limit: int, at_once: int, prompt_cache_mib: int) -> dict[str, str]:
    """Return ``complaint`` where one model cannot be loaded, ``warning`` where those that may be loaded at once do not fit.

    :param models: the largest first
    :param limit: bytes that the container may use
    """
    cache = prompt_cache_mib * _MIB
    verdict = {"complaint": "", "warning": ""}
    # The cache is no certain need: it grows with the prompts, up to its size
    too_large = [model for model in models if model.bytes > limit]
    if too_large:
        verdict["complaint"] = (
            f"the limit is {gib(limit)}, less than the files of {', '.join(model.figure for model in too_large)}, so that the kernel would kill "
            "the model while it loads"
        )
        return verdict
    together = models[:at_once]
    total = sum(model.bytes + cache for model in together)
    if total > limit:
        listed = " + ".join(model.figure for model in together)
        verdict["warning"] = (
            f"what may be in memory at once does not fit into the limit of {gib(limit)}: {listed} + {len(together)} x {gib(cache)} of prompt cache "
            f"are {gib(total)}, without what contexts need. The server does not see that limit, and the kernel would kill models that are serving"
        )
    return verdict


def default_context(gpus: Iterable[Mapping[str, Any]]) -> Optional[int]:
    """Return the context that the server takes where none is set, ``None`` if the memory of the GPUs is not known."""
    sizes = [gpu.get("memory_mib") for gpu in gpus]
    known = [size for size in sizes if isinstance(size, (int, float)) and size > 0]
    if not known or len(known) != len(sizes):
        return None
    return next(context for least, context in _CONTEXTS if sum(known) >= least)
