# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which containers the role ollama names before it lets systemd read its units anew."""

from __future__ import annotations

import os
import subprocess

# What engines 20.10 and 26.1 give for the format in the script
CONTAINERS = """\
/by-runtime runtime=nvidia
/by-gpus runtime=runc :[[gpu]]
/by-compose runtime=runc nvidia:[[gpu compute]]
/by-legacy runtime=nvidia-legacy
/by-order runtime=runc nvidia:[[compute gpu]]
/by-cdi runtime=runc cdi:[]
/by-cdi-runtime runtime=nvidia-cdi
/by-cdi-gpu runtime=runc cdi:[[gpu]]
/none runtime=runc
/gpu runtime=runc
"""


def look(tmp_path, request, running):
    """Return what the script says on a host where these containers run."""
    (tmp_path / "containers").write_text(running)
    docker = tmp_path / "docker"
    docker.write_text(
        f'#!/bin/sh\n[ "$1" = inspect ] || exec sed -n = {tmp_path}/containers\ncat {tmp_path}/containers\n'
    )
    docker.chmod(0o755)
    script = (request.config.rootpath / "roles/ollama/files/look_runtime.sh").read_text()
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["/bin/sh", "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.split()


def test_containers_of_the_hook_are_named_and_those_of_cdi_are_not(tmp_path, request):
    assert look(tmp_path, request, CONTAINERS) == ["by-runtime", "by-gpus", "by-compose", "by-legacy", "by-order"]


def test_host_without_containers(tmp_path, request):
    assert look(tmp_path, request, "") == []
