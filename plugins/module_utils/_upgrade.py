# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role does about a container that is not as declared: pure functions over what the engine says, no I/O.

Beside the container of an instance there may be, for some time or for good:
  NAME-canary    the new image beside the serving one, with the store read-only; goes at the end of its trial
  NAME-next      the new container, created and not started; takes the name, or goes
  NAME-old       the old container, stopped, from the exchange until the new one is proven
  NAME-previous  never started; it keeps the image before the current one from `docker image prune --all`
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidName
from ansible_collections.alchemorsel.ollama.plugins.module_utils._masked import masked_value
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import ModelName, name_of, parse_listed

CANARY, NEXT, OLD, PREVIOUS = "canary", "next", "old", "previous"
HELPERS = (CANARY, NEXT, OLD, PREVIOUS)
#: Label by which a container is known as one of an instance's.
INSTANCE = "alchemorsel.instance"
IMAGE = "alchemorsel.image"

NONE, RUN, UPGRADE, HOLD = "none", "run", "upgrade", "hold"
RESTORE, FINISH = "restore", "finish"
#: A container in one of these states holds its files open.
_ALIVE = ("running", "paused", "restarting")
#: A canary holds a copy of its own of what it generates with, and what the model needs besides.
ROOM = 1.5
_SECRET = re.compile(r"(?i)(passw|secret|token|api_?key|access_?key|private_?key|credential)")


def plan(
    compared: Mapping[str, Any],
    containers: Iterable[Mapping[str, Any]],
    *,
    name: str,
    state: str = "started",
    recreate: str = "auto",
    store: str = "",
) -> dict[str, Any]:
    """Decide what becomes of an instance's containers.

    :param compared: what community.docker.docker_container says in check mode about the declared container, with its diff
    :param containers: all containers of the engine, as its list shows them
    :param name: the instance
    :param state: what it is declared to be
    :param recreate: ``never`` leaves a container that would have to be made anew as it is
    :param store: the directory or volume with the models
    :returns: see the filter container_plan
    """
    seen = {title: entry for entry in containers for title in _titles(entry)}
    own = {suffix: seen[f"{name}-{suffix}"] for suffix in HELPERS if f"{name}-{suffix}" in seen}
    foreign = [f"{name}-{suffix}" for suffix, entry in own.items() if not _is_ours(entry, name)]
    own = {suffix: entry for suffix, entry in own.items() if _is_ours(entry, name)}
    main = seen.get(name)
    return {
        "action": _action(compared, main, state, recreate),
        "pending": differences(compared.get("diff") or {}, _created_with(compared)),
        "repair": _repair(main, own),
        "leftovers": [f"{name}-{suffix}" for suffix in (CANARY, NEXT) if suffix in own],
        "previous": _image(own.get(PREVIOUS)),
        "aside": _image(own.get(OLD)),
        "dangers": [
            f"The running container {writer} can write to the models of {name}, and two servers on one store delete each other's "
            "files: stop it, or mount them read-only there."
            for writer in _writers(seen, store, [name, *(f"{name}-{suffix}" for suffix in own)])
        ]
        + [
            f"A container named {title} is there that this role did not make, and the role needs the name: remove or rename it "
            "yourself, or set ollama_name to another name."
            for title in foreign
        ],
    }


def _action(compared: Mapping[str, Any], main: Mapping[str, Any] | None, state: str, recreate: str) -> str:
    actions = [action for action in compared.get("actions") or [] if isinstance(action, Mapping)]
    if not actions:
        # Of what is changed in place, docker_container tells no action in check mode, but the difference
        return RUN if (compared.get("diff") or {}).get("before") else NONE
    # It is made anew where the old one would have to go first
    if not any("removed" in action for action in actions):
        return RUN
    if recreate == "never":
        return HOLD
    return UPGRADE if state == "started" and _is(main, "running") else RUN


def _repair(main: Mapping[str, Any] | None, own: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what a run that was killed left to do.

    An old container that waits beside one that runs: the new one was not proven yet. In any other case the old one comes
    back: it is known to serve. One that is stopped beside a next one was stopped for an exchange.
    """
    if OLD in own:
        return FINISH if _is(main, "running") else RESTORE
    return RESTORE if NEXT in own and main is not None and _is(main, "exited") else NONE


def _writers(seen: Mapping[str, Mapping[str, Any]], store: str, own: list[str]) -> list[str]:
    """Return those who can write to the store while it serves: two servers would delete each other's files."""
    if not store:
        return []
    found = []
    for title, entry in seen.items():
        if title in own or entry.get("State") not in _ALIVE:
            continue
        for mount in entry.get("Mounts") or []:
            where = mount.get("Name") if mount.get("Type") == "volume" else mount.get("Source")
            if mount.get("RW") and where and same_place(str(where), store):
                found.append(f"{title} ({where} at {mount.get('Destination')})")
    return sorted(found)


def same_place(one: str, other: str) -> bool:
    """Tell whether two places are one, or one of them lies in the other; a volume is known by its name only."""
    if not one.startswith("/") or not other.startswith("/"):
        return one == other
    one, other = one.rstrip("/") + "/", other.rstrip("/") + "/"
    return one.startswith(other) or other.startswith(one)


def _titles(entry: Mapping[str, Any]) -> list[str]:
    # A link shows as /other/alias: only plain names are the container's own
    return [str(title)[1:] for title in entry.get("Names") or [] if str(title).count("/") == 1]


def _image(entry: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the image of a container, by ID and by the reference that it was declared by; empty for no container."""
    return {"id": entry.get("ImageID"), "reference": _labels(entry).get(IMAGE, "")} if entry is not None else {}


def _labels(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    return entry.get("Labels") or {}


def _is_ours(entry: Mapping[str, Any], name: str) -> bool:
    return _labels(entry).get(INSTANCE) == name


def _is(entry: Mapping[str, Any] | None, state: str) -> bool:
    return entry is not None and entry.get("State") == state


# --- what differs -----------------------------------------------------------------------------------------------------


def differences(diff: Mapping[str, Any], created_with: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return what differs between a container and its declaration, one entry for each key: ``name``, ``now``, ``wanted``.

    Lists and mappings are taken apart, so that one changed variable is not hidden among twenty. Values that look like
    secrets are not shown.

    :param created_with: what the new container would be created with. Variables and labels that are not in it come from another
        image, and are left out.
    """
    before, after = diff.get("before") or {}, diff.get("after") or {}
    found: list[dict[str, Any]] = []
    labels_differ = "labels" in before or "labels" in after
    for key in [*before, *(key for key in after if key not in before)]:
        now, wanted = before.get(key), after.get(key)
        # The declared reference tells more than the IDs, of which there are two keys
        if key in ("image", "image_name") and labels_differ and _reference_differs(before, after):
            continue
        title = key[len("expected_") :] if key.startswith("expected_") else key
        found.extend(_taken_apart(title, now, wanted))
    if created_with and any(entry["name"] == "image" for entry in found):
        declared = {f"env.{str(item).partition('=')[0]}" for item in created_with.get("Env") or []}
        declared |= {f"labels.{key}" for key in created_with.get("Labels") or {}}
        found = [entry for entry in found if entry["name"] in declared or not _may_be_an_images(entry)]
    return [entry for index, entry in enumerate(found) if entry not in found[:index]]


def _may_be_an_images(entry: Mapping[str, Any]) -> bool:
    return entry["wanted"] is not None and str(entry["name"]).startswith(("env.", "labels."))


def _created_with(compared: Mapping[str, Any]) -> Mapping[str, Any]:
    actions = [action for action in compared.get("actions") or [] if isinstance(action, Mapping)]
    return next((action.get("create_parameters") or {} for action in actions if "created" in action), {})


def _reference_differs(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    one, other = before.get("labels") or {}, after.get("labels") or {}
    return bool(one.get(IMAGE) != other.get(IMAGE))


def _taken_apart(title: str, now: Any, wanted: Any) -> list[dict[str, Any]]:
    if title == "env":
        now, wanted = _mapping_of(now), _mapping_of(wanted)
    if isinstance(now, Mapping) and isinstance(wanted, Mapping):
        keys = sorted({*now, *wanted})
        parts = [(key, now.get(key), wanted.get(key)) for key in keys if now.get(key) != wanted.get(key)]
        return [_entry("image" if key == IMAGE else f"{title}.{key}", one, other) for key, one, other in parts]
    if isinstance(now, list) and isinstance(wanted, list):
        only_now, only_wanted = (
            [item for item in now if item not in wanted],
            [item for item in wanted if item not in now],
        )
        if only_now or only_wanted:
            return [_entry(title, only_now, only_wanted)]
    return [_entry(title, now, wanted)]


def _mapping_of(env: Any) -> Any:
    return dict(str(item).partition("=")[::2] for item in env) if isinstance(env, list) else env


def _entry(name: str, now: Any, wanted: Any) -> dict[str, Any]:
    if _SECRET.search(name):
        return {
            "name": name,
            "now": None if now is None else "(not shown)",
            "wanted": None if wanted is None else "(not shown)",
        }
    return {"name": name, "now": masked_value(now), "wanted": masked_value(wanted)}


# --- the canary's model -----------------------------------------------------------------------------------------------


def choose_probe(models: Iterable[Mapping[str, Any]], declared: Iterable[str], probe: str, free: int) -> dict[str, Any]:
    """Choose the model with which a canary generates.

    :param models: what the server has, as M(ollama_model_info) returns it
    :param declared: names of the declared models
    :param probe: the model that is declared for this, empty for the smallest declared one
    :param free: bytes of memory that are free on the host
    :returns: ``model``, empty if there is none for which there is room, and ``reason``
    """
    held = {name.key: entry for entry in models if (name := name_of(entry)) and not entry.get("remote")}
    wanted = [name for name in map(_parsed, [probe] if probe else declared) if name is not None]
    found = [(int(held[name.key].get("size") or 0), name.short) for name in wanted if name.key in held]
    if not found:
        return {
            "model": "",
            "reason": f"{probe} is not on the server" if probe else "no declared model is on the server",
        }
    size, model = min(found)
    if size * ROOM > free:
        return {
            "model": "",
            "reason": f"{free / 1e9:.1f} GB of memory are free, and {model} wants {size * ROOM / 1e9:.1f} GB",
        }
    return {"model": model, "reason": ""}


def _parsed(text: str) -> ModelName | None:
    try:
        return parse_listed(str(text))
    except InvalidName:
        return None
