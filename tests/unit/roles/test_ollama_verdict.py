# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role ollama warns of and computes for hosts that no lab has, from its own variables in a real play."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

#: Processes of their own: not for every save
pytestmark = pytest.mark.slow
#: of a log file, in the forms of the engine's own reader (go-units)
SIZES = ["10m", "10M", "10 MB", "1.5g", "10MiB", "1t", "512k", "1000000", "100b"]
NO_SIZES = ["", "0", "0m", "m", "-1m", "10 MBit", "ten", "10  m", "1.m", "10m\n", "10mi", "0.5", "0.0001k", "3\u0663m"]

ROLE = Path(__file__).parents[3] / "roles/ollama"
GPU = {"vendor": "nvidia", "ready": True, "cdi_devices": ["nvidia.com/gpu=0"], "gpus": [{"memory_mib": 81559}]}
STORED = [
    f"model {5 << 30} aa registry.ollama.ai/library/a/latest",
    f"model {4 << 30} bb registry.ollama.ai/library/b/latest",
    # 128 KiB of context a token
    "shape aa 65536 131072",
]
MODELS = [{"name": "a"}, {"name": "b"}]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What the variables say of each of some hosts, by name; one run of Ansible for all."""
    folder = tmp_path_factory.mktemp("play")
    (folder / "text.pem").write_text("no certificate")
    (folder / "good.pem").write_text("-----BEGIN CERTIFICATE-----")
    # Where a lookup looks from a play
    (folder / "templates").symlink_to(ROLE / "templates")
    hosts = {
        "gpu": {"__ollama_gpu": GPU},
        "gpu_with_context": {"__ollama_gpu": GPU, "ollama_context_length": 4096},
        "gpu_full": {"__ollama_gpu": GPU, "ollama_models_list": MODELS, "_ollama_host_lines": STORED},
        "cpu": {"ollama_models_list": MODELS, "_ollama_host_lines": STORED},
        "cpu_long": {
            "ollama_models_list": MODELS[:1],
            "_ollama_host_lines": STORED,
            "ollama_context_length": 65536,
            "ollama_num_parallel": 1,
            "ollama_kv_cache_type": "q8_0",
        },
        "cpu_one": {"ollama_models_list": MODELS[:1], "_ollama_host_lines": STORED},
        "cpu_small": {"ollama_models_list": MODELS, "_ollama_host_lines": STORED, "ollama_memory": "3g"},
        "quota": {"ollama_cpus": 2.5},
        "no_quota": {},
        "durations": {
            "ollama_healthcheck_interval": "30",
            "ollama_healthcheck_timeout": "1m30s",
            "ollama_healthcheck_start_period": "",
            "ollama_log_max_size": "10 MBit",
        },
        **{f"size_{number}": {"ollama_log_max_size": size} for number, size in enumerate(SIZES)},
        **{f"no_size_{number}": {"ollama_log_max_size": size} for number, size in enumerate(NO_SIZES)},
        "authorities": {
            "ollama_ca_files": [str(folder / "missing.pem"), str(folder / "text.pem"), str(folder / "good.pem")]
        },
        "archive": {
            "ollama_image_archive": "/srv/ollama.tar",
            "__ollama_archive_look": {"stat": {"exists": False}},
            "__ollama_archive_unneeded": {"images": []},
        },
        "archive_directory": {
            "ollama_image_archive": "/srv/ollama.tar",
            "__ollama_archive_look": {"stat": {"exists": True, "isreg": False}},
            "__ollama_archive_unneeded": {"images": []},
        },
        "archive_there": {
            "ollama_image_archive": "/srv/ollama.tar",
            "__ollama_archive_look": {"stat": {"exists": True, "isreg": True}},
        },
        "archive_without_engine": {
            "ollama_image_archive": "/srv/ollama.tar",
            "__ollama_archive_look": {"stat": {"exists": False}},
            "__ollama_archive_unneeded": {"msg": "no engine answers"},
        },
        "archive_not_needed": {
            "ollama_image_archive": "/srv/ollama.tar",
            "__ollama_archive_look": {"stat": {"exists": False}},
            "__ollama_archive_unneeded": {"images": [{"Id": "sha256:aa"}]},
        },
    }
    play = {
        "gather_facts": False,
        "vars_files": [str(ROLE / "defaults/main.yml"), *sorted(str(file) for file in (ROLE / "vars/main").iterdir())],
        "tasks": [
            {
                "name": "Keep",
                "ansible.builtin.copy": {
                    "content": "{{ {'warnings': _ollama_warnings, 'verdict': _ollama_memory_verdict, 'env': _ollama_env, "
                    "'complaints': _ollama_complaints} | to_json }}",
                    "dest": f"{folder}/{{{{ inventory_hostname }}}}.json",
                    "mode": "0600",
                },
            }
        ],
    }
    common = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "ansible_facts": {"memtotal_mb": 64000, "processor_nproc": 8, "all_ipv4_addresses": []},
        "__ollama_host": {"rc": 0},
        # As the role begins with
        **yaml.safe_load((ROLE / "tasks/preflight.yml").read_text())[0]["ansible.builtin.set_fact"],
        "__ollama_look": {"exists": False},
        "_ollama_host_found": {"/var/lib": "755:0:0"},
    }
    # As variables of the task, which go before the files of the play
    plays = [
        {**play, "hosts": name, "tasks": [{**play["tasks"][0], "vars": {**common, **variables}}]}
        for name, variables in hosts.items()
    ]
    (folder / "plays.yml").write_text(json.dumps(plays))
    command = ["ansible-playbook", "-i", ",".join(hosts), str(folder / "plays.yml"), "-c", "local"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROLE.parents[1])
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in hosts}


def test_an_unset_context_on_a_large_gpu_is_told_with_its_value(told):
    assert len(told["gpu"]["warnings"]) == 1
    assert "the server takes a context of 262144 tokens for each of 2 requests" in told["gpu"]["warnings"][0]
    assert told["gpu_with_context"]["warnings"] == told["no_quota"]["warnings"] == []


def test_what_does_not_fit_together_is_told_with_figures_but_not_with_a_gpu(told):
    assert len(told["cpu"]["warnings"]) == 1
    assert "ollama_memory is 8g: " in told["cpu"]["warnings"][0]
    assert (
        "a:latest 5.0 GiB and 1.0 GiB for 2 x 4096 tokens + b:latest 4.0 GiB (and contexts of unknown size) + 2 x 1.0 GiB of prompt cache "
        "are 12.0 GiB" in told["cpu"]["warnings"][0]
    )
    assert told["cpu_one"]["warnings"] == []
    assert "a:latest 5.0 GiB and 4.2 GiB for 1 x 65536 tokens" in told["cpu_long"]["warnings"][0]
    assert not [text for text in told["gpu_full"]["warnings"] if "does not fit" in text]


def test_what_cannot_be_loaded_is_a_complaint(told):
    assert "less than the files of a:latest 5.0 GiB, b:latest 4.0 GiB" in told["cpu_small"]["verdict"]["complaint"]
    assert told["cpu_small"]["warnings"] == []
    assert told["cpu"]["verdict"]["complaint"] == ""
    assert not told["gpu_full"]["verdict"]


def test_a_smaller_quota_sets_the_threads_that_the_server_would_not(told):
    quota, all_of_them = told["quota"]["env"], told["no_quota"]["env"]
    assert (quota["LLAMA_ARG_THREADS"], quota["LLAMA_ARG_THREADS_HTTP"]) == ("2", "2")
    assert not [name for name in all_of_them if name.startswith("LLAMA_ARG_THREADS")]


def test_a_declaration_without_faults_has_no_complaint(told):
    for name in ("no_quota", "archive_not_needed", "archive_there"):
        assert told[name]["complaints"] == []


def test_sizes_are_taken_as_the_engine_takes_them(told):
    assert [size for number, size in enumerate(SIZES) if told[f"size_{number}"]["complaints"]] == []
    assert [size for number, size in enumerate(NO_SIZES) if not told[f"no_size_{number}"]["complaints"]] == []


def test_an_image_is_not_said_to_be_missing_by_an_engine_that_did_not_answer(told):
    assert told["archive_without_engine"]["complaints"] == []


def test_durations_and_sizes_that_the_engine_would_refuse_are_complaints(told):
    assert told["durations"]["complaints"] == [
        "ollama_healthcheck_interval is '30': whole numbers with their units (h, m, s, ms, us) are wanted, such as 30s or 1m30s.",
        "ollama_healthcheck_start_period is '': whole numbers with their units (h, m, s, ms, us) are wanted, such as 30s or 1m30s.",
        "ollama_log_max_size is '10 MBit': a number above 0 with its unit (k, m, g, t) is wanted, such as 10m.",
    ]


def test_files_that_are_not_there_are_complaints(told):
    missing, text = told["authorities"]["complaints"]
    assert "missing.pem, and on the controller there is no PEM certificate in it: correct the path." in missing
    assert "text.pem, and on the controller" in text
    assert told["archive"]["complaints"] == told["archive_directory"]["complaints"]
    assert told["archive"]["complaints"] == [
        "ollama_image_archive is /srv/ollama.tar, which is no file on this host, and the image docker.io/ollama/ollama:0.32.15 is not there "
        "without it: copy the archive to the host, or correct the path."
    ]
