# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes of single keys of daemon.json, and how they are shown: never with a user or password that stands in an address."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from ansible_collections.alchemorsel.ollama.plugins.module_utils._daemon_keys import RELOADABLE, RESTART_FEATURES
from ansible_collections.alchemorsel.ollama.plugins.module_utils._masked import masked

NONE, RELOAD, RESTART = "none", "reload", "restart"


class Absent:
    """Stands for a key that is not in the file; JSON's null is a value."""


ABSENT = Absent()


class Plain(str):
    """Shown as it is, without JSON's quotes."""

    __slots__ = ()


def canonical(value: Any) -> str:
    """JSON text that is equal for equal meaning (and tells 1 from true, which ``==`` does not)."""
    return json.dumps(value, sort_keys=True)


def same(left: Any, right: Any) -> bool:
    """Whether two values mean the same to the engine."""
    if left is ABSENT or right is ABSENT:
        return left is right
    return canonical(left) == canonical(right)


def show(value: Any) -> str:
    """The value as JSON text, (none) for one that is not there."""
    if value is ABSENT:
        return "(none)"
    return masked(value if isinstance(value, Plain) else json.dumps(value))


class Change(NamedTuple):
    """One top-level key that is to become another: ``needs`` is reload or restart, ``asked`` whether the operator named it."""

    key: str
    before: Any
    after: Any
    needs: str
    asked: bool

    def text(self) -> str:
        """The change in one line, with ``(none)`` for a key that is not there."""
        return f"{masked(self.key)}: {show(self.before)} -> {show(self.after)} ({self.needs})"

    def waits(self, shared: Sequence[str], unread: str) -> dict[str, str]:
        """The change as a line of the report: why it is not applied, and what would apply it."""
        if unread:
            reason, remedy = unread, "let the engine read /etc/docker/daemon.json, or use another one that does"
        elif self.needs == RESTART:
            reason = "it wants a restart of the engine, and " + ", ".join(shared)
            remedy = "set docker_manage_shared: true when a restart of the engine is welcome"
        else:
            reason = "it is a default of this role that nobody asked for, and " + ", ".join(shared)
            remedy = "name it in docker_daemon_config, since a reload is enough, or set docker_manage_shared: true"
        return {
            "key": masked(self.key),
            "now": show(self.before),
            "wanted": show(self.after),
            "reason": reason,
            "remedy": remedy,
        }


def _needs(key: str, before: Any, after: Any) -> str:
    if key not in RELOADABLE:
        return RESTART
    if key == "features":
        old, new = (side if isinstance(side, dict) else {} for side in (before, after))
        if any(not same(old.get(name, ABSENT), new.get(name, ABSENT)) for name in RESTART_FEATURES):
            return RESTART
    return RELOAD


def changes_between(before: dict[str, Any], after: dict[str, Any], wanted: dict[str, Any]) -> list[Change]:
    """The top-level keys that differ, the file's own order first."""
    keys = [*before, *(key for key in after if key not in before)]
    return [
        Change(key, old, new, _needs(key, old, new), key in wanted)
        for key, old, new in ((key, before.get(key, ABSENT), after.get(key, ABSENT)) for key in keys)
        if not same(old, new)
    ]
