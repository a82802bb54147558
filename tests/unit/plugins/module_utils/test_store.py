# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store on disk: which models are whole is told by stat alone."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils import _store as store
from ansible_collections.alchemorsel.ollama.plugins.module_utils._broken import faults_of
from ansible_collections.alchemorsel.ollama.plugins.module_utils._errors import InvalidInput
from ansible_collections.alchemorsel.ollama.plugins.module_utils._names import parse_listed
from hypothesis import given
from hypothesis import strategies as st

#: model -> its blobs; two models share one
MODELS = {
    "one": (b"weights of one", b"system", b"config of one"),
    "team/Two:Q4": (b"weights of two", b"system"),
    "h.example:5000/team/three": (b"weights of three",),
}
BLOBS = sorted({blob for blobs in MODELS.values() for blob in blobs})


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def blob(root: Path, data: bytes) -> Path:
    return root / "blobs" / digest_of(data).replace(":", "-")


def manifest(root: Path, model: str) -> Path:
    name = parse_listed(model)
    return root / "manifests" / name.host / name.namespace / name.model / name.tag


def manifest_body(blobs: tuple[bytes, ...]) -> bytes:
    *layers, config = [{"digest": digest_of(data), "size": len(data)} for data in blobs]
    return json.dumps({"schemaVersion": 2, "config": config, "layers": layers}).encode()


def build(root: Path) -> None:
    (root / "blobs").mkdir()
    for data in BLOBS:
        blob(root, data).write_bytes(data)
    for model, blobs in MODELS.items():
        path = manifest(root, model)
        path.parent.mkdir(parents=True)
        path.write_bytes(manifest_body(blobs))


@pytest.fixture
def root(tmp_path):
    build(tmp_path)
    return tmp_path


def faults(root: Path) -> dict[str, str]:
    """Return the reasons of the broken models, by the name as on disk."""
    return {fault.name.short: fault.reason for fault in faults_of(store.read_contents(str(root))).values()}


def test_a_whole_store(root):
    contents = store.read_contents(str(root))
    assert set(contents.models) == {parse_listed(model).key for model in MODELS}
    assert contents.models[parse_listed("one").key].digest == digest_of(manifest_body(MODELS["one"]))
    assert contents.models[parse_listed("one").key].blobs == {digest_of(data): len(data) for data in MODELS["one"]}
    assert faults(root) == {}
    assert {name.short for name in contents.users(digest_of(b"system"))} == {"one:latest", "team/Two:Q4"}


@given(
    damage=st.dictionaries(st.sampled_from(BLOBS), st.one_of(st.none(), st.integers(0, 40)), max_size=len(BLOBS)),
    emptied=st.sets(st.sampled_from(sorted(MODELS))),
)
def test_exactly_the_models_with_broken_files_are_named(damage, emptied):
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        build(root)
        for data, size in damage.items():
            path = blob(root, data)
            if size is None:
                path.unlink()
            else:
                os.truncate(path, size)
        for model in emptied:
            manifest(root, model).write_bytes(b"")
        broken = {data for data, size in damage.items() if size != len(data)}
        found = faults(root)
        expected = {model for model, blobs in MODELS.items() if model in emptied or broken.intersection(blobs)}
        assert set(found) == {parse_listed(model).short for model in expected}
        for model in expected - emptied:
            for data in broken.intersection(MODELS[model]):
                assert digest_of(data) in found[parse_listed(model).short]
                assert str(len(data)) in found[parse_listed(model).short]
        for model in emptied:
            assert str(manifest(root, model)) in found[parse_listed(model).short]


@given(
    body=st.binary(max_size=80)
    | st.text(max_size=80).map(str.encode)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["layers", "config", "digest", "size"]), inner, max_size=4)
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_bytes_are_a_manifest_or_none(body):
    try:
        blobs = store.parse_manifest(body)
    except ValueError as exc:
        assert str(exc).startswith(("is ", "holds ", "names "))
    else:
        assert blobs and all(size >= 0 for size in blobs.values())


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "is empty"),
        (b" \n", "nothing but white space"),
        (b'{"layers": [', "no complete JSON"),
        (b"[1]", "no manifest"),
        (b'{"layers": {"a": 1}}', "no manifest"),
        (b'{"layers": [3]}', "no manifest"),
        (b'{"layers": [{"digest": "md5:1"}]}', "no manifest"),
        (b"{}", "names no blob"),
        (b'{"config": {"digest": ""}, "layers": null}', "names no blob"),
        (b"[" * 100_000, "no complete JSON"),
    ],
)
def test_what_is_no_manifest(root, body, words):
    manifest(root, "one").write_bytes(body)
    assert words in faults(root)["one:latest"]


def test_what_follows_the_json_text_and_a_size_that_is_not_told_are_no_fault(root):
    digest = digest_of(b"system")
    for size in ({}, {"size": 0}, {"size": "7"}, {"size": -1}, {"size": True}):
        body = json.dumps({"layers": [{"digest": digest, **size}]}) + "\n\n trailing"
        manifest(root, "one").write_text(body)
        assert faults(root) == {}


def test_what_is_no_model_is_left_out(root):
    (root / "manifests" / "stray").write_text("x")
    (root / "manifests" / "registry.ollama.ai" / "library" / "one" / ".hidden").write_text("x")
    (root / "manifests" / "registry.ollama.ai" / "library" / "one" / "deep").mkdir()
    (root / "manifests" / "registry.ollama.ai" / "library" / "one" / "deep" / "er").write_text("x")
    (root / "blobs" / "junk").write_text("x")
    assert faults(root) == {}
    assert len(store.read_contents(str(root)).models) == 3


def test_links_are_followed_and_one_to_nowhere_is_missing(root, tmp_path):
    path = blob(root, b"system")
    elsewhere = tmp_path / "other disk"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert faults(root) == {}
    elsewhere.unlink()
    assert "is missing" in faults(root)["one:latest"]


def test_what_a_pull_has_begun_counts_as_far_as_it_takes_room(root):
    digest = digest_of(b"new")
    path = root / "blobs" / (digest.replace(":", "-") + "-partial")
    with path.open("wb") as stream:
        stream.truncate(1 << 30)
        stream.write(b"x" * 8192)
        stream.flush()
        os.fsync(stream.fileno())
    (root / "blobs" / (path.name + "-0")).write_text('{"N":0}')
    assert 8192 <= store.read_contents(str(root)).partial[digest] < 1 << 20


def test_a_new_store_is_empty(tmp_path):
    assert store.read_contents(str(tmp_path)) == store.Contents(str(tmp_path))


def test_a_store_that_cannot_be_read_is_named_with_user_and_remedy(root, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    cases = [str(root / "nowhere"), str(manifest(root, "one"))]
    for path in cases:
        with pytest.raises(InvalidInput) as caught:
            store.read_contents(path)
        assert path in caught.value.message and f"by user {store.user_name()}" in caught.value.message
    monkeypatch.setattr(store.os, "scandir", refuse)
    with pytest.raises(InvalidInput, match="Permission denied.*with become"):
        store.read_contents(str(root))


def test_one_model_is_read_again(root):
    stored = store.read_model(str(root), parse_listed("team/Two:Q4"))
    assert store.bad_blobs(str(root), stored.blobs) == ()
    os.truncate(blob(root, b"system"), 2)
    assert store.bad_blobs(str(root), stored.blobs) == (store.Bad(digest_of(b"system"), 6, 2),)
    assert store.read_model(str(root), parse_listed("team/two:q4")) is None


def test_a_blob_is_as_it_is_named_or_not(root):
    path = blob(root, b"system")
    assert store.is_as_named(str(path))
    path.write_bytes(b"System")
    assert not store.is_as_named(str(path))
