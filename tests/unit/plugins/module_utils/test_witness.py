# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two witnesses for a model on a GPU: what they write, and what follows from both."""

from __future__ import annotations

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _witness as witness
from ansible_collections.alchemorsel.ollama.plugins.module_utils._witness import Account, Claim
from hypothesis import given
from hypothesis import strategies as st

# As Ollama writes them at v0.24.0 and v0.32.15 (discover/types.go).
START = (
    'time=2026-11-26T10:00:00.1Z level=INFO source=routes.go:2008 msg="Listening on 127.0.0.1:11434 (version 0.32.15)"'
)
CUDA = (
    'time=2026-11-26T10:00:01.2Z level=INFO source=types.go:32 msg="inference compute" id=GPU-1 filter_id="" library=CUDA '
    'compute=8.9 name=CUDA0 description="NVIDIA L4" libdirs=ollama,cuda_v12 driver=12.8 pci_id=0000:01:00.0 type=discrete '
    'total="22.5 GiB" available="22.1 GiB"'
)
CPU = (
    'time=2026-11-26T10:00:01.2Z level=INFO source=types.go:50 msg="inference compute" id=cpu library=cpu compute="" name=cpu '
    'description=cpu libdirs=ollama driver="" pci_id="" type="" total="31.3 GiB" available="30.4 GiB"'
)
# Recorded on an H100 with both versions; the UUID is made up. The newer one counts the GPUs, where the older one names them.
RECORDED = {
    "0.24.0": (
        'time=2026-11-27T04:52:54.814Z level=INFO source=routes.go:1864 msg="Listening on 127.0.0.1:11434 (version 0.24.0)"',
        'time=2026-11-27T04:52:55.406Z level=INFO source=types.go:42 msg="inference compute" '
        'id=GPU-6a1f3c1e-5f0b-4a3e-9d55-0f6f5a9c0001 filter_id="" library=CUDA compute=9.0 name=CUDA0 '
        'description="NVIDIA H100 80GB HBM3" libdirs=ollama,cuda_v13 driver=13.0 pci_id=0000:00:06.0 type=discrete '
        'total="79.6 GiB" available="79.2 GiB"',
    ),
    "0.32.15": (
        'time=2026-11-27T04:52:30.579Z level=INFO source=routes.go:2008 msg="Listening on 127.0.0.1:11434 (version 0.32.15)"',
        'time=2026-11-27T04:52:32.996Z level=INFO source=types.go:32 msg="inference compute" id=0 filter_id=0 library=CUDA '
        'compute=9.0 name=CUDA0 description="NVIDIA H100 80GB HBM3" libdirs=ollama,cuda_v13 driver=13.0 pci_id=0000:00:06.0 '
        'type=discrete total="79.2 GiB" available="78.7 GiB"',
    ),
}
NOISE = '[GIN] 2026/11/26 - 10:00:02 | 200 | 1.2ms | 127.0.0.1 | GET "/api/tags?library=CUDA"'


@pytest.mark.parametrize(
    ("lines", "libraries"),
    [
        ([START, CUDA, NOISE], ["CUDA"]),
        ([START, CUDA, CUDA.replace("CUDA", "ROCm")], ["CUDA", "ROCm"]),
        ([START, CPU], ["cpu"]),
        ([START, CUDA, NOISE, START, CPU], ["cpu"]),  # an earlier start does not count
        ([START, CUDA, START], []),  # it is still looking
        ([CUDA.replace("library=CUDA", 'library="CUDA"')], ["CUDA"]),
        ([NOISE], []),
        ([], []),
    ],
)
def test_the_log_of_the_last_start(lines, libraries):
    assert witness.libraries_of_last_start(lines) == libraries


@pytest.mark.parametrize(("libraries", "on_gpu"), [(["CUDA"], True), (["cpu"], False), ([], None), ([""], False)])
def test_account_of_the_log(libraries, on_gpu):
    account = witness.log_account(libraries)
    assert account.on_gpu is on_gpu


@pytest.mark.parametrize(
    ("text", "used"),
    [
        ("4711, 5120\n", {4711: 5120}),
        ("4711, 5120\n4711, 100\n99, 7\n", {4711: 5220, 99: 7}),  # on two GPUs
        ("4711, [N/A]\n4711, 5\n", {4711: None}),
        ("4711, [Insufficient Permissions]\n", {4711: None}),
        ("", {}),
        ("No running processes found\n", {}),
    ],
)
def test_processes_of_nvidia_smi(text, used):
    assert witness.parse_compute_apps(text) == used


@given(st.text())
def test_any_output_of_nvidia_smi_can_be_read(text):
    assert all(pid >= 0 for pid in witness.parse_compute_apps(text))


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("42 (ollama) S 1 42 42 0", ("ollama", 1)),
        ("43 (a) b (c) R 42 1 1", ("a) b (c", 42)),
        ("44 (two\nlines) D 7 1 1", ("two\nlines", 7)),
        ("", None),
        ("x", None),
    ],
)
def test_a_process_by_its_stat(text, parsed):
    assert witness.parse_stat(text) == parsed


@pytest.mark.parametrize(
    ("pid", "below"), [(10, True), (12, True), (20, False), (1, False), (30, None), (40, None)], ids=str
)
def test_descent(pid, below):
    parents = {10: 1, 11: 10, 12: 11, 20: 1, 30: 31, 40: 41, 41: 40}
    assert witness.is_below(pid, 10, parents) is below


@given(st.dictionaries(st.integers(0, 9), st.integers(0, 9)), st.integers(0, 9), st.integers(0, 9))
def test_descent_always_ends(parents, pid, top):
    assert witness.is_below(pid, top, parents) in (True, False, None)


@pytest.mark.parametrize(
    ("used", "owners", "on_gpu", "amount"),
    [
        ({1: 100}, {1: True}, True, 100 * 1024 * 1024),
        ({1: 100, 2: 50, 3: 9}, {1: True, 2: True, 3: False}, True, 150 * 1024 * 1024),
        ({1: 100, 2: None}, {1: True, 2: True}, True, None),
        ({}, {}, False, None),
        ({1: 100}, {1: False}, False, None),
        ({1: 100}, {1: None}, None, None),  # whose is it?
        ({1: 100, 2: 7}, {1: None, 2: True}, True, 7 * 1024 * 1024),
    ],
)
def test_account_of_nvidia_smi(used, owners, on_gpu, amount):
    account = witness.smi_account(used, owners)
    assert (account.on_gpu, account.used) == (on_gpu, amount)


# --- both together -----------------------------------------------------------

GPU, HALF, CPU_ONLY, UNSEEN = (
    Claim("a", 1000, 1000, 1000),
    Claim("a", 1000, 500, 500),
    Claim("a", 1000, 0),
    Claim("a", None, None),
)
SEES = Account("nvidia_smi", True, "nvidia-smi sees it")
SEES_NOT = Account("nvidia_smi", False, "nvidia-smi sees nothing")
UNSURE = Account("auto", None, "nobody can tell")
LOG_GPU = Account("log", True, "the log names CUDA")
LOG_CPU = Account("log", False, "the log names cpu")


@pytest.mark.parametrize(
    ("claim", "required", "account", "chosen", "outcome"),
    [
        # (status, verdict) of gpu and, where it is told apart, of gpu_witness
        (GPU, True, SEES, "auto", [("ok", None), ("ok", None)]),
        (GPU, True, None, "none", [("ok", None)]),
        (GPU, True, SEES_NOT, "auto", [("failed", "gpu_lost")]),
        (GPU, True, LOG_CPU, "log", [("failed", "gpu_lost")]),
        (GPU, False, SEES_NOT, "auto", [("warning", None)]),
        (GPU, True, UNSURE, "auto", [("ok", None), ("warning", None)]),
        (GPU, False, UNSURE, "auto", [("ok", None), ("skipped", None)]),
        (GPU, True, UNSURE, "nvidia_smi", [("ok", None), ("failed", "gpu_unproven")]),
        (HALF, True, LOG_GPU, "auto", [("warning", None), ("ok", None)]),
        (CPU_ONLY, True, LOG_GPU, "auto", [("failed", "gpu_lost")]),  # it had one at its start
        (CPU_ONLY, True, LOG_CPU, "auto", [("failed", "on_cpu")]),
        (CPU_ONLY, True, SEES, "auto", [("failed", "on_cpu")]),  # a process that looks is no model
        (CPU_ONLY, False, None, "auto", [("ok", None)]),
        (UNSEEN, True, None, "auto", [("failed", "on_cpu")]),
        (UNSEEN, False, None, "auto", [("skipped", None)]),
    ],
)
def test_what_follows(claim, required, account, chosen, outcome):
    checks = witness.judge_gpu(claim, required, account, chosen)
    assert [(check.status, check.verdict) for check in checks] == outcome
    assert [check.name for check in checks] == ["gpu", "gpu_witness"][: len(checks)]
    for check in checks:
        assert bool(check.remedy) is (check.status in ("failed", "warning"))
        if check.verdict == "gpu_lost":
            assert "the server says" in check.reason
            assert account.reason in check.reason


@pytest.mark.parametrize(("used", "contradicts"), [(499, True), (500, False), (5000, False), (None, False)])
def test_a_process_without_the_memory_of_its_models_is_a_contradiction(used, contradicts):
    claim = Claim("a", 600, 600, 1000)
    assert witness.contradicts(claim, Account("nvidia_smi", True, "sees", used)) is contradicts


@pytest.mark.parametrize(
    ("claim", "chosen", "required", "wanted"),
    [
        (GPU, "auto", False, True),
        (CPU_ONLY, "auto", False, False),
        (CPU_ONLY, "auto", True, True),
        (UNSEEN, "auto", True, False),
        (GPU, "none", True, False),
    ],
)
def test_when_a_witness_is_asked(claim, chosen, required, wanted):
    assert witness.is_wanted(claim, chosen, required) is wanted


TWO = [CUDA, CUDA.replace("0000:01:00.0", "0000:02:00.0")]


@pytest.mark.parametrize(
    ("lines", "gpus"),
    [
        ([START, CUDA, NOISE], ["CUDA NVIDIA L4"]),
        ([START, *TWO], ["CUDA NVIDIA L4", "CUDA NVIDIA L4"]),
        (
            [START, CUDA, CUDA.replace("library=CUDA", "library=Vulkan")],
            ["Vulkan NVIDIA L4"],
        ),  # one GPU by two libraries
        ([START, CPU], []),
        ([START, *TWO, START, CPU], []),
        ([START], []),  # it is still looking
        ([CUDA, NOISE], None),
        ([], None),
    ],
)
def test_the_gpus_of_the_last_start(lines, gpus):
    assert witness.gpus_of_last_start(lines) == gpus


@pytest.mark.parametrize("version", sorted(RECORDED))
def test_recorded_logs(version):
    lines = RECORDED[version]
    assert witness.libraries_of_last_start(lines) == ["CUDA"]
    assert witness.gpus_of_last_start(lines) == ["CUDA NVIDIA H100 80GB HBM3"]
    assert witness.gpus_of_last_start([*lines, NOISE, lines[0]]) == []


@pytest.mark.parametrize(
    ("size", "size_vram", "others", "processes", "share"),
    [
        # Recorded on an H100: /api/ps of one model, size_vram of the other that was loaded, nvidia-smi's processes
        (2831360, 2831360, 0, "18277, 592\n", 100.0),  # 0.24.0, a model that is small beside what any process takes
        (3524691968, 3524691968, 2831360, "19123, 592\n19479, 4116\n", 100.0),
        (3585771520, 1571129344, 2831360, "19123, 592\n19533, 2260\n", 43.8),  # six of 16 layers
        (2841640, 2841640, 0, "17227, 686\n", 100.0),  # 0.32.15
        (3860259143, 3860259143, 2841640, "9185, 686\n9538, 4268\n", 100.0),
        (4012449463, 1737731604, 2841640, "9185, 686\n9589, 2244\n", 43.3),
    ],
)
def test_recorded_figures_agree(size, size_vram, others, processes, share):
    used = witness.parse_compute_apps(processes)
    account = witness.smi_account(used, dict.fromkeys(used, True))
    checks = witness.judge_gpu(Claim("a", size, size_vram, size_vram + others), True, account)
    assert [(check.name, check.status) for check in checks] == [
        ("gpu", "ok" if share == 100.0 else "warning"),
        ("gpu_witness", "ok"),
    ]
    assert checks[0].value == share
    # A model on the CPU, beside one on the GPU: no process of its own
    small = witness.smi_account({9185: 686}, {9185: True})
    assert [check.verdict for check in witness.judge_gpu(Claim("cpu", size, 0, others), True, small)] == ["on_cpu"]


@pytest.mark.parametrize(
    ("found", "status", "verdict", "words"),
    [
        (["CUDA NVIDIA L4"], "failed", "gpu_not_found", "found 1 GPU at its start (CUDA NVIDIA L4), and 2 were given"),
        ([], "failed", "gpu_not_found", "found 0 GPUs at its start, and 2 were given"),
        (["CUDA A", "CUDA B"], "ok", None, "found 2 GPUs at its start (CUDA A, CUDA B)"),
        (["a", "b", "c"], "ok", None, "found 3 GPUs"),
        (None, "skipped", None, "the log does not say"),
    ],
)
def test_as_many_gpus_as_were_given(found, status, verdict, words):
    check = witness.check_gpus(found, "the log does not say", 2)
    assert (check.name, check.status, check.verdict, check.threshold) == ("gpus", status, verdict, 2)
    assert words in check.reason
