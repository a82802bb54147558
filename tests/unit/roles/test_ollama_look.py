# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role ollama sees of a store whose owner, the server, has written there whatever it can."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

#: All at which Python ends a line, and with it Ansible
ENDS = ["\n", "\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
FORGED = [
    "store /etc/systemd/system",
    "identity 600:1000:1000:x",
    "mounted /srv",
    "entry x",
    "migrated /root/.ollama",
    "route 0.0.0.0/1",
]


@pytest.fixture
def look(tmp_path, request):
    """Return the lines of the script about a store, as root would see it; the privileges of the server are those of the test."""
    commands = tmp_path / "bin"
    commands.mkdir()
    scripts = {"id": "echo 0", "setpriv": 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"', "ip": "true"}
    for name, text in scripts.items():
        (commands / name).write_text(f"#!/bin/sh\n{text}\n")
        (commands / name).chmod(0o755)
    script = (request.config.rootpath / "roles/ollama/files/look.sh").read_text()
    environment = {**os.environ, "PATH": f"{commands}:{os.environ['PATH']}"}

    def lines(store):
        command = ["/bin/sh", "-c", script, "look", str(store), ""]
        done = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=True)
        return done.stdout.decode("utf-8", "surrogateescape").splitlines()

    return lines


@pytest.fixture
def store(tmp_path):
    made = tmp_path / "store"
    made.joinpath("models/manifests/registry.ollama.ai/library/a").mkdir(parents=True)
    manifest = json.dumps({"config": {"size": 5}, "layers": []})
    made.joinpath("models/manifests/registry.ollama.ai/library/a/latest").write_text(manifest)
    made.joinpath(".ollama").mkdir()
    return made


def test_what_is_there_is_told(look, store):
    store.joinpath(".ollama/id_ed25519.pub").write_text("ssh-ed25519 AAAA\n")
    store.joinpath(".alchemorsel-migrated").write_text("/srv/mod\u00e8les\n")
    found = look(store)
    assert {"key ssh-ed25519 AAAA", "migrated /srv/mod\u00e8les", f"store {store}", "entry models"} <= set(found)
    assert "model 5 - registry.ollama.ai/library/a/latest" in found


@pytest.mark.parametrize("end", ENDS)
def test_no_name_and_no_file_of_the_server_begins_a_line(look, store, end):
    right = look(store)
    for forged in FORGED:
        store.joinpath(f"x{end}{forged.replace('/', '_')}").write_text("")
        place = store / "models/manifests" / f"x{end}{forged}/a/b/c"
        while len(place.relative_to(store / "models/manifests").parts) > 4:
            place = place.parent
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("{}")
    store.joinpath(".alchemorsel-migrated").write_text(f"x{end}{FORGED[0]}\n")
    store.joinpath(".ollama/id_ed25519.pub").write_text(f"x{end}{FORGED[1]}\n")
    told = [line for line in look(store) if line not in right]
    assert told and all(
        line.startswith(("entry x", "entry .alchemorsel-migrated", "model ", "migrated x", "key x")) for line in told
    )
    assert f"store {store}" in right and not [line for line in told if line in FORGED]
