# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The GPU ladder on hosts of every kind: each `fixtures/hosts/*.yml` is a tree of files and commands."""

from __future__ import annotations

import os

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _gpu, _gpu_ladder, _gpu_parse
from ansible_collections.alchemorsel.ollama.plugins.module_utils._gpu_request import Wish, decide
from ansible_collections.alchemorsel.ollama.plugins.module_utils._gpu_rung import FAILED, NOT_APPLICABLE, OK, RUNGS
from ansible_collections.alchemorsel.ollama.plugins.module_utils._versions import version_numbers

from tests.unit.host_trees import names, plant, verdict_of

# host: vendor, one letter per rung (o ok, F failed, - not applicable),
#       words in the first failed rung's reason, words in its remedy
EXPECTED = {
    "none": ("none", "F---------", "0x1a03:0x2000", "pass it through"),
    "intel-graphics": ("none", "F---------", "0x8086:0x3e98", "pass it through"),
    "intel-card": ("intel", "oF--------", "(0x8086:0x56a0) are not given to containers", "use the CPU"),
    "no-pci": ("none", "F---------", "no /sys/bus/pci/devices", "pass the GPU through"),
    "jetson": ("tegra", "F---------", "Jetson; nvidia,p3737-0000+p3701-0000", "not supported"),
    "no-driver": ("nvidia", "oF-----F-F", "kernel module is not loaded", "version 550 or newer"),
    "nouveau": ("nvidia", "oF-----F-F", "nouveau", "blacklist nouveau"),
    "vfio": ("nvidia", "oF-----F-F", "held by vfio-pci", "in the virtual machine"),
    "driver-too-old": ("nvidia", "oFoo-ooooo", "535.183.01 is older than 550", "550 or newer"),
    "reboot-pending": ("nvidia", "ooFo---ooo", "module is 570.124.06 and the installed library 580.95.05", "reboot"),
    "reboot-pending-debian": ("nvidia", "ooFo---ooo", "the installed library 580.95.05", "reboot the host"),
    "reboot-pending-by-smi": ("nvidia", "oo-o-F-ooo", "differ in version", "reboot the host"),
    "uvm-missing": ("nvidia", "oooF-ooooo", "/dev/nvidia-uvm does not exist", "nvidia-modprobe -u"),
    "fabric-manager-missing": ("nvidia", "ooooFooooo", "nvidia-fabricmanager is not installed", "version 570.124.06"),
    "fabric-manager-stopped": ("nvidia", "ooooFooooo", "service is inactive (CUDA error 802)", "enable --now"),
    "fabric-manager-other-version": ("nvidia", "ooooFooooo", "570.86.15 and the driver 570.124.06", "570.124.06"),
    "fabric-manager-missing-b200": ("nvidia", "ooooFooooo", "nvidia-fabricmanager is not installed", "enable --now"),
    "fabric-manager": ("nvidia", "oooooooooo", "", ""),
    "smi-missing": ("nvidia", "oo-o-F-F-F", "nvidia-smi is not installed", "user space"),
    "smi-no-devices": ("nvidia", "oooo-F-oFo", "rc 6 and said: No devices were found", "kernel log"),
    "smi-hangs": ("nvidia", "oooo-F-ooo", "did not answer within", "Xid"),
    "one-of-two": ("nvidia", "oooo-F-ooo", "1 of the 2 GPUs that the driver holds", "fell off the bus"),
    "pascal": ("nvidia", "oooo-oFooo", "capability 6.1, for which Ollama wants driver 570", "570 or newer"),
    "kepler": ("nvidia", "oooo-oFooo", "GPU 0 (Tesla K80) has compute capability 3.7", "take the GPU out"),
    "toolkit-missing": ("nvidia", "oooo-ooF-o", "nvidia-ctk is not installed", "nvidia-container-toolkit-base 1.19.1"),
    "toolkit-too-old": ("nvidia", "oooo-ooFoo", "1.17.8 is older than 1.19.1", "1.19.1 or newer"),
    "cdi-missing": ("nvidia", "oooo-oooFo", "finds no GPU", "nvidia-cdi-refresh.service"),
    "cdi-broken": ("nvidia", "oooo-oooFo", "nvidia.yaml: failed to parse CDI Spec", "nvidia-cdi-refresh.service"),
    "cdi-of-another-driver": ("nvidia", "oooo-oooFo", "for driver 550.163.01, and 570.124.06 is loaded", "restart"),
    "cdi-lacks-a-gpu": ("nvidia", "oooo-oooFo", "lack GPU 1 (NVIDIA H100 80GB HBM3)", "restart"),
    "mig": ("nvidia", "oooo-ooooo", "", ""),
    "mig-one": ("nvidia", "oooo-ooooo", "", ""),
    "mig-without-parts": ("nvidia", "oooo-oooFo", "parts of GPU 0, on which MIG is enabled", "restart"),
    "engine-missing": ("nvidia", "oooo-ooooF", "docker is not installed", "run the role docker"),
    "engine-stopped": ("nvidia", "oooo-ooooF", "Cannot connect to the Docker daemon", "systemctl start docker"),
    "engine-without-cdi": ("nvidia", "oooo-ooooF", "Engine 20.10.24+dfsg1 has no CDI", "docker_source: docker"),
    "engine-cdi-off": ("nvidia", "oooo-ooooF", "26.1.5+dfsg1 has CDI switched off", "{features: {cdi: true}}"),
    "engine-cdi-refused": ("nvidia", "oooo-ooooF", "29.3.1 has CDI switched off", "remove features.cdi: false"),
    "engine-of-old-cdi": ("nvidia", "oooo-ooooF", "25.0.5 does not know CDI descriptions of format 0.7.0", "26.1"),
    "ready": ("nvidia", "oooo-ooooo", "", ""),
    "h100": ("nvidia", "oooo-ooooo", "", ""),
    "driver-in-usr-local": ("nvidia", "oooo-ooF-F", "nvidia-ctk is not installed", "nvidia-container-toolkit-base"),
    "ready-two-gpus": ("nvidia", "oooo-ooooo", "", ""),
    "nvidia-beside-amd": ("nvidia", "oooo-ooooo", "", ""),
    "amd": ("amd", "oo-o------", "", ""),
    "amd-two": ("amd", "oo-o------", "", ""),
    "amd-no-driver": ("amd", "oF--------", "0000:c1:00.0 is not bound to amdgpu", "load the kernel module"),
    "amd-no-kfd": ("amd", "oo-F------", "/dev/kfd does not exist", "CONFIG_HSA_AMD"),
    "amd-no-render": ("amd", "oo-F------", "0000:c1:00.0 has no /dev/dri/renderD*", "firmware"),
    "amd-root-only": ("amd", "oo-F------", "/dev/kfd has the mode 0600", 'GROUP="render"'),
}
LETTERS = {OK: "o", FAILED: "F", NOT_APPLICABLE: "-"}


def test_every_host_is_expected():
    assert set(names()) == set(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_ladder(name, tmp_path):
    vendor, letters, reason, remedy = EXPECTED[name]
    verdict = verdict_of(name, tmp_path)
    assert [check["name"] for check in verdict["checks"]] == list(RUNGS)
    assert "".join(LETTERS[check["status"]] for check in verdict["checks"]) == letters
    assert verdict["vendor"] == vendor
    assert verdict["ready"] is ("F" not in letters)
    assert reason in verdict["reason"]
    assert remedy in verdict["remedy"]
    for check in verdict["checks"]:
        assert check["reason"]
        assert bool(check["remedy"]) is (check["status"] == FAILED)


def test_a_ready_host_in_detail(tmp_path):
    verdict = verdict_of("ready-two-gpus", tmp_path)
    assert verdict["driver_version"] == "550.54.15"
    assert verdict["toolkit_version"] == "1.19.1"
    assert verdict["nouveau"] is False
    assert verdict["engine"] == {"version": "26.1.5+dfsg1", "cdi": True, "cgroup_driver": "systemd"}
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
        "compute_capability": "9.0",
        "mig": False,
    }
    assert verdict["cdi_devices"] == [
        "nvidia.com/gpu=0",
        "nvidia.com/gpu=1",
        "nvidia.com/gpu=GPU-6a1f3c1e-5f0b-4a3e-9d55-0f6f5a9c0001",
        "nvidia.com/gpu=GPU-6a1f3c1e-5f0b-4a3e-9d55-0f6f5a9c0002",
        "nvidia.com/gpu=all",
    ]


def test_a_recorded_host_in_detail(tmp_path):
    verdict = verdict_of("h100", tmp_path)
    assert verdict["driver_version"] == "580.159.04"
    assert verdict["toolkit_version"] == "1.20.2"
    assert verdict["engine"] == {"version": "26.1.5+dfsg1", "cdi": True, "cgroup_driver": "cgroupfs"}
    assert [(device["address"], device["driver"]) for device in verdict["devices"]] == [("0000:00:06.0", "nvidia")]
    assert [(node["path"], node["mode"]) for node in verdict["nodes"]] == [
        ("/dev/nvidiactl", 0o666),
        ("/dev/nvidia-uvm", 0o666),
    ]
    uuid = "GPU-6a1f3c1e-5f0b-4a3e-9d55-0f6f5a9c0001"
    gpu = verdict["gpus"][0]
    assert (gpu["uuid"], gpu["name"], gpu["memory_mib"]) == (uuid, "NVIDIA H100 80GB HBM3", 81559)
    assert (gpu["compute_capability"], gpu["mig"]) == ("9.0", False)
    assert verdict["cdi_devices"] == ["nvidia.com/gpu=0", f"nvidia.com/gpu={uuid}", "nvidia.com/gpu=all"]
    reasons = {check["name"]: check["reason"] for check in verdict["checks"]}
    assert reasons["library"] == "the library is of the module's version, 580.159.04"


def test_what_a_container_gets_of_a_recorded_host(tmp_path):
    verdict = verdict_of("h100", tmp_path)
    uuid = verdict["gpus"][0]["uuid"]
    wanted = {"driver": "cdi", "count": 0}
    got = decide(verdict, Wish("required"), {})
    assert (got.device_requests, got.count) == ([{**wanted, "device_ids": ["nvidia.com/gpu=0"]}], 1)
    got = decide(verdict, Wish("required", (uuid,)), {})
    assert (got.device_requests, got.count) == ([{**wanted, "device_ids": [f"nvidia.com/gpu={uuid}"]}], 1)
    assert "names one GPU twice" in decide(verdict, Wish("required", ("0", uuid)), {}).complaints[0]


def test_a_recorded_cdi_description(tmp_path):
    (text,) = _gpu.read_cdi_specs(plant("h100", tmp_path))
    assert _gpu_parse.describes_gpus(text)
    # The toolkit names the oldest format that has all that it uses: 0.7.0 only for nodes that a group is needed for
    assert _gpu_parse.spec_version(text) == "0.5.0"
    assert _gpu_parse.spec_driver(text) == "580.159.04"


def test_a_driver_in_a_directory_of_its_own(tmp_path):
    seen = _gpu.observe(plant("driver-in-usr-local", tmp_path), 20.0)
    assert seen.libraries == ("libnvidia-ml.so.580.159.04",)
    assert [gpu["name"] for gpu in _gpu_parse.parse_gpus(seen.nvidia_smi.stdout)] == ["NVIDIA H100 80GB HBM3"]


def test_the_nodes_of_amd_s_gpus_with_their_groups(tmp_path):
    verdict = verdict_of("amd-two", tmp_path)
    group = os.stat(tmp_path / "dev/kfd").st_gid
    assert [(node["path"], node["address"], node["gid"], node["mode"]) for node in verdict["nodes"]] == [
        ("/dev/kfd", None, group, 0o660),
        ("/dev/dri/renderD128", "0000:c1:00.0", group, 0o660),
        ("/dev/dri/renderD129", "0000:c2:00.0", group, 0o660),
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


def test_no_command_is_started_where_there_is_no_nvidia_gpu(tmp_path):
    plant("amd", tmp_path)
    for name in ("nvidia-smi", "nvidia-ctk", "docker"):
        tool = tmp_path / "usr/bin" / name
        tool.parent.mkdir(parents=True, exist_ok=True)
        tool.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n", encoding="utf-8")
        tool.chmod(0o755)
    assert _gpu_ladder.judge(_gpu.observe(tmp_path, 20.0))["ready"]
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.135  Fri Jan 10 20:00:00 UTC 2025", "550.135"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  580.95.05  Release Build", "580.95.05"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module  570.86.15  Release Build", "570.86.15"),
        # Recorded: neither a date nor a builder's name has to follow
        (
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build  (builder@)",
            "580.159.04",
        ),
        ("GCC version: gcc 12.2.0", None),
        (None, None),
    ],
)
def test_driver_version(text, version):
    assert _gpu_parse.parse_driver_version(text) == version


@pytest.mark.parametrize(
    ("newer", "older"), [("550.54.15", "550"), ("1.20.0", "1.19.1"), ("1.19.10", "1.19.9"), ("580", "550.163.01")]
)
def test_versions_compare_as_numbers(newer, older):
    assert version_numbers(newer) > version_numbers(older)


def test_an_unreadable_number_of_memory_is_none():
    gpu = _gpu_parse.parse_gpus("0, GPU-1, NVIDIA GB10, [N/A], 580.95, [N/A], [N/A]\n")[0]
    assert (gpu["memory_mib"], gpu["compute_capability"], gpu["mig"]) == (None, None, False)


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "{}", '{"ServerVersion": ""}', '{"ServerErrors": []}'])
def test_an_engine_that_says_nothing_has_a_reason(text):
    engine = _gpu_parse.parse_engine(text)
    assert engine.version == ""
    assert engine.problem


@pytest.mark.parametrize(
    "text",
    [
        'cdiVersion: 0.7.0\nkind: nvidia.com/gpu\nx: "/usr/lib64/libcuda.so.580.95.05"\n',
        '{"cdiVersion":"0.7.0","kind":"nvidia.com/gpu","x":"/usr/lib/libcuda.so.580.95.05"}',
    ],
)
def test_a_cdi_description_in_yaml_and_in_json(text):
    assert _gpu_parse.describes_gpus(text)
    assert _gpu_parse.spec_version(text) == "0.7.0"
    assert _gpu_parse.spec_driver(text) == "580.95.05"


def test_a_cdi_description_of_something_else():
    assert not _gpu_parse.describes_gpus("cdiVersion: 0.5.0\nkind: nvidia.com/gpu-other\n")
    assert not _gpu_parse.describes_gpus("cdiVersion: 0.5.0\nkind: example.com/nic\n")
