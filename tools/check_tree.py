# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check what no linter knows of: licence headers, sizes, silenced checks, names that belong to this machine only,
and that the action group, the modules and the doc fragments name the same modules.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml
from pip._internal.models.index import PyPI

LICENCE = "SPDX-License-Identifier: GPL-3.0-or-later"
MAX_LINES = 350
# Recorded or made data, and files that no person wrote.
DATA = re.compile(
    r"^(tests/unit/fixtures/|tests/contract/(data|transcripts|recorded)/|changelogs/|requirements-.*\.txt|LICENSE)"
)
# Taken apart, so that this file passes its own check.
SILENCERS = [
    "no" + "qa",
    "type: " + "ignore",
    "TO" + "DO",
    "FIX" + "ME",
    "ignore_" + "errors: true",
    "pytest." + "skip",
]


def main() -> int:
    """Check all files of the checkout that git knows or could know; return the exit code."""
    complaints = [f"{path}: {text}" for path in files() for text in check_file(path)]
    complaints += [f"meta/runtime.yml: {text}" for text in check_action_group()]
    print("\n".join(complaints) or "tree: nothing to complain about")
    return int(bool(complaints))


def files() -> list[Path]:
    """Return all files that are committed or would be by `git add --all`."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
    return [path for name in sorted(set(names)) if (path := Path(name)).is_file()]


def check_file(path: Path) -> Iterator[str]:
    """Yield what is wrong with one file."""
    try:
        text = path.read_text()
    except UnicodeDecodeError:
        return
    for name in machine_names():
        if name in text:
            yield f"names {name!r}, which is a matter of the machine's settings"
    if DATA.match(path.as_posix()):
        return
    for word in SILENCERS:
        if re.search(rf"{re.escape(word)}\b", text):
            yield f"has {word!r}: mend the cause instead"
    if needs_licence(path, text) and LICENCE not in text[:400]:
        yield "lacks the licence header"
    if path.suffix in (".py", ".yml", "") and text.count("\n") > MAX_LINES:
        yield f"has {text.count(chr(10))} lines, more than {MAX_LINES}"


def needs_licence(path: Path, text: str) -> bool:
    """Return whether a file is code: Python, a script, or YAML of a role, a playbook or an inventory."""
    if path.suffix == ".py":
        return bool(text.strip())
    return text.startswith("#!") or (
        path.suffix == ".yml" and path.parts[0] in ("roles", "playbooks", "meta", "lab", "molecule")
    )


def machine_names() -> list[str]:
    """Return names that must not be committed: the package registry's hosts, and where this checkout lies."""
    return [PyPI.netloc, PyPI.file_storage_domain, str(Path.cwd())]


def check_action_group() -> Iterator[str]:
    """Yield the modules for which action group, doc fragments and code do not agree."""
    group = set(yaml.safe_load(Path("meta/runtime.yml").read_text())["action_groups"]["ollama"])
    for path in sorted(Path("plugins/modules").glob("*.py")):
        text = path.read_text()
        member = path.stem in group
        signs = {
            "the doc fragment alchemorsel.ollama.server": "alchemorsel.ollama.server" in text,
            "the doc fragment alchemorsel.ollama.attributes.actiongroup_ollama": "attributes.actiongroup_ollama"
            in text,
            "server_argument_spec()": "server_argument_spec()" in text,
        }
        for sign, present in signs.items():
            if present != member:
                yield f"{path.stem} is {'' if member else 'not '}in the action group, but uses {sign}: {present}"
    for name in sorted(group):
        if not Path(f"plugins/modules/{name}.py").exists():
            yield f"the action group names {name}, and there is no such module"


if __name__ == "__main__":
    sys.exit(main())
