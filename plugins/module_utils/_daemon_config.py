# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of an engine's daemon.json: pure functions, no I/O.

The file belongs to the host. Three layers meet in it, the later one wins: the defaults of the role docker (they only fill keys
that the file does not have), what the file says, and what the operator asked for. Keys that nobody mentions stay as they are.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils._daemon_change import (
    ABSENT,
    NONE,
    RELOAD,
    RESTART,
    Change,
    Plain,
    changes_between,
    same,
    show,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._daemon_keys import (
    MERGED_OPTIONS,
    ROTATING_LOG_DRIVERS,
    options_of,
    type_problems,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._masked import has_secret, masked


class DaemonConfigError(ValueError):
    """The host's daemon.json cannot be understood; the text says why, in one sentence."""


def parse(text: str) -> dict[str, Any]:
    """The content of a daemon.json; an empty file means no settings, as it does for the engine. Raises DaemonConfigError."""
    if not text.strip("\ufeff \t\r\n"):
        return {}
    try:
        config = json.loads(text.lstrip("\ufeff"))
    except json.JSONDecodeError as error:
        raise DaemonConfigError(f"it is not JSON: {error.msg} in line {error.lineno}, column {error.colno}") from error
    except (ValueError, RecursionError) as error:
        raise DaemonConfigError("it is JSON with a number or a depth that no engine reads") from error
    if not isinstance(config, dict):
        raise DaemonConfigError("its content is not a JSON object")
    return config


def render(config: dict[str, Any], like: str) -> str:
    """JSON text of ``config`` in its own key order, indented as the text ``like`` is (two spaces where that has no lines)."""
    indent = "  "
    for line in like.splitlines():
        white = line[: len(line) - len(line.lstrip())]
        if white:
            indent = white
            break
    return json.dumps(config, indent=indent, ensure_ascii=False) + "\n"


def _fill(config: dict[str, Any], defaults: dict[str, Any]) -> None:
    """Add what is missing, at every depth; what is there stays."""
    for key, value in defaults.items():
        if key not in config:
            config[key] = copy.deepcopy(value)
        elif isinstance(config[key], dict) and isinstance(value, dict):
            _fill(config[key], value)


def _override(config: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Set what is wanted, at every depth; null removes a key; lists are replaced as a whole."""
    for key, value in wanted.items():
        if value is None:
            config.pop(key, None)
        elif isinstance(value, dict) and isinstance(config.get(key), dict):
            _override(config[key], value)
        else:
            config[key] = _without_nulls(value)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return copy.deepcopy(value)


def _trim(defaults: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """The defaults without the keys that the operator removes with null."""
    return {
        key: _trim(value, wanted[key]) if isinstance(value, dict) and isinstance(wanted.get(key), dict) else value
        for key, value in defaults.items()
        if not (key in wanted and wanted[key] is None)
    }


def _usable(
    defaults: dict[str, Any], current: dict[str, Any], wanted: dict[str, Any], options: dict[str, str]
) -> dict[str, Any]:
    """The defaults that the engine can start with, given its command line and the log driver."""
    # What is asked for is in the file from the next run on: its defaults count now, or that run would have something to do
    usable = {
        key: value
        for key, value in defaults.items()
        if key not in options or key in current or wanted.get(key) is not None
    }
    driver = (
        wanted.get("log-driver") or current.get("log-driver") or options.get("log-driver") or defaults.get("log-driver")
    )
    if not isinstance(driver, str) or driver not in ROTATING_LOG_DRIVERS:
        usable.pop("log-opts", None)
    return usable


def _target(current: dict[str, Any], defaults: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    target = copy.deepcopy(current)
    _fill(target, defaults)
    _override(target, wanted)
    # Again: what is wanted may have made room for a default, which the next run would fill in otherwise.
    _fill(target, defaults)
    return target


def _problems(
    current: dict[str, Any], target: dict[str, Any], wanted: dict[str, Any], options: dict[str, str], swarm: bool
) -> list[str]:
    found = [f"{masked(problem)}; correct it in docker_daemon_config." for problem in type_problems(wanted)]
    kept = {key: value for key, value in target.items() if key not in wanted}
    found += [
        f"{masked(problem)}; correct it in /etc/docker/daemon.json, or name the key in docker_daemon_config."
        for problem in type_problems(kept)
    ]
    found += [
        f"docker_daemon_config sets {key}, which the command line of dockerd sets to {masked(value)}; the engine "
        "does not start with both. Take the option out of the unit or of /etc/default/docker, or the key out of docker_daemon_config."
        for key, value in options.items()
        if wanted.get(key) is not None and key not in current and key not in MERGED_OPTIONS and key != "hosts"
    ]
    if swarm and wanted.get("live-restore") is True:
        found.append(
            "docker_daemon_config asks for live-restore: true, but the engine is a member of a swarm and would not start "
            "with it; remove the key from docker_daemon_config."
        )
    if wanted.get("hosts") is not None and "hosts" not in current:
        found.append(
            "docker_daemon_config sets hosts, which conflicts with the option -H of the packaged docker.service; "
            "add a listener with a drop-in of docker.socket or docker.service, and remove hosts from docker_daemon_config."
        )
    return found


def _ordered(target: dict[str, Any], current: dict[str, Any]) -> dict[str, Any]:
    """The target in the order of the file."""
    return {key: target[key] for key in [*current, *(key for key in target if key not in current)] if key in target}


def _hold_back(target: dict[str, Any], changes: list[Change]) -> None:
    """Undo these changes in the target."""
    for change in changes:
        if change.before is ABSENT:
            del target[change.key]
        else:
            target[change.key] = change.before


def plan(
    current_text: str,
    defaults: dict[str, Any],
    wanted: dict[str, Any],
    *,
    running_text: str | None = None,
    shared: Sequence[str] = (),
    unread: str = "",
    swarm: bool = False,
    command: str = "",
    recommended: dict[str, Any] | None = None,
    unit: Sequence[dict[str, str]] = (),
    unit_waits: Sequence[str] = (),
) -> dict[str, Any]:
    """Decide what daemon.json becomes and what the engine has to do about it.

    ``current_text`` is the file's content ("" where there is none), ``running_text`` the content that the running engine was
    started with (None where no earlier run was interrupted between write and restart). ``shared`` says why others depend on the
    engine: then only what the operator asked for and SIGHUP suffices for is applied; the rest is pending. ``unread`` says why
    the engine does not read the file at all; then everything is pending. ``swarm``: the engine is a swarm member. ``command``:
    dockerd's command line, whose options must not stand in the file, too. ``recommended``: values that are only compared.
    ``unit``: what is to change in the engine's unit (key, now, wanted), which wants a restart; ``unit_waits`` says why not now.

    Returns a dict: ``error`` (the file cannot be read; nothing else counts then), ``problems`` (sentences about what was asked),
    ``write`` and ``text`` (the new file), ``secret`` (it holds credentials), ``unit`` (the unit is to be changed), ``action``
    (none, reload, restart), ``reload_first`` (live-restore becomes active by a reload, so that containers survive the restart),
    ``changes`` and ``kept`` (one line each), ``pending`` (each with key, now, wanted, reason and remedy).
    """
    result: dict[str, Any] = {"error": "", "problems": [], "write": False, "text": current_text, "action": NONE}
    result.update(reload_first=False, changes=[], pending=[], kept=[], secret=False, unit=False)
    try:
        current = parse(current_text)
        running = current if running_text is None else parse(running_text)
    except DaemonConfigError as error:
        result["error"] = str(error)
        return result
    options = options_of(command)
    defaults = _trim(defaults, wanted)
    if swarm:
        # dockerd does not start with it on a member of a swarm
        defaults.pop("live-restore", None)
    usable = _usable(defaults, current, wanted, options)
    target = _target(current, usable, wanted)
    result["problems"] = _problems(current, target, wanted, options, swarm)

    pending = []
    waiting = bool(shared or unread)
    if waiting:
        pending = [
            change
            for change in changes_between(current, target, wanted)
            if unread or not (change.asked and change.needs == RELOAD)
        ]
        _hold_back(target, pending)
        target = _ordered(target, current)
    changes = changes_between(current, target, wanted)
    effects = changes_between(running, target, wanted)
    if running_text is not None and not effects:
        # Nothing tells any more what the interrupted run had changed
        effects = [Change("(an interrupted run)", ABSENT, "a restart", RESTART, True)]
    outside = [Change(line["key"], Plain(line["now"]), Plain(line["wanted"]), RESTART, True) for line in unit]
    held = [] if waiting or not unit_waits else outside
    effects += [] if held else outside
    if waiting:
        pending += [change for change in effects if change.needs == RESTART]
        effects = [change for change in effects if change.needs != RESTART]
    needs = {change.needs for change in effects}

    result["write"] = bool(changes)
    result["text"] = render(target, current_text) if changes else current_text
    result["secret"] = has_secret(result["text"])
    result["unit"] = bool(unit) and not waiting and not unit_waits
    result["action"] = RESTART if RESTART in needs else RELOAD if needs else NONE
    result["reload_first"] = result["action"] == RESTART and any(
        change.key == "live-restore" and change.after is True for change in effects
    )
    result["changes"] = [change.text() for change in (*changes, *([] if waiting or held else outside))]
    result["pending"] = [change.waits(shared, unread) for change in pending]
    result["pending"] += [change.waits(unit_waits, "") for change in held]
    result["kept"] = _kept(current, wanted, defaults, options, recommended or {})
    return result


def _kept(
    current: dict[str, Any],
    wanted: dict[str, Any],
    defaults: dict[str, Any],
    options: dict[str, str],
    recommended: dict[str, Any],
) -> list[str]:
    """One line for each value of the host that is not what the role would have set."""
    told = {key: ("the role's default", value) for key, value in defaults.items()}
    told.update({key: ("recommended", value) for key, value in recommended.items() if key not in told})
    lines = []
    for key, (whose, value) in told.items():
        if key in wanted:
            continue
        if key in current and not _covers(current[key], value):
            lines.append(f"{key}: {show(current[key])} ({whose} is {show(value)})")
        elif key in options and key not in current and options[key] != json.dumps(value).strip('"'):
            lines.append(f"{key}: {masked(options[key])} on dockerd's command line ({whose} is {show(value)})")
    return lines


def _covers(found: Any, default: Any) -> bool:
    if isinstance(found, dict) and isinstance(default, dict):
        return all(name in found and _covers(found[name], item) for name, item in default.items())
    return same(found, default)
