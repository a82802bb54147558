# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A manifest's digests: the one of its bytes, and those that a server may list instead."""

from __future__ import annotations

import hashlib
import json

import pytest
from ansible_collections.alchemorsel.ollama.plugins.module_utils._registry import read_manifest


def digest(body):
    return "sha256:" + hashlib.sha256(body).hexdigest()


def body_of(size):
    """Return a manifest whose JSON text has this many bytes."""
    empty = json.dumps({"config": {"size": 7}, "layers": [{"size": 100}], "x": ""}).encode()
    return empty.replace(b'""', b'"' + b"x" * (size - len(empty)) + b'"')


def test_digest_and_size():
    manifest = read_manifest(body_of(300))
    assert manifest.digest == digest(body_of(300))
    assert manifest.digests == {manifest.digest}
    assert manifest.size == 107


@pytest.mark.parametrize("end", [b"\n", b" \r\n\t" * 50])
def test_white_space_at_the_end_may_be_left_out(end):
    manifest = read_manifest(body_of(300) + end)
    assert manifest.digest == digest(body_of(300) + end)
    assert digest(body_of(300)) in manifest.digests


@pytest.mark.parametrize("step", [512, 1536, 3584, 7680])
def test_white_space_may_be_cut_where_the_decoder_stopped_reading(step):
    assert digest(body_of(step)) in read_manifest(body_of(step) + b"\n").digests
    body = body_of(step - 100) + b" " * 300
    assert digest(body[:step]) in read_manifest(body).digests
    # JSON text is never cut.
    longer = body_of(step + 1)
    assert read_manifest(longer).digests == {digest(longer)}


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"layers": 1}', b"\xff"])
def test_what_is_no_manifest(body):
    with pytest.raises(ValueError):
        read_manifest(body)


def part(number, size):
    return {"digest": f"sha256:{number:064x}", "size": size}


def test_blobs():
    body = json.dumps({"config": part(1, 7), "layers": [part(2, 100), part(3, 20), part(3, 20)]}).encode()
    manifest = read_manifest(body)
    assert manifest.size == 147
    assert manifest.blobs == {f"sha256:{1:064x}": 7, f"sha256:{2:064x}": 100, f"sha256:{3:064x}": 20}


@pytest.mark.parametrize("digest", [None, "", "sha256:1", "sha256:" + "B" * 64, "sha256:" + "b" * 64 + "/../x", 7])
def test_a_blob_without_a_digest_makes_them_unknown(digest):
    body = json.dumps({"config": part(1, 7), "layers": [{"digest": digest, "size": 100}]}).encode()
    assert (read_manifest(body).size, read_manifest(body).blobs) == (107, {})
