# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host tells besides the server: its commands, processes, logs and cgroups, on a host of files."""

from __future__ import annotations

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidInput
from ansible_collections.alchemorsel.ollama.plugins.module_utils._outside import Host, Places, check_places
from fake_host import FakeHost

START = 'level=INFO msg="Listening on 127.0.0.1:11434 (version 0.32.15)"\n'
CUDA = 'level=INFO msg="inference compute" id=GPU-1 library=CUDA\n'
CPU = 'level=INFO msg="inference compute" id=cpu library=cpu\n'
MIB = 1024 * 1024


@pytest.fixture
def fake(tmp_path):
    return FakeHost(tmp_path / "host")


@pytest.fixture
def host(fake):
    return lambda **places: Host(Places(**places), fake.root)


# --- memory ------------------------------------------------------------------


def test_nothing_is_read_where_nothing_is_named(host, fake):
    assert host(local=True).memory() is None
    assert fake.calls == []


def test_memory_of_a_container(host, fake):
    fake.container()
    fake.kills(3)
    memory = host(container="ollama").memory()
    assert (memory.kills, memory.limit, memory.problem) == (3, 8589934592, "")
    assert memory.path.endswith("/sys/fs/cgroup/system.slice/docker-ab.scope")
    assert fake.calls == ["docker inspect --type container --format {{.State.Pid}} {{.State.StartedAt}} ollama"]


def test_memory_of_a_container_with_cgroup_v1(host, fake):
    fake.container(cgroup="4:memory:/docker/ab\n3:cpu:/docker/ab\n0::/\n")
    fake.file("sys/fs/cgroup/memory/docker/ab/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    fake.file("sys/fs/cgroup/memory/docker/ab/memory.limit_in_bytes", "9223372036854771712\n")
    memory = host(container="ollama").memory()
    assert (memory.kills, memory.limit) == (2, None)


def test_memory_of_a_directory(host, fake):
    fake.kills(1, "sys/fs/cgroup/system.slice/ollama.service")
    memory = host(cgroup_path="/sys/fs/cgroup/system.slice/ollama.service", container="ollama").memory()
    assert (memory.kills, fake.calls) == (1, [])


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (None, "docker is not installed"),
        ({"rc": 1, "stderr": "Error: No such container: ollama"}, "cannot be looked at: Error: No such container"),
        ({"stdout": "0 0001-01-01T00:00:00Z"}, "container ollama does not run"),
        ({"stdout": "7 2026-11-26T10:00:00Z"}, "process 7 of container ollama has gone"),
    ],
)
def test_why_memory_cannot_be_told(host, fake, answer, problem):
    if answer:
        fake.tool("docker", **answer)
    memory = host(container="ollama").memory()
    assert memory.kills is None
    assert problem in memory.problem


def test_a_cgroup_without_the_files(host):
    memory = host(cgroup_path="/sys/fs/cgroup/x").memory()
    assert memory.kills is None
    assert "/sys/fs/cgroup/x has neither memory.events nor" in memory.problem


# --- the GPU -----------------------------------------------------------------


def test_nobody_is_asked_for_a_server_elsewhere(host, fake):
    fake.tool("nvidia-smi", "7, 100\n")
    assert host().gpu_account() is None
    assert fake.calls == []


def test_processes_of_a_container_on_the_gpu(host, fake):
    fake.container(pid=100)
    fake.process(110, "ollama", 100)
    fake.process(111, "llama-server", 110)
    fake.process(500, "llama-server")
    fake.tool("nvidia-smi", "111, 5000\n500, 70\n")
    account = host(container="ollama").gpu_account()
    assert (account.witness, account.on_gpu, account.used) == ("nvidia_smi", True, 5000 * MIB)
    assert fake.calls[0] == "nvidia-smi --query-compute-apps=pid,used_memory --format=csv,noheader,nounits"


def test_only_others_are_on_the_gpu(host, fake):
    fake.container(pid=100)
    fake.process(500, "llama-server")
    fake.tool("nvidia-smi", "500, 70\n")
    account = host(container="ollama").gpu_account()
    assert (account.on_gpu, account.reason) == (
        False,
        "nvidia-smi lists no process of the server on a GPU (1 of others)",
    )


@pytest.mark.parametrize(("name", "on_gpu"), [("llama-server", True), ("ollama", True), ("python3", False)])
def test_without_a_container_processes_go_by_their_names(host, fake, name, on_gpu):
    fake.process(500, name)
    fake.tool("nvidia-smi", "500, 70\n")
    assert host(local=True).gpu_account().on_gpu is on_gpu


def test_a_process_that_cannot_be_seen_proves_nothing(host, fake):
    fake.tool("nvidia-smi", "500, 70\n")
    account = host(local=True).gpu_account()
    assert account.on_gpu is None
    assert "owner cannot be seen: 500" in account.reason


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "nvidia-smi is not installed"),
        (
            {"rc": 9, "stdout": "NVIDIA-SMI has failed because\nmore"},
            "nvidia-smi failed: NVIDIA-SMI has failed because",
        ),
        ({"rc": 1}, "nvidia-smi failed: it said nothing"),
    ],
)
def test_nvidia_smi_that_cannot_tell(host, fake, answer, words):
    if answer:
        fake.tool("nvidia-smi", **answer)
    account = host(gpu_witness="nvidia_smi").gpu_account()
    assert account.on_gpu is None
    assert words in account.reason


@pytest.mark.parametrize(("log", "on_gpu"), [(START + CUDA, True), (START + CUDA + START + CPU, False), ("", None)])
def test_the_log_of_a_file(host, fake, log, on_gpu):
    path = fake.file("var/log/ollama.log", log)
    account = host(log_path="/var/log/ollama.log", gpu_witness="log").gpu_account()
    assert (account.witness, account.on_gpu) == ("log", on_gpu)
    path.unlink()
    account = host(log_path="/var/log/ollama.log", gpu_witness="log").gpu_account()
    assert account.on_gpu is None
    assert "cannot be read: No such file" in account.reason


def test_the_log_of_a_container_from_its_start_on(host, fake):
    fake.container()
    fake.tool("docker", stderr=START + CUDA, stdout="[GIN] 200\n", first="logs")
    assert host(container="ollama", gpu_witness="log").gpu_account().on_gpu is True
    assert fake.calls[-1] == "docker logs --since 2026-11-26T10:00:00.123456789Z --until 2026-11-26T10:10:00Z ollama"


def test_a_container_whose_log_cannot_be_read(host, fake):
    fake.container()
    fake.tool("docker", stderr="configured logging driver does not support reading", rc=1, first="logs")
    account = host(container="ollama", gpu_witness="log").gpu_account()
    assert account.on_gpu is None
    assert "does not support reading" in account.reason


def test_auto_takes_the_log_where_nvidia_smi_cannot_tell(host, fake):
    fake.file("log", START + CPU)
    assert host(log_path="/log").gpu_account().witness == "log"
    fake.tool("nvidia-smi", "")
    assert host(log_path="/log").gpu_account().witness == "nvidia_smi"


def test_auto_tells_why_nobody_could(host):
    account = host(log_path="/log").gpu_account()
    assert account.on_gpu is None
    assert "nvidia-smi is not installed" in account.reason
    assert "log_path /log cannot be read" in account.reason


@pytest.mark.parametrize(
    ("log", "status"), [(START + CUDA, "ok"), (START + CPU, "failed"), (CUDA, "skipped"), ("", "skipped")]
)
def test_gpus_at_the_start_by_a_file(host, fake, log, status):
    fake.file("log", log)
    assert host(log_path="/log", min_gpus=1).check_gpus(1).status == status


def test_gpus_at_the_start_by_a_container(host, fake):
    fake.container()
    fake.tool("docker", stderr=START + CUDA, first="logs")
    assert host(container="ollama", min_gpus=1).check_gpus(1).status == "ok"
    assert host(container="ollama", min_gpus=2).check_gpus(2).status == "failed"


def test_a_log_that_cannot_be_read_is_no_failure(host):
    check = host(log_path="/log", min_gpus=1).check_gpus(1)
    assert check.status == "skipped"
    assert "log_path /log cannot be read" in check.reason


@pytest.mark.parametrize(
    ("places", "words"),
    [
        ({"min_gpus": -1}, "min_gpus is -1; wanted 0 or more"),
        ({"min_gpus": 1}, "nothing says whose log to read; give container or log_path"),
    ],
)
def test_a_wish_for_gpus_that_cannot_be_judged(places, words):
    with pytest.raises(InvalidInput, match=words):
        check_places(Places(**places))
