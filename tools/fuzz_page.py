# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The made part of docs/fuzz.md: what the recorded runs tried, and what they found."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

RUN = Path("docs/fuzz/run.json")
HOSTS = Path("docs/fuzz/hosts.json")
FOUND = Path("docs/fuzz/found.yml")
OF_UNITS = "Property tests beside the unit tests"


def fuzz_page() -> str:
    """Return the made part of docs/fuzz.md."""
    run = json.loads(RUN.read_text())
    rows: dict[str, dict[str, Any]] = run["rows"]
    found: list[dict[str, str]] = yaml.safe_load(FOUND.read_text())
    examples = sum(row["examples"] for row in rows.values())
    crashed = sum(row["failed"] for row in rows.values())
    about = run["about"]
    lines = [
        "# Abuse: what was thrown at it, and what that found",
        "",
        "Made from the run of `make fuzz` that `docs/fuzz/run.json` records, and from the list of faults in `docs/fuzz/found.yml`.",
        "",
        f"**{examples} examples in {len(rows)} properties, {crashed} crashed** (at least {about['examples']} each where a test does not set its own",
        f"number; Python {about['python']}, hypothesis {about['hypothesis']}). A property is held for texts of any kind, and for right values with",
        "something bent in them: no traceback, no example that hangs, no secret in what is told, no path outside of the store.",
        "",
        "## Found and mended",
        "",
        "| What came | What happened | Since then | Kept by |",
        "|---|---|---|---|",
        *(f"| {cell(one['came'])} | {cell(one['was'])} | {cell(one['now'])} | `{one['test']}` |" for one in found),
        "",
        *host_part(),
        "## Properties",
        "",
        "| Property | Examples | Longest example | Held |",
        "|---|---|---|---|",
    ]
    for title, inside in grouped(rows):
        lines.append(f"| **{cell(title)}** | **{sum(row['examples'] for _words, row in inside)}** | | |")
        lines += [
            f"| {cell(words)} | {row['examples']} | {1000 * row['longest']:.0f} ms | {'**no**' if row['failed'] else 'yes'} |"
            for words, row in inside
        ]
    return "\n".join(lines)


def host_part() -> list[str]:
    """Return what was tried on a host, one row for each test."""
    if not HOSTS.exists():
        return []
    rows: dict[str, dict[str, Any]] = json.loads(HOSTS.read_text())
    lines = [
        "## On a host",
        "",
        "Made from the run of `make fuzz-hosts` that `docs/fuzz/hosts.json` records: real roles on a host of the lab, entered as a user with sudo.",
        "",
        "| Case | What was looked at | Seconds | Held |",
        "|---|---|---|---|",
    ]
    for name, row in sorted(rows.items()):
        words = name.partition("::")[2].removeprefix("test_").replace("_", " ")
        told = "; ".join(f"{key}: {value}" for key, value in row.items() if key not in ("failed", "seconds"))
        lines.append(f"| {cell(words)} | {cell(told)} | {row['seconds']} | {'**no**' if row['failed'] else 'yes'} |")
    return [*lines, ""]


def grouped(rows: dict[str, dict[str, Any]]) -> Iterator[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    """Yield the title of each file of tests/fuzz with its properties in words, and those of the unit tests as one."""
    groups: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for name, row in sorted(rows.items()):
        path, _colons, test = name.partition("::")
        title = (
            (ast.get_docstring(ast.parse(Path(path).read_text())) or path)
            if path.startswith("tests/fuzz/")
            else OF_UNITS
        )
        words = test.removeprefix("test_").replace("_", " ")
        groups.setdefault(title, []).append((words if title != OF_UNITS else f"{Path(path).stem[5:]}: {words}", row))
    yield from sorted(groups.items(), key=lambda group: group[0] == OF_UNITS)


def cell(text: str) -> str:
    """Return text that fits in one cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")
