# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What cannot fit is not begun: the bytes of all fetches and uploads against the disk, each model against the memory. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import (
    NO_OFFER,
    Action,
    Draft,
    Offer,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._broken import Stock
from ansible_collections.alchemorsel.ollama.plugins.module_utils._declare import Desired
from ansible_collections.alchemorsel.ollama.plugins.module_utils._held import Held
from ansible_collections.alchemorsel.ollama.plugins.module_utils._progress import human_bytes
from ansible_collections.alchemorsel.ollama.plugins.module_utils._record import SourceFile
from ansible_collections.alchemorsel.ollama.plugins.module_utils._states import ABSENT
from ansible_collections.alchemorsel.ollama.plugins.module_utils._store import Contents

#: Times that a file is in the store when a model has been created from it: the upload, and what servers from 0.30 on write anew.
COPIES = 2


@dataclass(frozen=True)
class Need:
    """The bytes that one fetch or upload adds to the store."""

    model: str
    bytes: int


def judge(
    draft: Draft, desired: Sequence[Desired], held: Mapping[str, Held], offers: Mapping[str, Offer], stock: Stock
) -> None:
    """Complain of what cannot fit; say which fetches could not be judged."""
    coming = [*draft.fetches, *(action for action in draft.derived if action.file)]
    if stock.contents is not None:
        complaint = no_room(needs(coming, offers, stock.contents), stock.contents.root, stock.free, stock.min_free)
        if complaint:
            draft.complaints.append(complaint)
    if stock.memory_limit is not None:
        draft.complaints += too_large(sizes(desired, held, coming, offers), stock.memory_limit)
    if stock.judges:
        draft.warnings += [
            f"{fetch.name} is fetched without knowing whether it fits, since its source cannot be read from here"
            for fetch in draft.fetches
            if offers.get(fetch.name.key, NO_OFFER).digest is None and not fetch.busy
        ]


def needs(coming: Iterable[Action], offers: Mapping[str, Offer], contents: Contents) -> list[Need]:
    """Return what each fetch and upload adds to the store; a blob that several need counts for the first.

    A blob that was begun needs only the rest. One with a wrong size is removed first, so that it gives its room.
    Old blobs of a model count as well as others, since they are removed after the new ones are there.
    """
    result = []
    counted: set[str] = set()
    for action in coming:
        added = _room_of(action.file, contents) if action.file else 0
        for bad in () if action.file else contents.bad(offers.get(action.name.key, NO_OFFER).blobs):
            if bad.digest not in counted:
                counted.add(bad.digest)
                gained = contents.partial.get(bad.digest, 0) if bad.found is None else bad.found
                added += bad.wanted - gained
        result.append(Need(action.name.short, added))
    return result


def _room_of(file: SourceFile, contents: Contents) -> int:
    """Return what a creation from a file adds to the store."""
    uploaded = contents.sizes.get(file.digest) == file.identity.size
    return file.identity.size * (COPIES - uploaded)


def no_room(needed: Sequence[Need], path: str, free: int, min_free: int) -> str:
    """Return a complaint if the fetches would leave less than ``min_free`` bytes, else an empty text."""
    total = sum(need.bytes for need in needed)
    if total <= 0 or total <= free - min_free:
        return ""
    by_model = ", ".join(f"{need.model} {_figure(need.bytes)}" for need in needed if need.bytes > 0)
    return (
        f"what is to be fetched or uploaded needs {_figure(total)} in {path}, where {_figure(free)} are free and min_free wants "
        f"{_figure(min_free)} to stay so ({by_model}); free {_figure(total + min_free - free)}, move the store, lower min_free, "
        "or declare smaller models"
    )


def sizes(
    desired: Iterable[Desired], held: Mapping[str, Held], coming: Iterable[Action], offers: Mapping[str, Offer]
) -> dict[str, int]:
    """Return the sizes that the declared models will have, by name, as far as they are known."""
    actions = {action.name.key: action for action in coming}
    found: dict[str, int] = {}
    for item in desired:
        key = item.name.key
        if item.state == ABSENT:
            continue
        if item.origin and key not in held:
            # It will have about the size of what it is made from.
            key = item.origin.name.key
        if key in actions and actions[key].file:
            found[item.name.short] = actions[key].bytes
        elif key in actions and offers.get(key, NO_OFFER).digest is not None:
            found[item.name.short] = offers[key].size
        elif key in held:
            found[item.name.short] = held[key].size
    return found


def too_large(models: Mapping[str, int], limit: int) -> list[str]:
    """Return a complaint for each model that is larger than the memory."""
    return [
        f"{name} has {_figure(size)}, memory_limit is {_figure(limit)}; declare a smaller model or quantization, or raise "
        "the server's memory and memory_limit"
        for name, size in models.items()
        if size > limit
    ]


def _figure(number: int) -> str:
    """Return bytes as people read them, and exactly."""
    return f"{human_bytes(number)} ({number} bytes)" if number >= 1000 else f"{number} bytes"
