# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role docker makes of apt's simulation: a refusal is a complaint, also one without a word."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HELD = "E: Unable to correct problems, you have held broken packages."
PLAY = """
- hosts: localhost
  gather_facts: false
  vars_files: ["{{ variables }}"]
  tasks:
    - ansible.builtin.assert:
        that: _docker_simulation_errors == wanted
        fail_msg: "found {{ _docker_simulation_errors }}"
"""


@pytest.mark.parametrize(
    ("results", "wanted"),
    [
        ([{"rc": 0, "stderr": ""}], []),
        ([{"rc": 0, "stderr": "W: Target Packages is configured twice"}], []),
        ([{"rc": 100, "stderr": f"W: something\n{HELD}"}], [HELD[3:]]),
        ([{"rc": 0, "stderr": ""}, {"rc": 137, "stderr": ""}], ["apt-get gave no reason and ended with status 137"]),
        ([{"skipped": True}], []),
    ],
)
def test_a_refusal_is_a_complaint(tmp_path, request, results, wanted):
    (tmp_path / "play.yml").write_text(PLAY)
    for result in results:
        result["stderr_lines"] = result.get("stderr", "").splitlines()
    given = {
        "variables": str(request.config.rootpath / "roles/docker/vars/main/packages.yml"),
        "__docker_simulation": {"results": results},
        "_docker_offers_wanted": True,
        "wanted": wanted,
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
    }
    command = [Path(sys.executable).parent / "ansible-playbook", "play.yml", "--extra-vars", json.dumps(given)]
    environment = {**os.environ, "HOME": str(tmp_path), "ANSIBLE_HOME": str(tmp_path), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
