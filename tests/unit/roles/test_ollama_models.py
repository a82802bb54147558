# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role ollama_models in a real play: what it derives from the variables of the role ollama, and what it hands to the module."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lab.standin.testing import MODELS

#: Servers and processes of their own: not for every save
pytestmark = pytest.mark.slow

PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Declare
      block:
        - ansible.builtin.include_role:
            name: alchemorsel.ollama.ollama_models
      rescue:
        - ansible.builtin.set_fact:
            seen: "{{ ansible_failed_result }}"
    - name: Keep
      ansible.builtin.copy:
        content: "{{ seen | default(__ollama_models) | to_json }}"
        dest: "{{ results }}/{{ inventory_hostname }}.json"
        mode: "0600"
      check_mode: false
"""


@pytest.fixture
def play(tmp_path, request):
    """Return a function that runs the role for hosts with these variables and returns the module's result for each."""

    def run(hosts, *options):
        results, home = tmp_path / "results", tmp_path / "home"
        for folder in (results, home):
            folder.mkdir(exist_ok=True)
        (tmp_path / "play.yml").write_text(PLAY)
        (tmp_path / "ansible.cfg").write_text("[connection]\npipelining = true\n")
        common = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "results": str(results),
            "ollama_models_state_dir": str(tmp_path / "state"),
        }
        inventory = {"all": {"hosts": hosts, "vars": common}}
        (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory))
        environment = {
            **os.environ,
            "HOME": str(home),
            "ANSIBLE_HOME": str(home / ".ansible"),
            "ANSIBLE_COLLECTIONS_PATH": str(request.config.rootpath / ".build/collections"),
            "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
        }
        command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "hosts.yml", "play.yml", *options]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
        return {path.stem: json.loads(path.read_text()) for path in results.iterdir()}

    return run


@pytest.fixture
def server(standin, tmp_path):
    """A server whose store lies as the role ollama has it."""
    return standin(store=tmp_path / "ollama/models")


def variables(server, tmp_path, *models, **more):
    """Return what an inventory says of a server of the role ollama."""
    host, port = server.url.removeprefix("http://").split(":")
    return {
        "ollama_bind": host,
        "ollama_port": int(port),
        "ollama_store_dir": str(tmp_path / "ollama"),
        "ollama_models_list": list(models),
        **more,
    }


def test_what_the_role_derives_and_what_it_leaves_empty(play, server, model_registry, tmp_path):
    model_registry.publish("tiny")
    name = f"{model_registry.host}/library/tiny:latest"
    (tmp_path / "preload").mkdir()
    (tmp_path / "preload/bert.gguf").write_bytes((MODELS / "tiny-bert.gguf").read_bytes())
    small = {"ollama_models_insecure_registries": [model_registry.host], "ollama_memory": "100k"}
    gguf = {"name": "bert", "gguf": "bert.gguf"}

    def plan(*models, **more):
        return variables(server, tmp_path, *models, **{**small, **more})

    seen = play(
        {
            # Larger than the container, which has no GPU to put it in
            "cpu": plan({"name": name}, ollama_gpu="disabled"),
            # The role ollama has looked for one
            "none": plan({"name": name}, __ollama_gpu={"vendor": "none"}),
            "gpu": plan({"name": name}, __ollama_gpu={"vendor": "nvidia"}),
            # There may be a GPU
            "auto": plan({"name": name}),
            "named": plan({"name": name}, ollama_models_memory_limit="50k"),
            # Another server, whose disk and limits are not those of the role
            "elsewhere": plan({"name": name}, ollama_gpu="disabled", ollama_models_url=f"{server.url}/"),
            "volume": plan({"name": name}, ollama_store_volume="ollama", ollama_models_min_free="900T"),
            "full": plan({"name": name}, ollama_models_min_free="900T"),
            "fresh": plan({"name": name}, ollama_store_dir=str(tmp_path / "later")),
            "pinned": plan({"name": name, "keep_alive": -1}),
            "file": plan(gguf, ollama_preload_dir=str(tmp_path / "preload")),
            "nowhere": plan(gguf),
        },
        "--check",
    )
    assert "memory_limit is 102 kB" in seen["cpu"]["msg"] and seen["cpu"]["failed"]
    assert "memory_limit is 102 kB" in seen["none"]["msg"] and seen["none"]["failed"]
    assert "memory_limit is 51 kB" in seen["named"]["msg"]
    assert "min_free wants" in seen["full"]["msg"] and str(tmp_path / "ollama/models") in seen["full"]["msg"]
    for host in ("auto", "gpu", "elsewhere", "volume", "fresh"):
        assert [action["action"] for action in seen[host]["actions"]] == ["pull"], seen[host]
    assert [action["action"] for action in seen["pinned"]["actions"]] == ["pull", "load"]
    assert seen["file"]["actions"][0]["action"] == "create"
    assert "'bert.gguf' of bert" in seen["nowhere"]["msg"]


def test_broken_models_of_the_roles_store_are_repaired(play, server, model_registry, tmp_path):
    model_registry.publish("tiny")
    name = f"{model_registry.host}/library/tiny:latest"
    host = variables(server, tmp_path, {"name": name}, ollama_models_insecure_registries=[model_registry.host])
    assert play({"h1": host})["h1"]["changed"] is True
    largest = max((tmp_path / "ollama/models/blobs").iterdir(), key=lambda path: path.stat().st_size)
    whole = largest.read_bytes()
    largest.write_bytes(whole[:100])

    result = play({"h1": host})["h1"]
    assert [action["action"] for action in result["actions"]] == ["repair"]
    assert largest.read_bytes() == whole
