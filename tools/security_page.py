# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The made part of SECURITY.md: known holes, the floor or setting that answers each, and the tests of those."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

DATA = Path("docs/cves.yml")
RULES = Path("roles/ollama/vars/hardening.yml")
RECORD = "https://www.cve.org/CVERecord?id="


def security_page() -> str:
    """Return the made part of SECURITY.md."""
    data = yaml.safe_load(DATA.read_text())
    rules = yaml.safe_load(RULES.read_text())["ollama_hardening_rules"]
    titles = {rule["id"]: rule["title"] for rule in rules if rule.get("counted", True)}
    lines = [
        "## Known holes, and what answers each",
        "",
        f"Made from `{DATA}`; a test holds each line to the code, the floors and the tests that it names. Each number leads to the",
        f"CVE's record; read on {data['cves_read_on']}. A floor is the version below which a role or module refuses to work, or tells of it.",
        "Where no floor closes a hole, the settings named limit what it is worth, and the last words say what stays.",
        "",
        "| Hole | In | Closed in | What it allows | What answers it | What stays | Shown by |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [f"| {' | '.join(row(entry, data['cves_floors'], titles))} |" for entry in data["cves"]]
    return "\n".join(lines)


def row(entry: dict[str, Any], floors: dict[str, Any], titles: dict[int, str]) -> list[str]:
    """Return the cells of one line."""
    links = [f"[{name}]({RECORD}{name})" for name in entry["ids"]]
    links += [f"[read here]({address})" for address in entry.get("read", [])]
    return [
        cell("; ".join(links)),
        entry["product"],
        entry["closed"] or "no version is named",
        cell(entry["what"]),
        cell("; ".join(answers(entry, floors, titles))),
        cell(entry.get("left", "")),
        "<br>".join(f"`{cell(test)}`" for test in entry["tests"]),
    ]


def answers(entry: dict[str, Any], floors: dict[str, Any], titles: dict[int, str]) -> list[str]:
    """Return what answers a hole, in words: the floor, points of the score card, variables of the role ollama."""
    found = []
    if "floor" in entry:
        floor = floors[entry["floor"]]
        found.append(f"the floor, which {floor['does']} {floor['name']} below {floor['version']}")
    found += [f"[point {number}](docs/hardening.md): {titles[number]}" for number in entry.get("points", [])]
    return found + [f"`{name}`" for name in entry.get("settings", [])]


def cell(text: str) -> str:
    """Return text that fits in one cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")
