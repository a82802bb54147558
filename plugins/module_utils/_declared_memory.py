# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which declared models run in one process, and what cannot be declared of the memory together: pure functions.

The server runs a model under the path of its weights. So an alias, and a model created from another one, run in the same
process as that one, unless they ask for other options of the process; and the server shows only the name under which the
process was started.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import Desired
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName
from ansible_collections.alchemorsel.ollama.plugins.module_utils._states import ABSENT

#: Parameters of a model that its process is started with; with others it is started anew. The last one is 0.32's.
RUNNER_PARAMETERS = frozenset(
    ("num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread", "draft_num_predict")
)


@dataclass(frozen=True)
class Residence:
    """One model that is declared to be in memory, or not to be.

    :param name: the name under which it is loaded
    :param names: all known names under which its process may be shown, this one included
    """

    name: ModelName
    loaded: bool
    names: tuple[ModelName, ...]


def residences(desired: Sequence[Desired]) -> tuple[Residence, ...]:
    """Return what is declared of the memory, one for each process; :func:`conflicts` says what cannot be."""
    entries = {item.name.key: item for item in desired}
    runs_as = {item.name.key: _runs_as(item.name, entries) for item in desired if item.state != ABSENT}
    found: dict[str, Residence] = {}
    for item in desired:
        if item.loaded is None or item.name.key not in runs_as:
            continue
        root = runs_as[item.name.key]
        names = {root.key: root}
        names.update((key, entries[key].name) for key, other in runs_as.items() if other.key == root.key)
        found.setdefault(root.key, Residence(item.name, item.loaded, tuple(names.values())))
    return tuple(found.values())


def conflicts(desired: Sequence[Desired]) -> list[str]:
    """Return what is wrong with what is declared of the memory, taken together."""
    entries = {item.name.key: item for item in desired}
    complaints: list[str] = []
    processes: dict[str, Desired] = {}
    weights: dict[str, tuple[str, Desired]] = {}
    for item in desired:
        if item.loaded is None:
            continue
        root = _runs_as(item.name, entries)
        if any(step.origin and step.origin.recipe for step in _steps(item.name, root, entries)):
            complaints.append(
                f"{item.name} is declared {_word(item)}, but it runs in the same process as {root}, and the server shows only "
                f"the name under which that was started; declare it of {root} instead"
            )
            continue
        other = processes.setdefault(root.key, item)
        if other.loaded is not item.loaded:
            complaints.append(
                f"{other.name} is declared {_word(other)} and {item.name} {_word(item)}, but they are one model under two "
                "names; declare the same of both"
            )
        if item.loaded:
            base = _weights(item.name, entries)
            key, other = weights.setdefault(base.key, (root.key, item))
            if key != root.key:
                complaints.append(
                    f"{other.name} and {item.name} are declared loaded, but they have the weights of {base}, and the server "
                    "runs these under one set of options at a time; declare one of them loaded"
                )
    return complaints


def _word(item: Desired) -> str:
    return "loaded" if item.loaded else "not loaded"


def _runs_as(name: ModelName, entries: Mapping[str, Desired]) -> ModelName:
    """Return the model in whose process this one runs: its target, or its base where it asks for no other options."""
    seen: set[str] = set()
    item = entries.get(name.key)
    while item and item.origin and item.name.key not in seen:
        if item.origin.recipe and RUNNER_PARAMETERS & set(item.origin.recipe.parameters):
            break
        seen.add(item.name.key)
        name = item.origin.name
        item = entries.get(name.key)
    return name


def _weights(name: ModelName, entries: Mapping[str, Desired]) -> ModelName:
    """Return the model whose weights this one has, as far as declarations tell."""
    origins = [step.origin.name for step in _steps(name, None, entries) if step.origin]
    return origins[-1] if origins else name


def _steps(name: ModelName, end: ModelName | None, entries: Mapping[str, Desired]) -> Iterator[Desired]:
    """Yield the declared models on the way from this one to another that it is made from, or to the last one."""
    seen: set[str] = set()
    item = entries.get(name.key)
    while item and item.name.key not in seen and not (end and item.name.key == end.key):
        yield item
        seen.add(item.name.key)
        item = entries.get(item.origin.name.key) if item.origin else None
