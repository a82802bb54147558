# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ollama_model: what a run without work leaves on the shelf, since a host reads and compiles each file anew for each task."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from fake_ollama import digest_of, manifest

#: Runs the module as Ansible would, and tells on stderr what it has loaded.
RUN = """
import atexit, json, sys
from ansible.module_utils import basic
basic._ANSIBLE_ARGS, basic._ANSIBLE_PROFILE = sys.argv[1].encode(), "legacy"
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))
from ansible_collections.alchemorsel.ollama.plugins.modules import ollama_model
ollama_model.main()
"""
OURS = "ansible_collections.alchemorsel.ollama.plugins.module_utils."
#: What pulls, removes, creates, compares or asks a source.
LATE = ("_apply", "_fetch", "_switch", "_remove", "_live", "_stream", "_created", "_parameters")


def loaded(options):
    """Run the module in a process of its own; return its result, and the modules that it loaded."""
    arguments = json.dumps({"ANSIBLE_MODULE_ARGS": options})
    done = subprocess.run(
        [sys.executable, "-c", RUN, arguments],
        env={**os.environ, "PYTHONPATH": ".build/collections"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout), set(json.loads(done.stderr.splitlines()[-1]))


def test_a_run_without_work_loads_neither_requests_nor_what_carries_work_out(ollama):
    name = ollama.name("a")
    ollama.held = {name: digest_of(manifest("one"))}
    result, modules = loaded({"url": ollama.url, "name": [name]})
    assert result["changed"] is False
    assert not modules & {"requests", "urllib3", "concurrent.futures", *(OURS + late for late in LATE)}


def test_a_removal_loads_what_it_needs(ollama):
    name = ollama.name("a")
    ollama.held = {name: digest_of(manifest("one"))}
    result, modules = loaded({"url": ollama.url, "name": [name], "state": "absent"})
    assert result["changed"] is True
    assert modules >= {"requests", OURS + "_apply"}
