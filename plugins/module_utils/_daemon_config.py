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
from typing import Any, NamedTuple

NONE, RELOAD, RESTART = "none", "reload", "restart"

# Taken up on SIGHUP. Whatever is not listed here wants a restart.
RELOADABLE = frozenset(
    {
        "allow-nondistributable-artifacts",
        "debug",
        "default-runtime",
        "features",
        "insecure-registries",
        "labels",
        "live-restore",
        "max-concurrent-downloads",
        "max-concurrent-uploads",
        "registry-mirrors",
        "runtimes",
        "shutdown-timeout",
    }
)
# ... except these members of `features`, which the engine reads when it starts
RESTART_FEATURES = frozenset({"cdi", "containerd-snapshotter"})

# Log drivers that know the options max-size and max-file; with any other the engine would refuse to start
ROTATING_LOG_DRIVERS = frozenset({"json-file", "local"})

# JSON types of the keys that people set; a key that is not listed is passed through for the engine to judge
_BOOL, _INT, _TEXT, _LIST, _MAP, _TEXTMAP = (
    "true or false",
    "a whole number",
    "text",
    "a list of texts",
    "a mapping",
    "a mapping of texts",
)
TYPES = {
    **dict.fromkeys(
        (
            "debug experimental icc init ip-forward ip-forward-no-drop ip-masq ip6tables iptables ipv6 live-restore "
            "no-new-privileges raw-logs selinux-enabled tls tlsverify userland-proxy"
        ).split(),
        _BOOL,
    ),
    **dict.fromkeys(
        (
            "max-concurrent-downloads max-concurrent-uploads max-download-attempts mtu network-control-plane-mtu "
            "network-diagnostic-port oom-score-adjust shutdown-timeout"
        ).split(),
        _INT,
    ),
    **dict.fromkeys(
        (
            "bip bridge cgroup-parent containerd containerd-namespace data-root default-cgroupns-mode default-gateway "
            "default-ipc-mode default-runtime default-shm-size exec-root fixed-cidr fixed-cidr-v6 group host-gateway-ip ip "
            "log-driver log-format log-level metrics-addr pidfile seccomp-profile storage-driver tlscacert tlscert tlskey "
            "userland-proxy-path userns-remap"
        ).split(),
        _TEXT,
    ),
    **dict.fromkeys(
        (
            "allow-nondistributable-artifacts authorization-plugins cdi-spec-dirs dns dns-opts dns-search exec-opts hosts "
            "insecure-registries labels node-generic-resources registry-mirrors storage-opts"
        ).split(),
        _LIST,
    ),
    **dict.fromkeys("builder default-network-opts default-ulimits features proxies runtimes".split(), _MAP),
    "log-opts": _TEXTMAP,
}


class DaemonConfigError(ValueError):
    """The host's daemon.json cannot be understood; the text says why, in one sentence."""


class Change(NamedTuple):
    """One top-level key that is to become another: ``needs`` is reload or restart, ``asked`` whether the operator named it."""

    key: str
    before: Any
    after: Any
    needs: str
    asked: bool

    def text(self) -> str:
        """The change in one line, with ``(none)`` for a key that is not there."""
        return f"{self.key}: {_show(self.before)} -> {_show(self.after)} ({self.needs})"


class _Absent:
    """Stands for a key that is not in the file; JSON's null is a value."""


_ABSENT = _Absent()


def _canonical(value: Any) -> str:
    """JSON text that is equal for equal meaning (and tells 1 from true, which ``==`` does not)."""
    return json.dumps(value, sort_keys=True)


def _same(left: Any, right: Any) -> bool:
    if left is _ABSENT or right is _ABSENT:
        return left is right
    return _canonical(left) == _canonical(right)


def _show(value: Any) -> str:
    return "(none)" if value is _ABSENT else json.dumps(value)


def parse(text: str) -> dict[str, Any]:
    """The content of a daemon.json; an empty file means no settings, as it does for the engine. Raises DaemonConfigError."""
    if not text.strip("\ufeff \t\r\n"):
        return {}
    try:
        config = json.loads(text.lstrip("\ufeff"))
    except json.JSONDecodeError as error:
        raise DaemonConfigError(f"it is not JSON: {error.msg} in line {error.lineno}, column {error.colno}") from error
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


def type_problems(config: dict[str, Any]) -> list[str]:
    """One sentence for each known key whose value has a type that the engine would refuse."""
    return [
        f"daemon.json key {key}: found {json.dumps(value)}, wanted {TYPES[key]}"
        for key, value in config.items()
        if key in TYPES and value is not None and not _fits(value, TYPES[key])
    ]


def _fits(value: Any, kind: str) -> bool:
    if kind == _BOOL:
        return isinstance(value, bool)
    if kind == _INT:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == _TEXT:
        return isinstance(value, str)
    if kind == _LIST:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if not isinstance(value, dict):
        return False
    return kind == _MAP or all(isinstance(item, str) for item in value.values())


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


def _target(current: dict[str, Any], defaults: dict[str, Any], wanted: dict[str, Any], swarm: bool) -> dict[str, Any]:
    defaults = _trim(defaults, wanted)
    if swarm:
        # dockerd does not start with it on a member of a swarm
        defaults.pop("live-restore", None)
    target = copy.deepcopy(current)
    driver = wanted.get("log-driver") or current.get("log-driver") or defaults.get("log-driver")
    if driver not in ROTATING_LOG_DRIVERS:
        defaults.pop("log-opts", None)
    _fill(target, defaults)
    _override(target, wanted)
    # Again: what is wanted may have made room for a default, which the next run would fill in otherwise.
    _fill(target, defaults)
    return target


def _needs(key: str, before: Any, after: Any) -> str:
    if key not in RELOADABLE:
        return RESTART
    if key == "features":
        old, new = (side if isinstance(side, dict) else {} for side in (before, after))
        if any(not _same(old.get(name, _ABSENT), new.get(name, _ABSENT)) for name in RESTART_FEATURES):
            return RESTART
    return RELOAD


def changes_between(before: dict[str, Any], after: dict[str, Any], wanted: dict[str, Any]) -> list[Change]:
    """The top-level keys that differ, the file's own order first."""
    keys = [*before, *(key for key in after if key not in before)]
    return [
        Change(key, old, new, _needs(key, old, new), key in wanted)
        for key, old, new in ((key, before.get(key, _ABSENT), after.get(key, _ABSENT)) for key in keys)
        if not _same(old, new)
    ]


def _problems(current: dict[str, Any], wanted: dict[str, Any], swarm: bool) -> list[str]:
    found = [f"{problem}; correct it in docker_daemon_config." for problem in type_problems(wanted)]
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


def plan(
    current_text: str,
    defaults: dict[str, Any],
    wanted: dict[str, Any],
    *,
    running_text: str | None = None,
    shared: bool = False,
    swarm: bool = False,
) -> dict[str, Any]:
    """Decide what daemon.json becomes and what the engine has to do about it.

    ``current_text`` is the file's content ("" where there is none), ``running_text`` the content that the running engine was
    started with where that is another one (an earlier run was interrupted between write and restart). On a ``shared`` host only
    what the operator asked for and SIGHUP suffices for is applied; the rest is pending. ``swarm``: the engine is a swarm member.

    Returns a dict: ``error`` (the file cannot be read; nothing else counts then), ``problems`` (sentences about what was asked),
    ``write`` and ``text`` (the new file), ``action`` (none, reload, restart), ``reload_first`` (live-restore becomes active by a
    reload, so that containers survive the restart), ``changes``, ``pending`` and ``kept`` (one line each).
    """
    result: dict[str, Any] = {"error": "", "problems": [], "write": False, "text": current_text, "action": NONE}
    result.update(reload_first=False, changes=[], pending=[], kept=[])
    try:
        current = parse(current_text)
        running = current if running_text is None else parse(running_text)
    except DaemonConfigError as error:
        result["error"] = str(error)
        return result
    result["problems"] = _problems(current, wanted, swarm)
    target = _target(current, defaults, wanted, swarm)

    pending = []
    if shared:
        for change in changes_between(current, target, wanted):
            if change.asked and change.needs == RELOAD:
                continue
            pending.append(change)
            if change.before is _ABSENT:
                del target[change.key]
            else:
                target[change.key] = change.before
        target = {
            key: target[key] for key in [*current, *(key for key in target if key not in current)] if key in target
        }
    changes = changes_between(current, target, wanted)
    effects = changes_between(running, target, wanted)
    needs = {change.needs for change in effects}
    if shared and RESTART in needs:
        pending.extend(change for change in effects if change.needs == RESTART)
        needs.discard(RESTART)

    result["write"] = bool(changes)
    result["text"] = render(target, current_text) if changes else current_text
    result["action"] = RESTART if RESTART in needs else RELOAD if needs else NONE
    result["reload_first"] = result["action"] == RESTART and any(
        change.key == "live-restore" and change.after is True for change in effects
    )
    result["changes"] = [change.text() for change in changes]
    result["pending"] = [change.text() for change in pending]
    result["kept"] = [
        f"{key}: {_show(current[key])} (the role's default is {_show(value)})"
        for key, value in _trim(defaults, wanted).items()
        if key in current and key not in wanted and not _covers(current[key], value)
    ]
    return result


def _covers(found: Any, default: Any) -> bool:
    if isinstance(found, dict) and isinstance(default, dict):
        return all(name in found and _covers(found[name], item) for name, item in default.items())
    return _same(found, default)
