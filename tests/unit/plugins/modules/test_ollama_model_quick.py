# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of ollama_model costs: one request and little code if nothing is to be done, one list before the lock if there is."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._lock import ServerLock
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_name
from fake_ollama import manifest

#: Runs the module as the only thing in a process, and says in the last line what that has imported.
ALONE = """
import json, sys
from ansible.module_utils import basic
basic._ANSIBLE_ARGS, basic._ANSIBLE_PROFILE = sys.argv[1].encode(), "legacy"
from ansible_collections.alchemorsel.ollama.plugins.modules import ollama_model
try:
    ollama_model.main()
finally:
    print(json.dumps(sorted(sys.modules)))
"""


def alone(**options):
    """Return the module's result, and the last parts of the names of what it has imported."""
    given = {"ANSIBLE_MODULE_ARGS": {"_ansible_diff": True, **options}}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", ALONE, json.dumps(given)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    result, imported = done.stdout.strip().splitlines()
    return json.loads(result), {name.rpartition(".")[2] for name in json.loads(imported)}


@pytest.mark.parametrize("check_mode", [False, True])
def test_nothing_to_do_is_one_request_without_the_code_for_more(ollama, check_mode):
    ollama.have("a", manifest("one"))
    models = [{"name": ollama.name("a")}, {"name": "gone", "state": "absent"}]
    result, imported = alone(url=ollama.url, models=models, _ansible_check_mode=check_mode)
    assert (result["changed"], [model["name"] for model in result["models"]]) == (False, [ollama.name("a")])
    assert ollama.calls == ["GET /api/tags"]
    assert "_quick" in imported
    assert not {"requests", "urllib3", "_converge", "_client", "_plan", "_registry"} & imported


@pytest.mark.parametrize("whole", [True, False])
def test_a_store_is_looked_at_without_the_code_for_more(ollama, tmp_path, whole):
    ollama.have("a", manifest("one"))
    name = parse_name(ollama.name("a"))
    blob = hashlib.sha256(b"weights").hexdigest()
    path = tmp_path / "manifests" / name.host / name.namespace / name.model / name.tag
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"layers": [{"digest": f"sha256:{blob}", "size": 7}]}))
    (tmp_path / "blobs").mkdir()
    if whole:
        (tmp_path / "blobs" / f"sha256-{blob}").write_bytes(b"weights")
    options = {"name": [ollama.name("a")], "store_path": str(tmp_path), "min_free": "1"}
    result, imported = alone(url=ollama.url, _ansible_check_mode=True, **options)
    assert result["changed"] is not whole
    assert ("requests" in imported) is not whole
    if whole:
        assert ollama.calls == ["GET /api/tags"]


def test_more_to_do_imports_the_rest(ollama):
    """The test above looks at the right names."""
    result, imported = alone(url=ollama.url, name=[ollama.name("a")], state="absent", exclusive=True, allow_empty=True)
    assert result["changed"] is False
    assert {"requests", "urllib3", "_converge", "_client", "_plan", "_registry"} <= imported


@pytest.mark.parametrize("more", [{}, {"verify": True}], ids=["after the look", "without it"])
def test_a_run_with_work_lists_the_models_once_before_the_lock(run, ollama, monkeypatch, more):
    ollama.publish("a", manifest("one"))
    before = []
    acquire = ServerLock.acquire

    def taken(lock, timeout):
        before.extend(ollama.calls)
        acquire(lock, timeout)

    monkeypatch.setattr(ServerLock, "acquire", taken)
    assert run(name=ollama.name("a"), **more)["changed"] is True
    assert before == ["GET /api/tags", "GET /api/version"]
