# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which fetches may run at the same time on one server: pure functions over plain values.

Two pulls of one blob are one download to the server. Where the second joins while the first still waits for the
registry's first answer about the blob, a failure of that can end the whole server. And the end of an update takes away
the blobs of the old model that no manifest names: also one that another pull has found there and counts upon.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """What one fetch is to the store of a server.

    :param blobs: digests of all its blobs, ``None`` if they are not known
    :param replaces: there is an older model, whose blobs go at the end
    :param undone: its own blobs go if it turns out to be another model than the wanted one
    """

    blobs: frozenset[str] | None = None
    replaces: bool = False
    undone: bool = False


def conflict(one: Load, other: Load, lacking: Set[str]) -> bool:
    """Tell whether two fetches must not run at the same time.

    :param lacking: blobs that the server does not have
    """
    if one.blobs is None or other.blobs is None:
        return True
    shared = one.blobs & other.blobs
    if shared & lacking or (shared and (one.undone or other.undone)):
        return True
    return (one.replaces and bool(other.blobs - lacking)) or (other.replaces and bool(one.blobs - lacking))


def startable(waiting: Mapping[int, Load], running: Sequence[Load], lacking: Set[str], limit: int) -> list[int]:
    """Return which of the waiting fetches may start now, in their order.

    :param waiting: by number, in the order in which they should start
    :param limit: how many may run at a time
    """
    busy = list(running)
    chosen = []
    for number, load in waiting.items():
        if len(busy) >= limit:
            break
        if not any(conflict(load, other, lacking) for other in busy):
            busy.append(load)
            chosen.append(number)
    return chosen
