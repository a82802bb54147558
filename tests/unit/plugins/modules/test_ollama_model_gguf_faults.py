# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ollama_model with GGUF files: failures of the server, ends at any point, progress, and memory."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _upload
from ansible_collections.alchemorsel.ollama.plugins.module_utils._action import (
    guard_name,
    new_name,
)
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_name
from fake_ollama import WRITES
from scripted_server import Reply

from lab.standin.testing import ROOT
from tests.unit.gguf_files import sparse

#: Servers and processes of their own: not for every save
pytestmark = pytest.mark.slow

NEW, GUARD = new_name(parse_name("bot")).short, guard_name(parse_name("bot")).short
MB = 1_000_000


@pytest.fixture
def bot(tmp_path):
    """`bot(**changes)`: the declaration of a model created from a file of 3 MB."""
    sparse(tmp_path / "m.gguf", 3 * MB)
    return lambda **changes: {"name": "bot", "gguf": str(tmp_path / "m.gguf"), "system": "Be brief.", **changes}


def test_the_old_model_stays_until_the_new_one_is_there(run, ollama, bot):
    run(models=[bot()])
    (file,) = ollama.blobs
    ollama.calls.clear()
    run(models=[bot(system="Be long.")])
    assert [call for call in ollama.calls if not call.startswith("GET")] == [
        "POST /api/show bot:latest",
        f"HEAD /api/blobs/{file}",
        f"POST /api/create {NEW}",
        f"POST /api/copy {GUARD}",
        "POST /api/copy bot:latest",
        f"DELETE /api/delete {GUARD}",
        f"DELETE /api/delete {NEW}",
    ]


def test_a_second_run_asks_for_the_models_and_whether_it_is_whole(run, ollama, bot):
    run(models=[bot()])
    ollama.calls.clear()
    assert run(models=[bot()])["actions"] == []
    assert ollama.calls == ["GET /api/tags", "POST /api/show bot:latest"]


def test_a_run_that_ends_anywhere_is_finished_by_the_next(run, ollama, bot, tmp_path):
    models = [bot(), {"name": "second", "from": "bot"}]
    run(models=models)
    start, names = dict(ollama.held), set(ollama.held)
    record = next((tmp_path / "state").iterdir())
    recorded = record.read_bytes()
    sparse(tmp_path / "m.gguf", 4 * MB)
    run(models=models)
    wanted = dict(ollama.held)
    writes = {path: ollama.server.replies[path] for path in ("/api/create", "/api/copy", "/api/delete", "/api/blobs/*")}
    ended = 0
    for allowed in range(16):
        ollama.held, ollama.blobs = dict(start), set()
        record.write_bytes(recorded)
        left = iter(range(allowed))

        def until(reply, left=left):
            return lambda body: reply(body) if next(left, None) is not None else Reply(500, "gone")

        ollama.server.replies.update({path: until(reply) for path, reply in writes.items()})
        ended += "failed" not in run(models=models)
        # Whatever was there is there, old or new.
        assert names <= set(ollama.held)
        assert all(ollama.held[name] in (start[name], wanted[name]) for name in names)
        ollama.server.replies.update(writes)
        assert "failed" not in run(models=models)
        assert ollama.held == wanted
        assert run(models=models)["actions"] == []
    # Two creations of five writes each, a look for the file and its upload.
    assert ended == 16 - 12


FAULTS = {
    "disk full in the upload": (
        "/api/blobs/*",
        Reply(500, {"error": "write /m/blobs/sha256-1: no space left on device"}),
        "DiskFull",
        "needs the size of the file twice",
    ),
    "bytes lost on the way": (
        "/api/blobs/*",
        Reply(400, {"error": 'digest mismatch, expected "sha256:1", got "sha256:2"'}),
        "FileChanged",
        "damaged on the way",
    ),
    "a gateway": ("/api/blobs/*", Reply(413, "Request Entity Too Large"), "BadAnswer", "so raise its limit"),
    "disk full in the creation": (
        "/api/create",
        Reply(lines=[{"status": "parsing GGUF"}, {"error": "write /m/blobs/COPY1: no space left on device"}]),
        "DiskFull",
        "bot:latest cannot be created from '",
    ),
    "a file that it cannot read": (
        "/api/create",
        Reply(400, {"error": "supplied file was not in GGUF format"}),
        "BadAnswer",
        "supplied file was not in GGUF format; correct its declaration, or name a file that this version",
    ),
    "an end of the server": (
        "/api/create",
        Reply(lines=[{"status": "parsing GGUF"}], cut=True),
        "StreamBroken",
        "the server ended before it had said so",
    ),
    "no model": ("/api/create", Reply(lines=[{"status": "success"}]), "BadAnswer", "does not list the model"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_failure_leaves_the_old_model(run, ollama, bot, tmp_path, case):
    path, reply, kind, words = FAULTS[case]
    run(models=[bot()])
    held = dict(ollama.held)
    sparse(tmp_path / "m.gguf", 4 * MB)
    usual = ollama.server.replies[path]
    ollama.server.replies[path] = lambda body: usual(body) if set(body) == {"blob"} else reply
    result = run(models=[bot(), {"name": "gone", "state": "absent"}])
    assert (result["error_kind"], result["changed"], ollama.held) == (kind, False, held)
    assert words in result["msg"]
    assert case == "no model" or "A model that was there before is still there" in result["msg"]
    ollama.server.replies[path] = usual
    assert run(models=[bot()])["changed"]
    assert run(models=[bot()])["actions"] == []


def test_a_creation_has_a_limit_that_grows_with_the_file(run, ollama, bot, monkeypatch):
    assert (_upload.create_limit(0), _upload.create_limit(40 * 10**9)) == (300, 2700)
    monkeypatch.setattr(_upload, "create_limit", lambda size: 3)
    ollama.server.replies["/api/create"] = Reply(lines=[{"status": "parsing GGUF"}], hang=True)
    result = run(models=[bot()])
    assert (
        result["error_kind"] == "DeadlinePassed" and "within 3 s, which is 300 s and 60 s for each GB" in result["msg"]
    )


def test_an_upload_has_the_limit_of_a_pull(run, ollama, bot):
    result = run(models=[bot()], pull_timeout=1e-9)
    assert result["error_kind"] == "PullTimeout" and "did not end within pull_timeout" in result["msg"]
    assert not [call for call in ollama.calls if call.startswith(WRITES) and "/blobs/" not in call]


def test_progress_shows_hash_upload_and_creation(run, ollama, bot, tmp_path, monkeypatch):
    written = []
    original = json.dump
    monkeypatch.setattr(json, "dump", lambda data, stream: (written.append(data), original(data, stream)))
    usual = ollama.server.replies["/api/create"]
    ollama.server.replies["/api/create"] = lambda body: Reply(
        lines=[{"status": "verifying conversion", "digest": "0000000000000000000", "total": 9}, *usual(body).lines]
    )
    run(models=[bot()], _progress_file=str(tmp_path / "p"))
    pulls = [pull for data in written for pull in data["pulls"]]
    steps = list(dict.fromkeys(pull["step"] for pull in pulls))
    assert steps[0] == "hashing m.gguf, 34 %" and "hashing m.gguf, 100 %" in steps
    assert steps[-4:] == ["pulling", "verifying conversion", "writing manifest", "success"]
    size = (tmp_path / "m.gguf").stat().st_size
    assert {pull["total"] for pull in pulls if pull["step"] == "pulling"} == {size}
    assert pulls[-1]["done"] == size


PROGRAM = """
import json, re, sys
from ansible.module_utils import basic
from ansible_collections.alchemorsel.ollama.plugins.modules import ollama_model

basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": json.loads(sys.argv[1])}).encode()
basic._ANSIBLE_PROFILE = "legacy"
try:
    ollama_model.main()
finally:
    # The peak of this process alone; that of getrusage begins with its parent's.
    print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1], file=sys.stderr)
"""


def test_memory_does_not_grow_with_the_file(ollama, tmp_path):
    sparse(tmp_path / "big.gguf", 1000 * MB)
    models = [{"name": "big", "gguf": str(tmp_path / "big.gguf")}]
    options = {"url": ollama.url, "models": models, "state_dir": str(tmp_path / "state")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(options)],
        cwd=ROOT / ".build" / "collections",
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(done.stdout)["changed"], done.stderr
    assert [
        body["size"] for body in ollama.server.sent(f"/api/blobs/{next(iter(ollama.blobs))}") if "size" in body
    ] == [(tmp_path / "big.gguf").stat().st_size]
    assert int(done.stderr.split()[-1]) < 60_000
