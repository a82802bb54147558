# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of an engine's packages: pure functions, no I/O.

Nothing is upgraded and nothing restarted that was not asked for. What differs from the wanted version waits, and is listed.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from ansible_collections.alchemorsel.ollama.plugins.module_utils._versions import version_numbers

# How many versions a message names
SHOWN = 5


class Found(NamedTuple):
    """What the host said: ``versions`` are (version, whether a repository has it), newest first."""

    packages: dict[str, str]
    held: set[str]
    broken: dict[str, str]
    stale: str
    candidates: dict[str, str]
    versions: dict[str, list[tuple[str, bool]]]

    def offered(self, name: str) -> list[str]:
        """The versions of a package that can be installed, newest first."""
        return [version for version, there in self.versions.get(name, []) if there]

    def older(self, name: str, version: str) -> bool:
        """Whether a version is older than the installed one; apt's own order tells."""
        order = [item for item, _there in self.versions.get(name, [])]
        installed = self.packages.get(name, "")
        return version in order and installed in order and order.index(version) > order.index(installed)


class Wish(NamedTuple):
    """What the operator asked for, and what the host and the engine are like."""

    engine: str
    present: bool
    install: list[str]
    families: dict[str, dict[str, Any]]
    pin: str
    upgrade: bool
    hold: bool
    conflicts: list[str]
    remove_conflicts: bool
    shared: bool
    running: str
    live_restore: bool
    containers: int
    floors: list[dict[str, Any]]
    allow_vulnerable: bool
    final: bool

    def family(self) -> tuple[list[str], list[str]]:
        """The packages that have the engine's version, and those that go with them."""
        found = self.families.get(self.engine, {})
        return list(found.get("same", [])), list(found.get("with", []))


def read(lines: list[str]) -> Found:
    """The lines of look.sh and offers.sh that are about packages."""
    found = Found({}, set(), {}, "", {}, {})
    stale = ""
    for line in lines:
        kind, _blank, rest = line.partition(" ")
        name, _blank, value = rest.partition(" ")
        if kind == "package":
            found.packages[name] = value
        elif kind == "hold":
            found.held.add(name)
        elif kind == "broken":
            found.broken[name] = value
        elif kind == "stale":
            stale = rest
        elif kind == "candidate":
            found.candidates[name] = value
        elif kind in ("offer", "gone"):
            found.versions.setdefault(name, []).append((value, kind == "offer"))
    return found._replace(stale=stale)


def matches(version: str, pin: str) -> bool:
    """Whether a package's version is one that the pin means.

    A pin is a version or its beginning, whole numbers at a time: ``26.1`` means 26.1.5 and not 26.10, ``26.1.5`` any package of
    it; the epoch may be left out. With ``*`` it is a pattern, as apt takes it. A pre-release (``28.0.0~rc.1``) is not its release.
    """
    if ":" not in pin:
        version = version.partition(":")[2] or version
    if "*" in pin:
        return fnmatchcase(version, pin)
    if not version.startswith(pin):
        return False
    rest = version[len(pin) :]
    return not rest or re.match(r"[.+~-]" if "-" in pin else r"[.+-]|~\d", rest) is not None


def numbers(version: str) -> tuple[int, ...]:
    """The numbers of the software's own version, without epoch and revision: (26, 1, 5) for 5:26.1.5-1~debian."""
    return version_numbers(version.partition(":")[2] or version)


def _target(found: Found, name: str, pin: str) -> str:
    """The version that a package is to have; empty where none is offered."""
    if not pin:
        return found.candidates.get(name, "")
    return next((version for version in found.offered(name) if matches(version, pin)), "")


def _not_offered(found: Found, wish: Wish) -> str:
    """The problem that nobody offers the wanted version; empty where there is none, or where it cannot be told yet."""
    offered = found.offered(wish.engine)
    if not (offered or wish.final) or _target(found, wish.engine, wish.pin):
        return ""
    if wish.present and matches(found.packages.get(wish.engine, ""), wish.pin):
        return ""
    known = f"offered are {', '.join(offered[:SHOWN])}" if offered else f"no version of {wish.engine} is offered"
    return (
        f"docker_version is {wish.pin}, and no package repository of this host has such a version of {wish.engine}; "
        f"{known}. Correct docker_version, or add a repository that has it."
    )


def _moves(found: Found, wish: Wish) -> dict[str, str]:
    """The installed packages that an upgrade moves, and to which version."""
    same, others = wish.family()
    moves = {}
    for name in [*same, *others]:
        target = _target(found, name, wish.pin if name in same else "")
        # An older one that is asked for is refused later; nobody asks for an older one of the rest
        asked = name in same and wish.pin != ""
        if target not in ("", found.packages.get(name, target)) and (asked or not found.older(name, target)):
            moves[name] = target
    return moves


def _specs(found: Found, wish: Wish) -> list[str]:
    """What apt is to install for a fresh engine; pinned packages by their exact version."""
    same, _others = wish.family()
    missing = [name for name in wish.install if name not in found.packages]
    pinned = {name: _target(found, name, wish.pin) for name in missing if wish.pin and name in same}
    return [f"{name}={pinned[name]}" if pinned.get(name) else name for name in missing]


def _floor_findings(version: str, wish: Wish) -> tuple[list[str], list[str]]:
    """Problems and notes about an engine below a version with a known hole closed."""
    problems: list[str] = []
    notes: list[str] = []
    below = [floor for floor in wish.floors if numbers(version) and numbers(version) < numbers(str(floor["version"]))]
    if not below:
        return problems, notes
    why = "; ".join(f"{floor['why']}, closed in {floor['version']}" for floor in below)
    acts = wish.families.get(wish.engine, {}).get("floors", False)
    remedy = "Raise docker_version and set docker_upgrade: true" if wish.pin else "Set docker_upgrade: true"
    if not acts:
        notes.append(
            f"{wish.engine or 'the engine'} {version} is older than {below[-1]['version']} ({why}). "
            "A distribution closes holes without a new version: keep its updates coming."
        )
    elif any(floor["refused"] for floor in below) and not wish.allow_vulnerable:
        problems.append(
            f"{wish.engine}: found {version}, wanted {next(f['version'] for f in below if f['refused'])} or newer ({why}). "
            f"{remedy}, or docker_allow_vulnerable_engine: true to keep it."
        )
    else:
        notes.append(f"{wish.engine} {version} has a known hole ({why}). {remedy}.")
    return problems, notes


def _package_problems(found: Found, wish: Wish, changing: bool) -> list[str]:
    """What dpkg left half done, and what is in the way."""
    problems = []
    same, others = wish.family()
    if found.broken and (changing or any(name in found.broken for name in [*same, *others])):
        listed = ", ".join(f"{name} ({state})" for name, state in sorted(found.broken.items()))
        problems.append(
            f"dpkg did not finish its last work: {listed}. Run `dpkg --configure -a`, then `apt-get --fix-broken install`, "
            "and then this role again."
        )
    in_the_way = [name for name in wish.conflicts if name in found.packages]
    if in_the_way and not wish.remove_conflicts:
        problems.append(
            f"Packages that conflict with {wish.engine or 'the engine'} were found: {', '.join(in_the_way)}. "
            f"Remove them with `apt-get remove {' '.join(in_the_way)}`, or set docker_remove_conflicts: true"
            f"{', or docker_source: distro' if wish.engine == 'docker-ce' and in_the_way != ['podman-docker'] else ''}."
        )
    elif in_the_way and wish.shared:
        problems.append(
            f"docker_remove_conflicts would remove {', '.join(in_the_way)} from a host that others use too. "
            "Set docker_manage_shared: true if they can do without."
        )
    return problems


def _pending(found: Found, wish: Wish, moves: dict[str, str]) -> list[str]:
    """What would restart the engine, and was not asked for or is not to be on a host of others."""
    lines = []
    installed = found.packages.get(wish.engine, "")
    if wish.upgrade and wish.shared:
        lines += [f"{name} {found.packages[name]} -> {target} (restart)" for name, target in moves.items()]
    elif wish.pin and wish.present and not wish.upgrade:
        lines += [
            f"{name} {found.packages[name]} -> {wish.pin} (restart)"
            for name in wish.family()[0]
            if name in found.packages and not matches(found.packages[name], wish.pin)
        ]
    if found.stale and (not wish.upgrade or wish.shared):
        lines.append(f"{found.stale} was replaced by {installed or 'another one'} while the engine ran (restart)")
    return lines


def _fate(wish: Wish) -> str:
    """What a restart of the engine means for the containers."""
    if not wish.containers:
        return "no container runs"
    if wish.live_restore:
        return f"live-restore is on, so {wish.containers} running container(s) go on while the engine restarts"
    return (
        f"live-restore is off, so {wish.containers} running container(s) stop with the engine; it starts those again whose "
        "restart policy says so"
    )


def plan(lines: list[str], wish: Wish) -> dict[str, Any]:
    """Decide what becomes of the engine's packages.

    Returns a dict: ``install`` (what apt is to install for a fresh engine), ``remove`` (conflicting packages), ``upgrade`` (what
    apt is to install for an upgrade), ``back`` (the same with the present versions, as far as they are still offered),
    ``moves`` (one line for each package of an upgrade), ``restart`` (the engine's program was replaced while it ran), ``hold``
    (what is to be held and is not), ``keep_held`` (what is to be held after an upgrade), ``fate`` (what an upgrade means for
    the containers), ``version`` and ``major`` (of the engine as it will be), ``pending``, ``notes``, ``problems`` (sentences).
    """
    found = read(lines)
    same, others = wish.family()
    installed = found.packages.get(wish.engine, "")
    packaged = wish.present and installed != ""
    problems: list[str] = []
    notes: list[str] = []

    moves = _moves(found, wish) if packaged and wish.upgrade else {}
    if wish.pin and (not wish.present or packaged and wish.upgrade) and (problem := _not_offered(found, wish)):
        problems.append(problem)
    if lower := [name for name, target in moves.items() if found.older(name, target)]:
        problems.append(
            f"docker_version is {wish.pin}, which is older than the installed {lower[0]} {found.packages[lower[0]]}, and the role "
            "takes no engine back: its data may be of a newer kind. Set docker_version to what the host has."
        )
    pending = _pending(found, wish, moves)
    if wish.shared:
        moves = {}
    if wish.present and not installed and (wish.pin or wish.upgrade):
        notes.append(
            "The engine did not come as a package that the role knows: docker_version, docker_upgrade and docker_hold do not "
            "reach it."
        )

    specs = _specs(found, wish)
    version = moves.get(wish.engine) or installed or wish.running
    if not wish.present:
        version = _target(found, wish.engine, wish.pin)
    floor_problems, floor_notes = _floor_findings(version, wish)
    in_the_way = [name for name in wish.conflicts if name in found.packages]
    changing = bool(specs or moves or in_the_way)
    problems += floor_problems + _package_problems(found, wish, changing)
    kept = [name for name in [*same, *others] if name in found.packages and (wish.hold or name in found.held)]
    return {
        "install": specs,
        "remove": in_the_way if wish.remove_conflicts and not wish.shared else [],
        "upgrade": [f"{name}={target}" for name, target in moves.items()],
        "back": [f"{name}={found.packages[name]}" for name in moves if found.packages[name] in found.offered(name)],
        "moves": [f"{name} {found.packages[name]} -> {target}" for name, target in moves.items()],
        "restart": found.stale != "" and wish.upgrade and not wish.shared,
        "hold": [name for name in kept if name not in found.held],
        "keep_held": kept,
        "fate": _fate(wish),
        "version": version,
        "major": (numbers(version) or (0,))[0],
        "pending": pending,
        "notes": notes + floor_notes,
        "problems": problems,
    }
