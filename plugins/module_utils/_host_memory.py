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


#: The server's own context on a host without a GPU, in tokens.
_CONTEXT = 4096
#: Bytes of a number in the cache of keys and values; blocks of 32 have a scale each.
_NUMBER = {"f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}


@dataclass(frozen=True)
class Context:
    """What each loaded model gives its requests.

    :param tokens: of one request, 0 for the server's own choice
    :param parallel: requests at a time
    :param kind: number format of the cache
    """

    tokens: int = 0
    parallel: int = 1
    kind: str = "f16"


@dataclass(frozen=True)
class Sized:
    """A model in the store.

    :param weights: digest of its weights, which models that share a process have in common
    :param numbers: what a token takes in the cache of keys and values, 0 if that is not known
    :param trained: the longest context it was trained for, 0 if that is not known
    """

    name: str
    bytes: int
    weights: str
    numbers: int = 0
    trained: int = 0

    @property
    def figure(self) -> str:
        """Name and size, for people."""
        return f"{self.name} {gib(self.bytes)}"

    def tokens(self, context: Context) -> int:
        """Return the tokens of one request; no model has more than it was trained for."""
        wanted = context.tokens or _CONTEXT
        return min(wanted, self.trained) if self.trained else wanted

    def cache(self, context: Context) -> float:
        """Return the bytes that its contexts take at most."""
        return self.numbers * _NUMBER[context.kind] * self.tokens(context) * context.parallel

    def with_context(self, context: Context) -> str:
        """Name, size and contexts, for people."""
        if not self.numbers:
            return f"{self.figure} (and contexts of unknown size)"
        return f"{self.figure} and {gib(self.cache(context))} for {context.parallel} x {self.tokens(context)} tokens"


def gib(number: float) -> str:
    """Return bytes as GiB, the unit of the limits."""
    return f"{number / (1 << 30):.1f} GiB"


def sized(lines: Iterable[str], declared: Iterable[Mapping[str, Any]], shapes: Iterable[str] = ()) -> list[Sized]:
    """Return the declared models that the store has, the largest first, each set of weights once.

    :param lines: ``BYTES WEIGHTS MANIFEST``, the last as a path below the store's manifests
    :param shapes: ``WEIGHTS NUMBERS TRAINED``, see :class:`Sized`
    """
    known = {weights: (int(numbers), int(trained)) for weights, numbers, trained in map(str.split, shapes)}
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
            found.setdefault(
                weights if weights != "-" else key, Sized(name.short, size, weights, *known.get(weights, (0, 0)))
            )
    return sorted(found.values(), key=lambda model: (-model.bytes, model.name))


def judge(models: Sequence[Sized], limit: int, at_once: int, prompt_cache_mib: int, context: Context) -> dict[str, str]:
    """Return ``complaint`` where one model cannot be loaded, ``warning`` where those that may be loaded at once may not fit, and the ``figures``.

    :param models: the largest first
    :param limit: bytes that the container may use
    """
    cache = prompt_cache_mib * _MIB
    together = models[:at_once]
    total = sum(model.bytes + model.cache(context) + cache for model in together)
    listed = " + ".join(model.with_context(context) for model in together)
    figures = f"{listed} + {len(together)} x {gib(cache)} of prompt cache are {gib(total)}" if together else ""
    verdict = {"complaint": "", "warning": "", "figures": figures}
    # Contexts and cache are no certain need: the one is an upper bound, the other grows with the prompts
    too_large = [model for model in models if model.bytes > limit]
    if too_large:
        verdict["complaint"] = (
            f"the limit is {gib(limit)}, less than the files of {', '.join(model.figure for model in too_large)}, so that the kernel would kill "
            "the model while it loads"
        )
    elif total > limit:
        verdict["warning"] = (
            f"what may be in memory at once does not fit into the limit of {gib(limit)}: {figures}. The server does not see that limit, and the "
            "kernel would kill models that are serving"
        )
    return verdict


def default_context(gpus: Iterable[Mapping[str, Any]]) -> Optional[int]:
    """Return the context that the server takes where none is set, ``None`` if the memory of the GPUs is not known."""
    sizes = [gpu.get("memory_mib") for gpu in gpus]
    known = [size for size in sizes if isinstance(size, (int, float)) and size > 0]
    if not known or len(known) != len(sizes):
        return None
    return next(context for least, context in _CONTEXTS if sum(known) >= least)
