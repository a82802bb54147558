# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The GPU ladder on recorded hosts: each `fixtures/hosts/*.yml` is a tree of files and commands."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _gpu, _gpu_ladder

HOSTS = Path(__file__).parents[2] / "fixtures" / "hosts"
RUNGS = ["pci", "driver", "nvidia_smi", "toolkit", "cdi"]

# host: vendor, one letter per rung (o ok, F failed, - not applicable),
#       words in the first failed rung's reason, words in its remedy
EXPECTED = {
    "none": ("none", "F----", "0x1a03:0x2000", "pass it through"),
    "intel-graphics": ("none", "F----", "0x8086:0x3e98", "pass it through"),
    "no-pci": ("none", "F----", "no /sys/bus/pci/devices", "Jetson"),
    "no-driver": ("nvidia", "oF-F-", "kernel module is not loaded", "version 550 or newer"),
    "nouveau": ("nvidia", "oF-F-", "nouveau", "blacklist nouveau"),
    "driver-too-old": ("nvidia", "oFooo", "535.183.01 is older than 550", "550 or newer"),
    "smi-missing": ("nvidia", "ooFF-", "nvidia-smi is not installed", "user space"),
    "reboot-pending": ("nvidia", "ooFoF", "differ in version", "reboot the host"),
    "smi-no-devices": ("nvidia", "ooFoF", "rc 6 and said: No devices were found", "kernel log"),
    "smi-hangs": ("nvidia", "ooFoo", "did not answer within", "Xid"),
    "toolkit-missing": ("nvidia", "oooF-", "nvidia-ctk is not installed", "nvidia-container-toolkit-base 1.19.1"),
    "toolkit-too-old": ("nvidia", "oooFo", "1.17.8 is older than 1.19.1", "1.19.1 or newer"),
    "cdi-missing": ("nvidia", "ooooF", "finds no device", "nvidia-cdi-refresh.service"),
    "cdi-broken": ("nvidia", "ooooF", "nvidia.yaml: failed to parse CDI Spec", "nvidia-cdi-refresh.service"),
    "ready": ("nvidia", "ooooo", "", ""),
    "ready-two-gpus": ("nvidia", "ooooo", "", ""),
    "amd": ("amd", "oo---", "", ""),
    "amd-no-driver": ("amd", "oF---", "not bound to amdgpu", "load the kernel module"),
    "amd-no-kfd": ("amd", "oF---", "/dev/kfd does not exist", "CONFIG_HSA_AMD"),
}
LETTERS = {_gpu_ladder.OK: "o", _gpu_ladder.FAILED: "F", _gpu_ladder.NOT_APPLICABLE: "-"}


def plant(name: str, root: Path) -> Path:
    """Write a recorded host's files below `root`; what stands in usr/bin becomes executable."""
    for path, content in yaml.safe_load((HOSTS / f"{name}.yml").read_text(encoding="utf-8"))["files"].items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")
        if path.startswith("usr/bin/"):
            target.chmod(0o755)
    return root


def verdict_of(name: str, root: Path, timeout: float = 20.0) -> dict:
    return _gpu_ladder.judge(_gpu.observe(plant(name, root), timeout))


def test_every_recorded_host_is_expected():
    assert {path.stem for path in HOSTS.glob("*.yml")} == set(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_ladder(name, tmp_path):
    vendor, letters, reason, remedy = EXPECTED[name]
    verdict = verdict_of(name, tmp_path, timeout=0.3 if name == "smi-hangs" else 20.0)
    assert [check["name"] for check in verdict["checks"]] == RUNGS
    assert "".join(LETTERS[check["status"]] for check in verdict["checks"]) == letters
    assert verdict["vendor"] == vendor
    assert verdict["ready"] is ("F" not in letters)
    assert reason in verdict["reason"]
    assert remedy in verdict["remedy"]
    for check in verdict["checks"]:
        assert check["reason"]
        assert bool(check["remedy"]) is (check["status"] == _gpu_ladder.FAILED)


def test_a_ready_host_in_detail(tmp_path):
    verdict = verdict_of("ready-two-gpus", tmp_path)
    assert verdict["driver_version"] == "550.54.15"
    assert verdict["toolkit_version"] == "1.19.1"
    assert verdict["nouveau"] is False
    assert [device["address"] for device in verdict["devices"]] == ["0000:01:00.0", "0000:41:00.0"]
    assert verdict["devices"][0] == {
        "address": "0000:01:00.0",
        "vendor": "nvidia",
        "vendor_id": "0x10de",
        "device_id": "0x2330",
        "pci_class": "0x030200",
        "driver": "nvidia",
    }
    assert verdict["gpus"][1] == {
        "index": 1,
        "uuid": "GPU-6a1f3c1e-5f0b-4a3e-9d55-0f6f5a9c0002",
        "name": "NVIDIA H100 80GB HBM3",
        "memory_mib": 81559,
    }
    assert verdict["cdi_devices"] == [
        "nvidia.com/gpu=0",
        "nvidia.com/gpu=1",
        "nvidia.com/gpu=GPU-6a1f3c1e-5f0b-4a3e-9d55-0f6f5a9c0001",
        "nvidia.com/gpu=GPU-6a1f3c1e-5f0b-4a3e-9d55-0f6f5a9c0002",
        "nvidia.com/gpu=all",
    ]


def test_nouveau_is_flagged_and_devices_of_others_are_listed(tmp_path):
    assert verdict_of("nouveau", tmp_path / "a")["nouveau"] is True
    none = verdict_of("none", tmp_path / "b")
    assert [device["vendor"] for device in none["devices"]] == ["other"]  # the network card is no display controller


def test_floors_are_options(tmp_path):
    seen = _gpu.observe(plant("ready", tmp_path), 20.0)
    assert _gpu_ladder.judge(seen, min_driver="580")["reason"] == "driver 570.124.06 is older than 580"
    assert "1.20.1 is older than 1.21" in _gpu_ladder.judge(seen, min_toolkit="1.21")["reason"]


def test_a_tool_that_cannot_be_started_is_a_reason(tmp_path):
    plant("ready", tmp_path)
    smi = tmp_path / "usr/bin/nvidia-smi"
    smi.write_text("#!/does/not/exist\n", encoding="utf-8")
    verdict = _gpu_ladder.judge(_gpu.observe(tmp_path, 20.0))
    assert verdict["reason"].startswith("nvidia-smi cannot be started: ")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.135  Fri Jan 10 20:00:00 UTC 2025", "550.135"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  580.95.05  Release Build", "580.95.05"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module  570.86.15  Release Build", "570.86.15"),
        ("GCC version: gcc 12.2.0", None),
        (None, None),
    ],
)
def test_driver_version(text, version):
    assert _gpu.parse_driver_version(text) == version


@pytest.mark.parametrize(
    ("newer", "older"), [("550.54.15", "550"), ("1.20.0", "1.19.1"), ("1.19.10", "1.19.9"), ("580", "550.163.01")]
)
def test_versions_compare_as_numbers(newer, older):
    assert _gpu.version_key(newer) > _gpu.version_key(older)


def test_an_unreadable_number_of_memory_is_none():
    assert _gpu.parse_gpus("0, GPU-1, NVIDIA GB10, [N/A], 580.95\n")[0]["memory_mib"] is None
