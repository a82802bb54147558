# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit of a host whose engine does not answer: one sentence, no failure, also where points are wanted. The rest: molecule/default."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

#: A process of its own: not for every save
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("options", [[], ["--check"]])
def test_a_host_without_an_engine_gets_one_sentence(tmp_path, options):
    play = [{"hosts": "all", "gather_facts": False, "roles": ["alchemorsel.ollama.ollama_audit"]}]
    (tmp_path / "play.yml").write_text(json.dumps(play))
    variables = {"ansible_python_interpreter": sys.executable, "ollama_audit_min_score": 33}
    done = subprocess.run(
        [
            "ansible-playbook",
            "-i",
            "nowhere,",
            "-c",
            "local",
            "-e",
            json.dumps(variables),
            str(tmp_path / "play.yml"),
            *options,
        ],
        env={**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/no.sock", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (sentence,) = [line for line in done.stdout.splitlines() if '"msg"' in line]
    assert sentence.strip().startswith('"msg": "No Docker Engine answers on this host (')
    assert sentence.strip().endswith('), so there is nothing to audit."')
    assert "changed=0" in done.stdout
