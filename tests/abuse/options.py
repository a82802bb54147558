# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which options hold secrets, and which variables are texts: read from the specifications, so that a new one cannot be forgotten."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import yaml
from ansible.module_utils import basic

#: What looks like a secret by its name, and why it is none.
OPEN = {
    "client_key": "the path of a file",
    "ollama_models_client_key": "the path of a file",
    "docker_repository_key": "a public key",
    "nvidia_container_toolkit_repository_key": "a public key",
    "max_tokens": "a number",
    "max_first_token_seconds": "a number",
    "min_tokens_per_second": "a number",
    "ollama_keep_alive": "a duration",
    "keep_alive": "a duration",
}
LOOKS_SECRET = re.compile(r"passw|secret|token|api_?key|_key$|identity|credential|login$", re.IGNORECASE)


class _Captured(Exception):
    """The specification of a module, instead of a run of it."""

    def __init__(self, spec: dict[str, Any]) -> None:
        super().__init__()
        self.spec = spec


def _flat(options: dict[str, Any], prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, option in options.items():
        yield prefix + name, option
        yield from _flat(option.get("options") or {}, f"{prefix}{name}.")


def module_options() -> dict[str, dict[str, Any]]:
    """Return the options of all modules, as MODULE.OPTION."""

    def capture(*_args: Any, argument_spec: dict[str, Any], **_options: Any) -> None:
        raise _Captured(argument_spec)

    found: dict[str, dict[str, Any]] = {}
    for path in sorted(Path("plugins/modules").glob("*.py")):
        module = importlib.import_module(f"ansible_collections.alchemorsel.ollama.plugins.modules.{path.stem}")
        with mock.patch.object(module, "AnsibleModule", capture), mock.patch.object(basic, "AnsibleModule", capture):
            try:
                module.main()
            except _Captured as captured:
                found.update(_flat(captured.spec, f"{path.stem}."))
    return found


def role_options() -> dict[str, dict[str, Any]]:
    """Return the variables of all roles, as ROLE.VARIABLE."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(Path("roles").glob("*/meta/argument_specs.yml")):
        main = yaml.safe_load(path.read_text())["argument_specs"]["main"]
        found.update(_flat(main.get("options", {}), f"{path.parts[1]}."))
    return found


def hidden() -> list[str]:
    """Return all options with ``no_log``."""
    return [name for name, option in {**module_options(), **role_options()}.items() if option.get("no_log") is True]


def unhidden() -> list[str]:
    """Return the options that look like secrets by their names and have no ``no_log``, but for those of which it is known why."""
    return [
        name
        for name, option in {**module_options(), **role_options()}.items()
        if LOOKS_SECRET.search(name) and option.get("no_log") is not True and name.rpartition(".")[2] not in OPEN
        if not option.get("options") and option.get("type") != "bool"
    ]


def texts_of(role: str) -> dict[str, dict[str, Any]]:
    """Return the variables of a role that are texts, or hold some, and take any."""
    return {
        name.partition(".")[2]: option
        for name, option in role_options().items()
        if name.count(".") == 1 and name.startswith(f"{role}.") and not option.get("choices")
        if option.get("type", "str") in ("str", "path")
        or option.get("elements") in ("str", "path")
        or option.get("type") == "dict"
    }
