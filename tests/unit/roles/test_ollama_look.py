# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role ollama's look at a host says of a store, into which the server's user can write what it likes."""

from __future__ import annotations

import json
import os
import subprocess
from hashlib import sha256

import pytest


@pytest.fixture
def look(tmp_path, request):
    """The script on a store, as root as far as it asks."""
    (tmp_path / "bin").mkdir()
    whoami = tmp_path / "bin/id"
    whoami.write_text("#!/bin/sh\necho 0\n")
    whoami.chmod(0o755)
    script = (request.config.rootpath / "roles/ollama/files/look.sh").read_text()

    def lines(store):
        environment = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
        command = ["/bin/sh", "-c", script, "look", str(store), ""]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=True)
        return [line for line in done.stdout.splitlines() if not line.startswith("route ")]

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
    assert len([line for line in found if line.startswith("model ")]) == 1


@pytest.mark.parametrize(
    "name", [".ollama", "models", "models/manifests", ".ollama/id_ed25519", ".ollama/id_ed25519.pub"]
)
def test_a_link_is_named_and_not_followed(look, store, tmp_path, name):
    place = store / name
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    found = look(store)
    assert f"link {name}" in found
    followed = {".ollama": "identity", "models": "model", "models/manifests": "model"}.get(
        name, "key" if name.endswith(".pub") else "identity"
    )
    assert not [line for line in found if line.startswith(f"{followed} ")]
