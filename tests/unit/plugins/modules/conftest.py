# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run modules in this process, and servers that answer what a test says."""

from __future__ import annotations

import json
import shutil
import sys

import pytest
from ansible.module_utils import basic
from ansible.module_utils.common import warnings
from ansible_collections.alchemorsel.ollama.plugins.modules import ollama_model
from fake_ollama import WRITES, FakeOllama, without
from scripted_server import ScriptedServer
from store_site import Site

from lab.standin.testing import OllamaServer
from lab.standin.versions import PROFILES


@pytest.fixture(autouse=True)
def _own_locks(lock_folder):
    """Each module that is run here takes a lock."""


@pytest.fixture
def run_module(monkeypatch, capsys):
    """`run_module(module, options, check_mode=False)` runs a module as Ansible would, and returns its result."""

    def run(module, options, check_mode=False):
        arguments = {"ANSIBLE_MODULE_ARGS": {**options, "_ansible_check_mode": check_mode}}
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps(arguments).encode())
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)  # from core 2.19 on
        # From 2.19 on a process that has loaded the controller's code shows warnings instead of returning them.
        if "ansible.module_utils._internal" in sys.modules:
            monkeypatch.setattr(sys.modules["ansible.module_utils._internal"], "is_controller", False)
        # Those of an earlier run in this process would be told again.
        warnings._global_warnings.clear()
        with pytest.raises(SystemExit):
            module.main()
        written = capsys.readouterr()
        assert "Traceback" not in written.out + written.err
        return json.loads(written.out)

    return run


@pytest.fixture
def scripted_server():
    """`scripted_server(replies)` starts a `ScriptedServer`; all are stopped at the end."""
    started = []

    def start(replies):
        started.append(ScriptedServer(replies))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def ollama(scripted_server):
    return FakeOllama(scripted_server)


@pytest.fixture
def run(run_module, ollama, tmp_path):
    """Run the module once; what it says is compared with what the server then has."""

    def once(check_mode=False, **options):
        before, earlier = dict(ollama.held), len(ollama.server.requests)
        options = {
            "url": ollama.url,
            "insecure_registries": [ollama.host],
            "retries": 0,
            "state_dir": str(tmp_path / "state"),
            "_ansible_diff": True,
            **options,
        }
        result = run_module(ollama_model, options, check_mode)
        if check_mode:
            assert ollama.held == before
            sent = [f"{method} {path}" for method, path, _body in ollama.server.requests[earlier:]]
            assert not [request for request in sent if request.startswith(WRITES)]
        elif "models" in result:
            shown = {model["name"]: model["digest"] for model in result["models"]}
            assert shown == {name: value for name, value in ollama.held.items() if "alchemorsel-tmp" not in name}
        return result

    return once


@pytest.fixture
def check_and_run(run, ollama):
    """Run in check mode, for real and again: the prediction is the outcome, and the second run asks once for the tags."""

    def both(**options):
        predicted = run(check_mode=True, **options)
        assert ollama.calls
        result = run(**options)
        calls = ollama.calls
        for key in ("changed", "models", "kept"):
            assert predicted[key] == result[key], key
        assert [without(action, ["seconds"]) for action in predicted["actions"]] == [
            without(action, ["seconds"]) for action in result["actions"]
        ]
        assert predicted["diff"] == result["diff"]
        again = run(**options)
        assert (again["changed"], again["actions"]) == (False, [])
        assert again["models"] == result["models"]
        return result, calls

    return both


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """One server of each version, started when it is first needed."""
    servers = {}

    def start(version):
        if version not in servers:
            home = tmp_path_factory.mktemp("server")
            servers[version] = OllamaServer(home, version, {"STANDIN_TIME_SCALE": "0.01", "OLLAMA_NOPRUNE": "1"})
        for path in servers[version].store.root.glob("*"):
            shutil.rmtree(path)
        return servers[version]

    yield start
    for server in servers.values():
        server.stop()


@pytest.fixture(params=sorted(PROFILES))
def site(request, pool, model_registry, run_module):
    made = Site(pool(request.param), model_registry, run_module)
    for model, system in (("a", "One"), ("b", "Two")):
        model_registry.publish(model, weights="tiny-a", system=system)
    assert made.run(name=[made.name("a"), made.name("b")])["changed"]
    return made
