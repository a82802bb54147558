# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role ollama sees of a store whose owner, the server, has written there whatever it can."""

from __future__ import annotations

import json
import os
import subprocess
from hashlib import sha256

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
        command = ["/bin/sh", "-c", script, "look", str(store), "", "ollama", "127.0.0.1", "9"]
        done = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=True)
        return done.stdout.decode("utf-8", "surrogateescape").splitlines()

    return lines


@pytest.fixture
def store(tmp_path):
    """A store with one model and a key."""
    root = tmp_path / "store"
    manifest = root / "models/manifests/registry.ollama.ai/library/a/latest"
    manifest.parent.mkdir(parents=True)
    layer = {"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:" + "ab" * 32, "size": 1000}
    manifest.write_text(json.dumps({"config": {"digest": "sha256:" + "cd" * 32, "size": 24}, "layers": [layer]}))
    (root / "models/blobs").mkdir()
    (root / ".ollama").mkdir()
    (root / ".ollama/id_ed25519").write_text("private")
    (root / ".ollama/id_ed25519").chmod(0o600)
    (root / ".ollama/id_ed25519.pub").write_text("ssh-ed25519 AAAA\n")
    return root


def test_what_a_store_holds(look, store):
    found = look(store)
    owner = f"{os.getuid()}:{os.getgid()}"
    assert f"store {store}" in found
    assert {"entry models", "entry .ollama"} <= set(found)
    assert {f"owner {owner} {name}" for name in ("models", "models/blobs", ".ollama/id_ed25519")} <= set(found)
    assert f"identity 600:{owner}:{sha256(b'private').hexdigest()}" in found
    assert "key ssh-ed25519 AAAA" in found
    assert f"model 1024 {'ab' * 32} registry.ollama.ai/library/a/latest" in found


@pytest.mark.parametrize(
    "name",
    ["x\nstore /etc", "x\\nstore \\0057etc", "x\\012store /etc", "x\rstore etc", "-n store", "\\c"],
)
def test_a_name_makes_no_line_of_its_own(look, store, name):
    (store / name.replace("/", "_")).touch()
    found = look(store)
    assert [line for line in found if line.startswith("store")] == [f"store {store}"]
    assert len([line for line in found if line.startswith("entry ")]) == 3


def test_neither_does_a_manifest_a_key_or_a_record(look, store):
    strange = store / "models/manifests/h/n/x\nstore etc"
    strange.mkdir(parents=True)
    (strange / "latest").write_text("{}")
    (store / ".ollama/id_ed25519.pub").write_text("key\\nstore \\0057etc\nstore /etc\n")
    (store / ".alchemorsel-migrated").write_text("a\\nstore \\0057etc\nstore /etc\n")
    found = look(store)
    assert [line for line in found if line.startswith("store")] == [f"store {store}"]
    assert "model 0 - h/n/x?store etc/latest" in found


@pytest.mark.parametrize(
    "name", [".ollama", "models", "models/manifests", ".ollama/id_ed25519", ".ollama/id_ed25519.pub"]
)
def test_a_link_is_named_and_not_followed(look, store, tmp_path, name):
    place = store / name
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    found = look(store)
    assert f"link {name}" in found


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
