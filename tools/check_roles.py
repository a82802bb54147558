# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that each role's defaults and its argument specification say the same.

Every variable of defaults/main.yml is an option of meta/argument_specs.yml with that default, and the other way round;
only a required option has no default. A default that is computed (a template) stands in the specification only where it is
a string there, because a template is no valid boolean or number. Every option has a type and a description and begins with
the role's name; a list says what its elements are.

A file of tasks that is imported by another one than main.yml is named by its whole path: else Ansible takes a file of that name
in the folder `tasks` beside the playbook, if there is one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml


def main() -> int:
    """Check all roles below roles/; return the exit code."""
    complaints = [f"{role}: {text}" for role in sorted(Path("roles").iterdir()) for text in check(role)]
    print("\n".join(complaints) or "roles: defaults and argument_specs agree")
    return int(bool(complaints))


def check(role: Path) -> Iterator[str]:
    """Yield what is wrong with one role."""
    for file in sorted(role.glob("tasks/*.yml")):
        for name in (
            re.findall(r"import_tasks: (\w+\.yml)$", file.read_text(), re.MULTILINE) if file.name != "main.yml" else ()
        ):
            yield f"{file.name} imports {name}: name it by its whole path, {{{{ role_path }}}}/tasks/{name}"
    spec_file, defaults_file = role / "meta/argument_specs.yml", role / "defaults/main.yml"
    if not spec_file.exists():
        yield "has no meta/argument_specs.yml"
        return
    defaults = (yaml.safe_load(defaults_file.read_text()) if defaults_file.exists() else None) or {}
    options = yaml.safe_load(spec_file.read_text())["argument_specs"]["main"].get("options", {})
    for name in sorted(defaults.keys() - options.keys()):
        yield f"{name} has a default and is not in argument_specs"
    for name, option in options.items():
        if not name.startswith(f"{role.name}_"):
            yield f"{name} does not begin with the role's name"
        yield from check_default(name, option, defaults)
        yield from check_documented(name, option)


def check_default(name: str, option: dict[str, Any], defaults: dict[str, Any]) -> Iterator[str]:
    """Yield where the default of an option differs from defaults/main.yml."""
    if option.get("required"):
        if name in defaults:
            yield f"{name} is required and has a default"
    elif name not in defaults:
        yield f"{name} is in argument_specs and has no default"
    elif computed(defaults[name]) and option.get("type") != "str" and "default" not in option:
        return
    elif not same(option.get("default"), defaults[name]):
        yield f"{name}: argument_specs says default {option.get('default')!r}, defaults/main.yml {defaults[name]!r}"


def check_documented(name: str, option: dict[str, Any]) -> Iterator[str]:
    """Yield what the documentation of an option, or of its suboptions, lacks."""
    for key in ("type", "description"):
        if not option.get(key):
            yield f"{name} has no {key}"
    if option.get("type") == "list" and "elements" not in option:
        yield f"{name} does not say what its elements are"
    for inner, suboption in option.get("options", {}).items():
        yield from check_documented(f"{name}.{inner}", suboption)


def computed(value: Any) -> bool:
    """Return whether a default is a template."""
    return isinstance(value, str) and "{{" in value


def same(left: Any, right: Any) -> bool:
    """Return whether two values are equal and of one type: 1 is not true."""
    return type(left) is type(right) and bool(left == right)


if __name__ == "__main__":
    sys.exit(main())
