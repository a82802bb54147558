# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the roles keep of a host as facts is never taken for a template, on any ansible-core: whoever owns the host could run commands here."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys

import pytest

#: Processes of their own: not for every save
pytestmark = pytest.mark.slow


def test_what_is_kept_is_no_template(tmp_path, request):
    mark = tmp_path / "ran"
    hostile = {"tag": "{{.Name}}", "run": "{{ lookup('pipe', 'touch " + str(mark) + "') }}"}
    coded = base64.b64encode(json.dumps(hostile).encode()).decode()
    (tmp_path / "lines").write_text(
        f"container {coded}\nguard network {coded}\nentry {{{{.Name}}}}\njson daemon.json 0644 {coded}\n"
    )
    roles = request.config.rootpath / "roles"
    kept = {
        "container": "{{ _ollama_found }}",
        "network": "{{ _ollama_network_seen }}",
        "lines": "{{ _ollama_host_lines[0] }}",
        "daemon": "{{ _docker_seen.json.text }}",
    }
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [
            {"ansible.builtin.command": f"cat {tmp_path}/lines", "register": "__ollama_host"},
            {"ansible.builtin.set_fact": {"__ollama_look": {"skipped": True}}},
            {"ansible.builtin.include_tasks": str(roles / "ollama/tasks/seen.yml")},
            {
                "ansible.builtin.set_fact": {"_docker_seen": "{{ __now }}"},
                "vars": {"__now": "{{ __ollama_host.stdout_lines | alchemorsel.ollama.engine_seen({}, []) }}"},
            },
            # Each by itself: looked up once more, as the tasks of the roles do
            *(
                {
                    "ansible.builtin.copy": {"content": "{{ value }}", "dest": f"{tmp_path}/{name}.json"},
                    "vars": {"value": text},
                }
                for name, text in kept.items()
            ),
        ],
    }
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    command = ["ansible-playbook", "-i", "localhost,", "-c", "local", str(tmp_path / "play.yml")]
    command += ["-e", f"ansible_python_interpreter={sys.executable}"]
    environment = {**os.environ, "ANSIBLE_HOME": str(tmp_path)}
    done = subprocess.run(
        command, env=environment, cwd=roles.parent, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not mark.exists()
    for name in ("container", "network", "daemon"):
        assert json.loads((tmp_path / f"{name}.json").read_text()) == hostile, name
    assert (tmp_path / "lines.json").read_text() == "entry {{.Name}}"
