# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checker itself: each kind of damage of a store is found, and a store without any is not accused."""

from __future__ import annotations

import json

import pytest

from lab.standin import names, publish
from lab.standin.store import Store
from lab.standin.testing import MODELS
from tests.chaos.look import damage, left_files, look, served


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "models")
    publish.publish_gguf(made, names.parse("library/tiny"), MODELS / "tiny-b.gguf", system="S")
    publish.publish_gguf(made, names.parse("library/other"), MODELS / "tiny-b.gguf", system="T")
    return made


def manifest_of(store):
    return store.manifest_path(names.parse("library/tiny"))


def blob_of(store, kind):
    (part,) = [
        part for part in json.loads(manifest_of(store).read_bytes())["layers"] if part["mediaType"].endswith(kind)
    ]
    return store.blob(part["digest"])


def test_a_store_without_damage_is_not_accused(store):
    assert damage(store.root) == []


def test_a_store_that_is_not_there_has_none(tmp_path):
    assert damage(tmp_path / "none") == []


def flipped(store):
    blob = blob_of(store, "system")
    blob.write_bytes(b"?")


def shortened(store):
    blob = blob_of(store, "model")
    blob.write_bytes(blob.read_bytes()[:-1])


def gone(store):
    blob_of(store, "system").unlink()


def emptied(store):
    manifest_of(store).write_bytes(b"")


def halved(store):
    path = manifest_of(store)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def a_list(store):
    manifest_of(store).write_text("[1]")


def another_size(store):
    path = manifest_of(store)
    content = json.loads(path.read_bytes())
    content["config"]["size"] += 1
    path.write_text(json.dumps(content))


def tag_of_a_run(store):
    publish.publish_gguf(store, names.parse("alchemorsel-tmp/0123456789abcdef:new"), MODELS / "tiny-b.gguf", system="S")


def partial(store):
    (store.blobs / f"{blob_of(store, 'model').name}-partial").write_bytes(b"")


def part_of_partial(store):
    (store.blobs / f"{blob_of(store, 'model').name}-partial-0").write_text("{}")


def upload(store):
    (store.blobs / "sha256-1234567890").write_bytes(b"")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (flipped, "has the sum"),
        (shortened, "has the sum"),
        (gone, "lacks blobs/sha256-"),
        (emptied, "is no manifest"),
        (halved, "is no manifest"),
        (a_list, "is no manifest"),
        (another_size, "bytes, but blobs/sha256-"),
        (tag_of_a_run, "left in the store"),
        (partial, "left in the store"),
        (part_of_partial, "left in the store"),
        (upload, "left in the store"),
    ],
)
def test_each_kind_of_damage_is_found(store, harm, words):
    harm(store)
    found = damage(store.root)
    assert any(words in text for text in found), found


@pytest.mark.parametrize(
    "name", [".ansible_tmp1abcdaemon.json", "daemon.json.tmp", "ollama.service~", ".daemon.json.swp", "runc.dpkg-new"]
)
def test_files_that_were_left_are_found(tmp_path, name):
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / name).write_text("")
    assert left_files([tmp_path]) == [f"left: {tmp_path / 'docker' / name}"]


def test_files_that_belong_there_are_not_accused(tmp_path):
    for name in ("daemon.json", "ollama.service", "ollama.nft", "client.env"):
        (tmp_path / name).write_text("")
    assert left_files([tmp_path, tmp_path / "none"]) == []


def test_a_server_that_does_not_answer_serves_nothing():
    assert served("http://127.0.0.1:9") is None


def test_all_of_it_together(store, monkeypatch):
    monkeypatch.setattr("tests.chaos.look.containers", lambda: {"ollama": "running"})
    assert look("http://127.0.0.1:9", store.root, []) == {
        "models": None,
        "damage": [],
        "left": [],
        "containers": {"ollama": "running"},
    }
