# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run modules in this process, and servers that answer what a test says."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils import basic
from scripted_server import ScriptedServer


@pytest.fixture
def run_module(monkeypatch, capsys):
    """`run_module(module, options, check_mode=False)` runs a module as Ansible would, and returns its result."""

    def run(module, options, check_mode=False):
        arguments = {"ANSIBLE_MODULE_ARGS": {**options, "_ansible_check_mode": check_mode}}
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps(arguments).encode())
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)  # from core 2.19 on
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
