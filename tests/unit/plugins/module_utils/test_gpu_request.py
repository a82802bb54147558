# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a container gets of a host's GPUs: never the CPU where a GPU is, unless that was said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._gpu_request import Request, Wish, decide, image_tag
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.host_trees import names, verdict_of

UUID = "GPU-6a1f3c1e-5f0b-4a3e-9d55-0f6f5a9c000"
MIG = "MIG-2f0f8c1a-6a1d-5b0e-8d0c-1c7a4d2e0001"
ROCM = "docker.io/ollama/ollama:0.32.15-rocm"
PLAIN = "docker.io/ollama/ollama:0.32.15"


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    """What gpu_info says of every kind of host."""
    return {name: verdict_of(name, tmp_path_factory.mktemp("host")) for name in names()}


def container(*ids, devices=()):
    """A container as the engine shows it, with these GPUs."""
    requests = [{"Driver": "cdi", "Count": 0, "DeviceIDs": list(ids)}] if ids else None
    return {"HostConfig": {"DeviceRequests": requests, "Devices": [{"PathOnHost": path} for path in devices]}}


def cdi(*ids):
    """What the engine is asked for."""
    return [{"driver": "cdi", "count": 0, "device_ids": [f"nvidia.com/gpu={name}" for name in ids]}]


@pytest.mark.parametrize("mode", ["auto", "required", "disabled"])
def test_no_host_with_a_gpu_falls_back_to_the_cpu_silently(hosts, mode):
    for name, info in hosts.items():
        image = ROCM if info["vendor"] == "amd" else PLAIN
        request = decide(info, Wish(mode, image=image), {})
        if mode == "disabled":
            assert request == Request(), name
        elif info["vendor"] == "none":
            assert (request.count, bool(request.complaints)) == (0, mode == "required"), name
        else:
            assert (request.count > 0) is not bool(request.complaints), name
            assert bool(request.device_requests or request.devices) is (request.count > 0), name


def test_every_failed_rung_is_told_with_its_remedy(hosts):
    complaints = decide(hosts["smi-missing"], Wish(), {}).complaints
    assert len(complaints) == 3
    assert complaints[0] == (
        "ollama_gpu is auto, the host has a GPU (nvidia), and containers cannot use it: nvidia-smi is not installed; install the user space part of "
        "the driver, in the version of the kernel module; or set ollama_gpu to disabled."
    )


@pytest.mark.parametrize(
    ("host", "devices", "ids"),
    [
        ("ready", (), ["0"]),
        ("ready-two-gpus", (), ["0", "1"]),
        ("ready-two-gpus", ("1",), ["1"]),
        ("ready-two-gpus", ("nvidia.com/gpu=1", "0"), ["1", "0"]),
        ("ready-two-gpus", (f"{UUID}2",), [f"{UUID}2"]),
        ("mig-one", (), ["0:0"]),
        ("mig", ("0:1",), ["0:1"]),
        ("mig", (MIG,), [MIG]),
        ("nvidia-beside-amd", (), ["0"]),
    ],
)
def test_gpus_of_nvidia_by_number_or_as_they_were_named(hosts, host, devices, ids):
    request = decide(hosts[host], Wish("required", devices, PLAIN), {})
    assert request == Request(device_requests=cdi(*ids), count=len(ids))


@pytest.mark.parametrize(
    ("host", "devices", "words"),
    [
        ("ready", ("1",), "ollama_gpu_devices has nvidia.com/gpu=1, and the host offers nvidia.com/gpu=0"),
        ("ready", ("/dev/nvidia0",), "has nvidia.com/gpu=/dev/nvidia0, and the host offers"),
        ("ready", ("all",), "ollama_gpu_devices has all: leave it empty"),
        ("ready-two-gpus", ("0", "0"), "names one GPU twice (nvidia.com/gpu=0)"),
        ("ready-two-gpus", ("0", f"{UUID}1"), f"twice (nvidia.com/gpu=0 and nvidia.com/gpu={UUID}1)"),
        ("mig", (), "would get nvidia.com/gpu=0:0, nvidia.com/gpu=0:1, and of several MIG devices"),
        ("mig", ("0:0", "0:1"), "of several MIG devices, or of one beside whole GPUs, Ollama uses one only"),
        ("amd", ("renderD200",), "/dev/dri/renderD128 = renderD128 = 0000:c1:00.0"),
    ],
)
def test_devices_that_cannot_be_given(hosts, host, devices, words):
    image = ROCM if host == "amd" else PLAIN
    request = decide(hosts[host], Wish("auto", devices, image), {})
    assert request == Request(complaints=request.complaints)
    assert words in " ".join(request.complaints)


def test_a_mig_device_beside_a_whole_gpu_is_refused():
    info = {"vendor": "nvidia", "cdi_devices": ["nvidia.com/gpu=0", "nvidia.com/gpu=1:0", "nvidia.com/gpu=all"]}
    assert "Ollama uses one only" in decide(info, Wish(), {}).complaints[0]
    assert decide(info, Wish(devices=("1:0",)), {}).device_requests == cdi("1:0")


def test_devices_with_names_only_are_to_be_named():
    info = {"vendor": "nvidia", "cdi_devices": [f"nvidia.com/gpu={UUID}1", "nvidia.com/gpu=all"]}
    assert "offers no numbered GPU" in decide(info, Wish(), {}).complaints[0]
    assert decide(info, Wish(devices=(f"{UUID}1",)), {}).count == 1


def test_numbers_are_no_text():
    info = {"vendor": "nvidia", "cdi_devices": [f"nvidia.com/gpu={number}" for number in (10, 2, 0)]}
    assert decide(info, Wish(), {}).device_requests == cdi("0", "2", "10")


# --- AMD -------------------------------------------------------------------------------------------------------------


def test_gpus_of_amd_are_nodes_with_their_groups(hosts):
    info = hosts["amd-two"]
    group = str(info["nodes"][0]["gid"])
    for node in info["nodes"]:
        node["gid"] = node["gid"] or 993  # a test that root runs has root's files
    request = decide(info, Wish("required", (), ROCM), {})
    assert request.devices == [
        f"{path}:{path}:rwm" for path in ("/dev/kfd", "/dev/dri/renderD128", "/dev/dri/renderD129")
    ]
    assert request.groups == [group if group != "0" else "993"]
    assert (request.count, request.device_requests, request.complaints) == (2, [], [])
    for name in ("renderD129", "/dev/dri/renderD129", "0000:c2:00.0"):
        chosen = decide(info, Wish("auto", (name,), ROCM), {})
        assert (chosen.devices[1:], chosen.count) == (["/dev/dri/renderD129:/dev/dri/renderD129:rwm"], 1)


def test_nodes_for_everybody_need_no_group_and_root_s_are_refused(hosts):
    info = {**hosts["amd"], "nodes": [{**node, "gid": 0, "mode": 0o666} for node in hosts["amd"]["nodes"]]}
    assert decide(info, Wish(image=ROCM), {}).groups == []
    info = {**info, "nodes": [{**node, "mode": 0o660} for node in info["nodes"]]}
    request = decide(info, Wish(image=ROCM), {})
    assert request.devices == []
    assert "/dev/kfd belongs to the group root" in request.complaints[0]


def test_the_image_must_be_one_for_the_gpu(hosts):
    assert "tag ends with -rocm" in decide(hosts["amd"], Wish(image=PLAIN), {}).complaints[0]
    assert "computes on AMD's GPUs only" in decide(hosts["ready"], Wish(image=ROCM), {}).complaints[0]


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        (PLAIN, "0.32.15"),
        ("registry.example.test:5000/ollama/ollama", "latest"),
        ("registry.example.test:5000/ollama/ollama:rocm", "rocm"),
        ("ollama/ollama@sha256:" + "a" * 64, None),
        ("ollama/ollama:0.32.15-rocm@sha256:" + "a" * 64, "0.32.15-rocm"),
        ("sha256:" + "a" * 64, None),
    ],
)
def test_image_tag(image, tag):
    assert image_tag(image) == tag


# --- a GPU that is there is not taken away -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "has", "words"),
    [
        ("none", container("nvidia.com/gpu=0"), "no GPU is on this host's PCI bus now"),
        ("none", container(devices=["/dev/kfd", "/dev/dri/renderD128"]), "(/dev/dri/renderD128), and no GPU"),
        (
            "ready",
            container("nvidia.com/gpu=0", "nvidia.com/gpu=1"),
            "(nvidia.com/gpu=1), and the host does not offer it",
        ),
    ],
)
def test_a_container_keeps_its_gpu(hosts, host, has, words):
    for check_mode in (False, True):
        request = decide(hosts[host], Wish("auto", image=PLAIN, check_mode=check_mode), has)
        assert request == Request(complaints=request.complaints)
        assert words in request.complaints[0]
    assert decide(hosts[host], Wish("disabled"), has) == Request()


def test_naming_the_rest_or_other_names_is_no_loss(hosts):
    two = container("nvidia.com/gpu=0", "nvidia.com/gpu=1")
    assert decide(hosts["ready"], Wish("auto", ("0",), PLAIN), two).device_requests == cdi("0")
    named = container(f"nvidia.com/gpu={UUID}1")
    assert decide(hosts["ready"], Wish("auto", (), PLAIN), named).device_requests == cdi("0")
    assert decide(hosts["none"], Wish(), {"HostConfig": {"DeviceRequests": None}}) == Request()


# --- a preview -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "complains"),
    [
        ("toolkit-missing", False),
        ("cdi-missing", False),
        ("uvm-missing", False),
        ("engine-missing", False),
        ("engine-cdi-off", True),
        ("engine-without-cdi", True),
        ("reboot-pending", True),
        ("driver-too-old", True),
    ],
)
def test_a_preview_complains_of_what_the_run_does_not_mend(hosts, host, complains):
    wish = Wish("required", image=PLAIN, check_mode=True)
    assert bool(decide(hosts[host], wish, {}).complaints) is complains
    assert decide(hosts[host], replace(wish, check_mode=False), {}).complaints


def test_a_preview_believes_what_is_declared_for_the_engine(hosts):
    wish = Wish(image=PLAIN, check_mode=True, cdi_declared=True)
    assert decide(hosts["engine-cdi-off"], wish, {}).complaints == []
    assert decide(hosts["engine-cdi-off"], replace(wish, check_mode=False), {}).complaints


NAME = st.one_of(st.text(max_size=12), st.sampled_from(["0", "1", "0:0", "0:1", "all", MIG, f"{UUID}1", "renderD128"]))


@given(
    devices=st.lists(NAME, max_size=4),
    mode=st.sampled_from(["auto", "required"]),
    image=st.sampled_from([PLAIN, ROCM, ""]),
)
def test_whatever_is_named_a_gpu_is_given_or_refused(hosts, devices, mode, image):
    for info in hosts.values():
        request = decide(info, Wish(mode, tuple(devices), image), {})
        if info["vendor"] != "none":
            assert (request.count > 0) is not bool(request.complaints)
        for asked in request.device_requests:
            assert set(asked["device_ids"]) <= set(info["cdi_devices"])
