# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts as trees of files: each `fixtures/hosts/*.yml` has what a kind of host shows in /sys, /proc, /dev and by its commands.

`files` maps paths to contents, those in a directory bin are scripts that stand for the commands; `links` maps paths to targets,
`modes` paths to permissions. The tests of the ladder and the table in docs/gpu.md are made from them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import yaml
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _gpu, _gpu_ladder

HOSTS = Path(__file__).parent / "fixtures" / "hosts"


def names() -> list[str]:
    return sorted(path.stem for path in HOSTS.glob("*.yml"))


def load(name: str) -> dict[str, Any]:
    tree: dict[str, Any] = yaml.safe_load((HOSTS / f"{name}.yml").read_text(encoding="utf-8"))
    return tree


def plant(name: str, root: Path) -> Path:
    """Write a host's tree below `root`."""
    tree = load(name)
    for path, content in tree["files"].items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")
        # Device nodes are for a group, commands can be run
        target.chmod(0o755 if "/bin/" in path else 0o660 if path.startswith("dev/") else 0o644)
    for path, goal in tree.get("links", {}).items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(goal)
    for path, mode in tree.get("modes", {}).items():
        (root / path).chmod(int(mode, 8))
    return root


def verdict_of(name: str, root: Path) -> dict[str, Any]:
    """Return what gpu_info says of a host that is planted below `root`."""
    run = _gpu.run_tool

    def run_tool(root: Path, argv: list[str], timeout: float) -> _gpu.ToolOutput:
        # Only the one that hangs is not waited for
        return run(root, argv, 0.3 if (name, argv[0]) == ("smi-hangs", "nvidia-smi") else timeout)

    with mock.patch.object(_gpu, "run_tool", run_tool):
        return _gpu_ladder.judge(_gpu.observe(plant(name, root), 20.0))
