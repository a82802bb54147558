# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ollama_model in a real play of this ansible-core, against the stand-in and a registry with a slow line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

MODULE_RUN = re.compile(r"Using module file \S*/modules/(ollama_model|async_status)\.py")
PLAY = """
- hosts: all
  gather_facts: false
  module_defaults:
    group/alchemorsel.ollama.ollama:
      url: "{{ server }}"
    alchemorsel.ollama.ollama_model:
      insecure_registries: ["{{ registry }}"]
      progress_interval: 0.2
      retries: 0
  tasks:
    - name: Pull
      alchemorsel.ollama.ollama_model:
        name: "{{ registry }}/library/slow"
      register: pulled
    - name: Pull again
      alchemorsel.ollama.ollama_model:
        name: "{{ registry }}/library/slow"
      register: again
    - name: Pull nothing
      alchemorsel.ollama.ollama_model:
        name: "{{ registry }}/library/nobody"
      register: nobody
      failed_when: false
    - name: Pull secretly
      alchemorsel.ollama.ollama_model:
        name: "{{ registry }}/library/secret"
      register: secret
      no_log: true
    - name: Pull silently
      alchemorsel.ollama.ollama_model:
        name: "{{ registry }}/library/silent"
        progress: false
      register: silent
    - name: Keep
      ansible.builtin.copy:
        content: "{{ {'pulled': pulled, 'again': again, 'nobody': nobody, 'secret': secret, 'silent': silent} | to_json }}"
        dest: "{{ results }}"
        mode: "0600"
"""


@pytest.fixture
def play(tmp_path, standin, model_registry, request):
    """Run the play; return its results by name, and the output of each task."""
    for number, name in enumerate(("slow", "secret", "silent")):
        model_registry.publish(name, weights=("tiny-a", "tiny-b", "tiny-c")[number])
    # Six seconds, in which also a busy machine comes to show something
    model_registry.fail("drip", "/library/slow/", request="blob_range", rate=80_000, chunk=10_000)
    (tmp_path / "play.yml").write_text(PLAY)
    (tmp_path / "ansible.cfg").write_text("[connection]\npipelining = true\n")
    variables = {
        "server": standin().url,
        "registry": model_registry.host,
        "results": str(tmp_path / "results.json"),
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
    }
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"h1": variables}}}))
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        **os.environ,
        "HOME": str(home),
        "ANSIBLE_HOME": str(home / ".ansible"),
        "ANSIBLE_COLLECTIONS_PATH": str(request.config.rootpath / ".build/collections"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_STRATEGY": getattr(request, "param", "linear"),
        "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"),
    }
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-vvv", "-i", "hosts.yml", "play.yml"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    head, *parts = done.stdout.split("\nTASK [")
    tasks = {"": head, **{part.partition("]")[0]: part for part in parts}}
    left = [
        path for folder in (".ansible_async", ".ansible/tmp") for path in (home / folder).rglob("*") if path.is_file()
    ]
    assert left == []
    return json.loads((tmp_path / "results.json").read_text()), tasks


def test_a_play_with_pulls(play, model_registry):
    results, tasks = play
    runs = {name: MODULE_RUN.findall(text) for name, text in tasks.items()}

    line = rf"^\[h1\] {re.escape(model_registry.host)}/library/slow:latest: \d+ %, \S+ \S+ of 488 kB"
    assert re.search(line, tasks["Pull"], re.MULTILINE)
    assert results["pulled"]["changed"] is True
    assert results["pulled"]["actions"][0]["digest_after"] == model_registry.digest("slow")
    assert runs["Pull"][:3] == ["ollama_model", "ollama_model", "async_status"]
    assert runs["Pull"].count("ollama_model") == 2

    # Where nothing is to be pulled, the module runs once, and nothing else does.
    assert results["again"]["changed"] is False
    assert runs["Pull again"] == ["ollama_model"]

    # A failure in the background is the module's own.
    assert results["nobody"]["error_kind"] == "SourceNotFound"
    assert (results["nobody"]["changed"], results["nobody"]["actions"]) == (False, [])
    assert runs["Pull nothing"].count("ollama_model") == 2

    assert results["secret"]["changed"] is True
    assert "/library/secret" not in tasks["Pull secretly"]

    assert results["silent"]["changed"] is True
    assert runs["Pull silently"] == ["ollama_model"]
    assert "[h1]" not in re.sub(r"^(changed|ok): \[h1\]", "", tasks["Pull silently"], flags=re.MULTILINE)

    # What a task returns is the same with and without the background.
    shape = set(results["silent"])
    assert set(results["pulled"]) == shape
    assert set(results["again"]) == shape
    for result in results.values():
        assert not re.search("_progress_file|_defer|_offers", json.dumps(result))
        assert not {"ansible_job_id", "results_file", "finished", "started", "work_due"} & set(result)


@pytest.mark.parametrize("play", ["free"], indirect=True)
def test_the_strategy_free_shows_and_returns_the_same(play, model_registry):
    results, tasks = play
    # It names a task when its result comes, so that the lines of one stand below the one before.
    shown = "".join(tasks.values())
    line = rf"^\[h1\] {re.escape(model_registry.host)}/library/slow:latest: \d+ %, \S+ \S+ of 488 kB"
    assert re.search(line, shown, re.MULTILINE)
    assert not re.search(r"^\[h1\] \S+/library/(secret|silent)", shown, re.MULTILINE)
    changed = {name: result["changed"] for name, result in results.items()}
    assert changed == {"pulled": True, "again": False, "nobody": False, "secret": True, "silent": True}
    assert results["nobody"]["error_kind"] == "SourceNotFound"
