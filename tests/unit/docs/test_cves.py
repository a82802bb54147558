# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The known holes of SECURITY.md: what answers each is in the code, and the tests that are said to show it are there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.alchemorsel.ollama.plugins.module_utils._versions import FLOOR, version_numbers

ROOT = Path(__file__).resolve().parents[3]


def read(path: str) -> Any:
    """One YAML file of the tree."""
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


DATA = read("docs/cves.yml")
FLOORS, ENTRIES = DATA["cves_floors"], DATA["cves"]
POINTS = [rule["id"] for rule in read("roles/ollama/vars/hardening.yml")["ollama_hardening_rules"]]
SETTINGS = read("roles/ollama/defaults/main.yml")


def floors_of_the_code() -> dict[str, str]:
    """The floors as the code compares them."""
    engine = read("roles/docker/vars/main/packages.yml")["_docker_floors"]
    return {
        "ollama": FLOOR,
        "engine": max((floor["version"] for floor in engine if floor["refused"]), key=version_numbers),
        "engine_told": max((floor["version"] for floor in engine), key=version_numbers),
        "toolkit": read("roles/nvidia_container_toolkit/vars/main/main.yml")["_nvidia_container_toolkit_min_version"],
    }


def names_of_tasks(tasks: Any) -> list[str]:
    """The names of all plays and tasks, those in blocks too."""
    if isinstance(tasks, list):
        return [name for task in tasks for name in names_of_tasks(task)]
    if not isinstance(tasks, dict):
        return []
    inner = [tasks[key] for key in ("tasks", "pre_tasks", "post_tasks", "block", "rescue", "always") if key in tasks]
    return [tasks.get("name", "")] + names_of_tasks(inner)


def exists(test: str) -> bool:
    """Whether a test is there: FILE::FUNCTION, or FILE: NAME OF A TASK."""
    if "::" in test:
        path, function = test.split("::")
        return re.search(rf"^def {function}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE) is not None
    path, task = test.split(": ", 1)
    return task in names_of_tasks(read(path))


def test_the_floors_are_those_of_the_code():
    assert {name: floor["version"] for name, floor in FLOORS.items()} == floors_of_the_code()
    for floor in FLOORS.values():
        assert floor["version"] in (ROOT / floor["where"]).read_text(encoding="utf-8")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["ids"][0])
def test_what_answers_a_hole_is_there(entry):
    assert set(entry.get("points", [])) <= set(POINTS)
    assert set(entry.get("settings", [])) <= SETTINGS.keys()
    if "floor" in entry:
        assert version_numbers(entry["closed"]) <= version_numbers(FLOORS[entry["floor"]]["version"])
    else:
        assert entry["left"] and (entry.get("points") or entry.get("settings"))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["ids"][0])
def test_the_tests_of_a_hole_are_there(entry):
    assert entry["tests"]
    assert [test for test in entry["tests"] if not exists(test)] == []


def test_a_test_that_is_not_there_is_noticed():
    assert not exists("tests/unit/docs/test_cves.py::test_nothing")
    assert not exists("molecule/default/verify.yml: Check nothing")


def test_each_hole_stands_once_and_has_its_number():
    numbers = [number for entry in ENTRIES for number in entry["ids"]]
    assert len(numbers) == len(set(numbers))
    assert all(re.fullmatch(r"CVE-\d{4}-\d{4,6}", number) for number in numbers)
    assert all(address.startswith("http") for entry in ENTRIES for address in entry.get("read", []))


def test_the_page_has_each_hole():
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert all(number in page for entry in ENTRIES for number in entry["ids"])
