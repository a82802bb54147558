# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""gpu_info as a module: options, results, nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.alchemorsel.ollama.plugins.modules import gpu_info


@pytest.fixture
def run(run_module):
    return lambda check_mode=False, **options: run_module(gpu_info, options, check_mode)


def tree(root: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.stat().st_mtime_ns) for path in root.rglob("*"))


@pytest.fixture
def nouveau_host(tmp_path):
    device = tmp_path / "sys/bus/pci/devices/0000:01:00.0"
    device.mkdir(parents=True)
    for name, content in {
        "vendor": "0x10de",
        "class": "0x030000",
        "device": "0x2204",
        "uevent": "DRIVER=nouveau",
    }.items():
        (device / name).write_text(content + "\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("check_mode", [False, True])
def test_reads_and_changes_nothing(run, nouveau_host, check_mode):
    before = tree(nouveau_host)
    result = run(check_mode=check_mode, root=str(nouveau_host))
    assert result["changed"] is False
    assert "failed" not in result
    assert (result["vendor"], result["ready"], result["nouveau"]) == ("nvidia", False, True)
    assert tree(nouveau_host) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"root": "/does/not/exist"}, "root: /does/not/exist is not a directory"),
        ({"timeout": 0}, "timeout: 0 is not above 0"),
        ({"min_driver_version": "new"}, "min_driver_version: 'new' is not a version"),
        ({"min_toolkit_version": ""}, "min_toolkit_version: '' is not a version"),
    ],
)
def test_bad_input_is_one_sentence(run, options, words):
    result = run(**options)
    assert result["failed"] is True
    assert words in result["msg"]


def test_documented_results_are_the_returned_ones(run, nouveau_host):
    documented = set(yaml.safe_load(gpu_info.RETURN))
    assert set(run(root=str(nouveau_host))) - {"changed", "invocation"} == documented
