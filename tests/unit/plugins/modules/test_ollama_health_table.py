# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault table: ollama_health against a stand-in that is ill in one way. The documentation shows what is recorded here.

ALCHEMORSEL_RECORD=1 writes the record anew; `make docs` makes the page of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
from pathlib import Path

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _outside
from ansible_collections.alchemorsel.ollama.plugins.modules import ollama_health
from fake_host import FakeHost
from health_faults import FAULTS, NAME, Scene, inference

#: Servers and processes of their own: not for every save
pytestmark = pytest.mark.slow

RECORD = Path(__file__).parents[2] / "fixtures/health_faults.json"
RECORDING = bool(os.environ.get("ALCHEMORSEL_RECORD"))
# What differs from run to run, and what stands for it.
VARYING = (
    (r"https?://[\w.]+:\d+", "URL"),
    (r"\b(took|wrote) \d+\.\d+ ", r"\1 N "),
    (r"\b\d{4}-\d\d-\d\d\b", "DATE"),
    (r" \(_ssl\.c:\d+\)", ""),
    (r"\d+\.\d+ GB are free", "N GB are free"),
)


@pytest.fixture(scope="module")
def shared():
    """Servers that more than one fault uses."""
    servers = {}
    yield servers
    for server in servers.values():
        server.stop()


@pytest.fixture
def scene(standin, shared, model_registry, tmp_path, monkeypatch):
    """What faults are made of; commands, logs and cgroups are those of a host of files."""
    host = FakeHost(tmp_path / "host")
    monkeypatch.setattr(_outside, "ROOT", host.root)
    resolve = socket.getaddrinfo

    def resolver(name, *args, **options):
        return resolve("127.0.0.1" if name == NAME else name, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    monkeypatch.setenv("no_proxy", "*")
    with contextlib.ExitStack() as stack:
        yield Scene(standin, shared, model_registry, host, tmp_path, stack)


def told(message):
    """Return a message without what differs from run to run."""
    for pattern, stands in VARYING:
        message = re.sub(pattern, stands, message)
    return message


def recorded():
    return json.loads(RECORD.read_text()) if RECORD.exists() else {}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault(scene, run_module, fault):
    make, verdict = FAULTS[fault]
    result = run_module(ollama_health, make(scene))
    assert (result["failed"], result["healthy"], result["changed"]) == (True, False, False)
    assert result["verdict"] == verdict, result["msg"]
    assert f" is not healthy ({verdict}): " in result["msg"]
    failed = next(check for check in result["checks"] if check["status"] == "failed")
    assert failed["verdict"] == verdict
    assert failed["reason"] in result["msg"]
    assert failed["remedy"] in result["msg"]
    if RECORDING:
        seen = {**recorded(), fault: {"verdict": verdict, "message": told(result["msg"])}}
        RECORD.write_text(json.dumps({name: seen[name] for name in FAULTS if name in seen}, indent=1) + "\n")
    assert recorded()[fault] == {"verdict": verdict, "message": told(result["msg"])}


def test_the_record_has_each_fault_once():
    assert list(recorded()) == list(FAULTS)


@pytest.mark.parametrize("version", ["0.24.0", "0.32.15"])
def test_a_model_whose_process_died_idle_is_loaded_again_and_not_cut(scene, run_module, version):
    """ps goes on listing it; the request that finds out loads it, for longer than an answer may take."""
    server = scene.own(version, load=True, LOAD_SECONDS="6")
    os.kill(server.runners[0], signal.SIGKILL)
    result = run_module(ollama_health, inference(server, max_seconds=5))
    assert result["healthy"] is True, result["msg"]
    (run,) = result["runs"]
    assert (run["was_loaded"], run["seconds_to_first_token"]) == (False, None)
    assert run["load_seconds"] > 5


def test_such_a_load_has_its_own_limit(scene, run_module):
    server = scene.own(load=True, LOAD_SECONDS="30")
    os.kill(server.runners[0], signal.SIGKILL)
    result = run_module(ollama_health, inference(server, max_seconds=3, load_timeout=6))
    assert result["verdict"] == "loading", result["msg"]


def test_figures_are_the_servers_own(scene, run_module):
    server = scene.loaded()
    (run,) = run_module(ollama_health, inference(server))["runs"]
    (listed,) = server.json("GET", "/api/ps")["models"]
    assert {key: run[key] for key in ("size", "size_vram", "context_length")} == {
        key: listed[key] for key in ("size", "size_vram", "context_length")
    }
    assert run["tokens_per_second"] == run["tokens"] / (run["durations"]["eval"] / 1e9)
    assert run["durations"]["total"] / 1e9 < run["seconds"]


def test_a_certificate_that_lasts_is_told_without_a_second_request(scene, run_module):
    options = scene.tls(scene.server(), 90.5)
    result = run_module(ollama_health, options)
    assert result["healthy"] is True
    check = next(check for check in result["checks"] if check["name"] == "certificate")
    assert (check["status"], check["threshold"], check["unit"]) == ("ok", 14, "days")
    assert 90 < check["value"] < 91
    assert scene.fronts[-1].connections == 1


def test_two_witnesses_agree(scene, run_module):
    scene.host.process(4711, "llama-server")
    scene.host.tool("nvidia-smi", "4711, 5000\n")
    result = run_module(ollama_health, inference(scene.loaded(GPU_SHARE="1"), gpu="required"))
    assert result["healthy"] is True, result["msg"]
    assert [check["status"] for check in result["checks"] if check["name"].startswith("gpu")] == ["ok", "ok"]
