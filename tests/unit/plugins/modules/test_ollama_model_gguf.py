# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ollama_model with GGUF files: made once on both versions, made again when something differs, and never a wrong "ok"."""

from __future__ import annotations

import hashlib
import os
import shutil

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._client import OllamaClient
from ansible_collections.alchemorsel.ollama.plugins.modules import ollama_model
from fake_ollama import brief, without

from lab.standin.testing import MODELS
from lab.standin.versions import PROFILES

#: Servers and processes of their own: not for every save
pytestmark = pytest.mark.slow

FIELDS = {"system": "Be brief.", "template": "{{ .Prompt }}!", "parameters": {"num_ctx": "8192", "stop": "###"}}


class Host:
    """A host with a server, a file and a record."""

    def __init__(self, server, run_module, folder):
        self.server, self.run_module, self.folder = server, run_module, folder
        self.state = folder / "state"
        self.file = folder / "model.gguf"
        self.bring("tiny-a")

    def bring(self, model):
        """Put a file of the lab in the place of the declared one."""
        shutil.copyfile(MODELS / f"{model}.gguf", self.folder / "new")
        os.replace(self.folder / "new", self.file)
        return "sha256:" + hashlib.sha256(self.file.read_bytes()).hexdigest()

    def entry(self, **changes):
        return {"name": "bot", "gguf": str(self.file), **FIELDS, **changes}

    def run(self, *models, check_mode=False, **options):
        options = {"url": self.server.url, "state_dir": str(self.state), "_ansible_diff": True, **options}
        return self.run_module(ollama_model, {"models": list(models), **options}, check_mode)

    def run_all(self, *models, **options):
        """Run in check mode, for real and again; the prediction is the outcome, and the second run leaves all as it is."""
        before = self.files()
        predicted = self.run(*models, check_mode=True, **options)
        assert self.files() == before
        result = self.run(*models, **options)
        hidden = ["digest_after", "seconds", "bytes", "changed"]
        assert [without(action, hidden) for action in predicted["actions"]] == [
            without(action, hidden) for action in result["actions"]
        ]
        after = self.files()
        again = self.run(*models, **options)
        assert (again["changed"], again["actions"], again["models"]) == (False, [], result["models"])
        assert self.run(*models, check_mode=True, **options)["changed"] is False
        assert self.files() == after
        assert not [name for name in self.digests() if "alchemorsel-tmp" in name]
        return predicted, result

    def files(self):
        """Every file of store and record, with its time."""
        roots = (self.server.store.root, self.state)
        return {path: path.stat().st_mtime_ns for root in roots for path in (root, *root.rglob("*")) if path.exists()}

    def digests(self):
        return {item["name"]: "sha256:" + item["digest"] for item in self.server.json("GET", "/api/tags")["models"]}

    def show(self, model="bot"):
        return self.server.json("POST", "/api/show", {"model": model})


@pytest.fixture(params=PROFILES)
def host(request, standin, run_module, tmp_path):
    return Host(standin(request.param), run_module, tmp_path)


@pytest.fixture
def uploads(monkeypatch):
    """The digests of files that were uploaded."""
    sent = []
    original = OllamaClient.upload_blob

    def upload(self, digest, content, *, timeout):
        sent.append(digest)
        original(self, digest, content, timeout=timeout)

    monkeypatch.setattr(OllamaClient, "upload_blob", upload)
    return sent


def test_a_model_from_a_file(host, uploads):
    digest = "sha256:" + hashlib.sha256(host.file.read_bytes()).hexdigest()
    predicted, result = host.run_all(
        host.entry(), {"name": "alias", "copy_of": "bot"}, {"name": "terse", "from": "bot"}
    )
    made = host.digests()
    assert brief(predicted)[0] == ("create", None, "unknown")
    assert brief(result) == [
        ("create", None, made["bot:latest"]),
        ("copy", None, made["bot:latest"]),
        ("create", None, made["terse:latest"]),
    ]
    assert predicted["actions"][0]["bytes"] == host.file.stat().st_size <= result["actions"][0]["bytes"]
    assert f"bot:latest gguf: {host.file}\nbot:latest weights: {digest}\n" in result["diff"]["after"]
    assert uploads == [digest]
    shown = host.show()
    assert (shown["system"], shown["template"]) == ("Be brief.", "{{ .Prompt }}!")
    assert "num_ctx                        8192" in shown["parameters"]
    # One version keeps the file, the other one writes it anew.
    kept = digest.replace(":", "-") in shown["modelfile"]
    assert kept is not PROFILES[host.server.version].rewrites_import


def test_a_file_with_other_content(host):
    host.run(host.entry())
    old = "sha256:" + hashlib.sha256(host.file.read_bytes()).hexdigest()
    before, new = host.digests()["bot:latest"], host.bring("tiny-b")
    _predicted, result = host.run_all(host.entry())
    assert brief(result) == [("create", before, host.digests()["bot:latest"])] and result["changed"]
    assert result["actions"][0]["reason"] == "not as declared: weights"
    assert f"bot:latest weights: {old}\n" in result["diff"]["before"]
    assert f"bot:latest weights: {new}\n" in result["diff"]["after"]


def test_the_same_content_in_a_new_file(host, uploads):
    host.run(host.entry())
    host.bring("tiny-a")
    shutil.move(host.file, host.folder / "moved.gguf")
    result = host.run(host.entry(gguf=str(host.folder / "moved.gguf")))
    assert (result["changed"], result["actions"], len(uploads)) == (False, [], 1)


@pytest.mark.parametrize(
    ("changes", "before", "after"),
    [
        ({"system": "Be long."}, "system: Be brief.", "system: Be long."),
        ({"system": None}, "system: Be brief.", None),
        ({"template": None}, "template: {{ .Prompt }}!", None),
        ({"parameters": {"stop": "###"}}, "parameter num_ctx: 8192", None),
    ],
)
def test_a_field_that_differs(host, uploads, changes, before, after):
    host.run(host.entry())
    _predicted, result = host.run_all(host.entry(**changes))
    assert result["changed"] and result["actions"][0]["reason"].startswith("not as declared: ")
    assert f"bot:latest {before}\n" in result["diff"]["before"]
    assert f"bot:latest {before}\n" not in result["diff"]["after"]
    assert after is None or f"bot:latest {after}\n" in result["diff"]["after"]
    # The server has the file still.
    assert len(uploads) == 1


@pytest.mark.parametrize("how", ["lost", "damaged", "another server's"])
def test_a_record_that_is_lost_costs_work_only(host, uploads, how):
    host.run(host.entry())
    digests = host.digests()
    (record,) = host.state.iterdir()
    if how == "lost":
        shutil.rmtree(host.state)
    elif how == "damaged":
        record.write_text("{" + record.read_text())
    else:
        record.write_text(record.read_text().replace(host.server.url, "http://elsewhere:1"))
    assert host.run(host.entry(), check_mode=True)["actions"][0]["digest_after"] == "unknown"
    result = host.run(host.entry())
    assert (result["changed"], host.digests(), result["actions"][0]["changed"]) == (False, digests, False)
    assert "there is no record of its creation" in result["actions"][0]["reason"]
    assert result["diff"]["before"] == result["diff"]["after"]
    assert len(uploads) == 1
    assert host.run(host.entry())["actions"] == []


def test_a_record_that_is_lost_never_hides_a_difference(host):
    host.run(host.entry())
    shutil.rmtree(host.state)
    host.bring("tiny-b")
    _predicted, result = host.run_all(host.entry(system="Be long."))
    assert result["changed"] and host.show()["system"] == "Be long."


def test_a_model_that_somebody_else_changed(host):
    host.run(host.entry())
    wanted = host.digests()["bot:latest"]
    host.server.lines("/api/create", {"model": "bot", "from": "bot", "system": "Mine."})
    assert host.digests()["bot:latest"] != wanted
    _predicted, result = host.run_all(host.entry())
    assert host.digests()["bot:latest"] == wanted and result["changed"]
    assert "it is not what was created here" in result["actions"][0]["reason"]


def test_an_upload_that_the_server_has_dropped(host, uploads):
    host.run(host.entry())
    digest = uploads[0]
    host.server.store.blob(digest).unlink()
    result = host.run(host.entry())
    if PROFILES[host.server.version].rewrites_import:
        # It was written anew, and the model needs the upload no more.
        assert result["actions"] == [] and len(uploads) == 1
        host.run(host.entry(system="Be long."))
    else:
        assert result["actions"][0]["reason"] == "files of it are missing"
    assert uploads == [digest, digest]
    assert host.run(host.entry())["changed"] is PROFILES[host.server.version].rewrites_import


def test_a_truncated_file_is_refused_before_anything_is_done(host, uploads):
    host.run(host.entry())
    held = host.digests()
    with host.file.open("r+b") as stream:
        stream.truncate(host.file.stat().st_size - 1000)
    for options in ({}, {"check_mode": True}, {"_defer": True}):
        result = host.run(
            host.entry(), host.entry(name="new", gguf="/nowhere.gguf"), {"name": "x", "state": "absent"}, **options
        )
        assert result["error_kind"] == "InvalidInput"
        assert f"bot:latest cannot be created: '{host.file}' is truncated: its tensor" in result["msg"]
        assert "new:latest cannot be created: '/nowhere.gguf' is not there" in result["msg"]
    assert (host.digests(), len(uploads)) == (held, 1)


def test_a_file_that_is_exchanged_between_hash_and_upload(host, monkeypatch):
    host.run(host.entry())
    held = host.digests()
    host.bring("tiny-b")
    original = OllamaClient.has_blob

    def has_blob(self, digest):
        host.bring("tiny-c")
        return original(self, digest)

    monkeypatch.setattr(OllamaClient, "has_blob", has_blob)
    result = host.run(host.entry())
    assert result["error_kind"] == "FileChanged" and "was changed after it was hashed" in result["msg"]
    assert (host.digests(), result["changed"]) == (held, False)


def test_exclusive_removes_what_was_created_here(host):
    models = [host.entry(), {"name": "alias", "copy_of": "bot"}, {"name": "terse", "from": "bot"}]
    host.run(*models)
    held = host.digests()
    host.server.json("POST", "/api/copy", {"source": "bot", "destination": "foreign"})
    keep = {"name": "foreign"}
    record = next(host.state.iterdir()).read_bytes()
    shutil.rmtree(host.state)
    unreachable = {"exclusive": True, "registry_ca_path": None, "timeout": 5}
    result = host.run(keep, check_mode=True, **unreachable)
    assert (result["changed"], len(result["kept"])) == (False, 3)
    host.state.mkdir()
    (host.state / (hashlib.sha256(host.server.url.encode()).hexdigest()[:32] + ".json")).write_bytes(record)
    _predicted, result = host.run_all(keep, **unreachable)
    assert sorted(action["name"] for action in result["actions"]) == sorted(held)
    assert list(host.digests()) == ["foreign:latest"]


def test_work_that_has_to_be_hashed_or_uploaded_is_put_off(host, tmp_path):
    result = host.run(host.entry(), _defer=True, pull_timeout=100, timeout=30)
    assert result["work_due"]["seconds"] > 100
    assert not host.state.exists() and host.digests() == {}
    assert host.run(host.entry(), _offers=result["work_due"]["offers"], _progress_file=str(tmp_path / "p"))["changed"]
    assert host.run(host.entry(), _defer=True)["actions"] == []
    # Equal content in a new file: to know that takes work, which then changes nothing.
    host.bring("tiny-a")
    assert "work_due" in host.run(host.entry(), _defer=True)
    assert host.run(host.entry())["actions"] == []


def test_a_record_that_cannot_be_written_is_a_warning(host):
    host.state.write_text("a file")
    result = host.run(host.entry())
    assert result["changed"]
    assert [text for text in result["warnings"] if "cannot be recorded" in str(text)]


def test_a_hash_that_cannot_be_recorded_is_a_warning_where_nothing_else_is_to_be_done(host):
    host.run(host.entry())
    (record,) = host.state.iterdir()
    host.bring("tiny-a")
    # What is written before it takes the record's place.
    (host.state / f"{record.name}.{os.getpid()}.new").mkdir()
    result = host.run(host.entry())
    assert result["actions"] == []
    assert [text for text in result["warnings"] if "cannot be recorded" in str(text)]


def test_a_relative_state_dir(host):
    assert "state_dir is 'state'; wanted an absolute path" in host.run(host.entry(), state_dir="state")["msg"]


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_file_that_cannot_fit_is_not_uploaded(host, check_mode):
    before = host.files()
    store, size = str(host.server.store.root), host.file.stat().st_size
    host.run({"name": "small", "state": "absent"})
    for options, words in (
        ({"store_path": store, "min_free": str(2**60)}, f"bot:latest {2 * size / 1000:.0f} kB ({2 * size} bytes)"),
        ({"memory_limit": str(size - 1)}, f"memory_limit is {(size - 1) / 1000:.0f} kB ({size - 1} bytes)"),
    ):
        result = host.run(host.entry(), check_mode=check_mode, **options)
        assert (result["error_kind"], result["changed"]) == ("InvalidInput", False)
        assert words in result["msg"]
    assert host.digests() == {}
    assert [path for path in host.files() if path not in before and "blobs" in str(path)] == []
