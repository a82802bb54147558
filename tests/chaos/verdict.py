# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The invariants: what must be so after a fault, from what was seen before and after it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Seen:
    """What look.py found on a host; None where nobody answered."""

    models: Mapping[str, str] | None
    containers: Mapping[str, str] | None
    damage: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Run:
    """What a run of a playbook came to.

    :param changed: names of the tasks that changed something
    """

    status: int
    changed: tuple[str, ...] = ()
    output: str = ""
    seconds: float = 0.0


def lost(before: Seen, now: Seen, may_change: Collection[str] = ()) -> list[str]:
    """Return the models that were served and are not, or not with the digest of before."""
    if now.models is None:
        return ["no server answers"]
    found = []
    for name, digest in sorted((before.models or {}).items()):
        if name not in may_change and now.models.get(name) != digest:
            found.append(f"{name} was served as {digest[:19]}, now {now.models.get(name, 'not at all')[:19]}")
    return found


def broken(before: Seen, after: Seen, again: Run, recovery: Run, may_change: Collection[str] = ()) -> list[str]:
    """Return each invariant that does not hold after the recovery.

    :param recovery: the first run after the fault
    :param again: the run after that one
    :param may_change: models for which another digest, or none, was declared
    """
    found = lost(before, after, may_change)
    found += [*after.damage, *after.left, *strangers(before, after)]
    if recovery.status:
        found.append(f"the next run failed: {last_words(recovery.output)}")
    if again.status:
        found.append(f"the run after it failed: {last_words(again.output)}")
    if again.changed:
        found.append(f"the run after it changed something: {', '.join(again.changed)}")
    return found


def strangers(before: Seen, after: Seen) -> list[str]:
    """Return the containers that came, went, or are in another state."""
    if after.containers is None:
        return ["the engine does not answer"]
    was, now = before.containers or {}, after.containers
    return [
        f"container {name} was {was.get(name, 'not there')}, is {now.get(name, 'not there')}"
        for name in sorted(was.keys() | now.keys())
        if was.get(name) != now.get(name)
    ]


def last_words(output: str, words: int = 700) -> str:
    """Return the last failure that a playbook printed, or the end of what it said."""
    text = output.partition("PLAY RECAP")[0]
    begins = max(text.rfind("fatal: "), text.rfind("failed: "), 0)
    return " ".join(text[begins:].split())[:words] if begins else " ".join(text.split())[-words:]


def seen(data: Mapping[str, Any]) -> Seen:
    """Return what look.py printed."""
    return Seen(**data)
